"""Table 1: the paper's columns, tests against the logging policy, and what is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.experiments import sweep_work, table1
from recbole_lpi.experiments.plans import read_plan
from recbole_lpi.experiments.sweep import Sweep
from recbole_lpi.experiments.sweep_work import work as run_missing
from recbole_lpi.plugin import runner
from recbole_lpi.training.run_folder import RunFolder
from tests.support.finished_runs import make_run

FIT = {
    "model": "abc", "rank": [8], "regularization": [0.1], "missing_rating": 2.0,
    "missing_weight": 0.005, "sweeps": 10, "ratings": 1234, "rmse": 0.91, "mae": 0.7,
    "rmse_of_mean": 1.1, "positive_from": 0.5, "observed_positive": 0.8, "imputed_positive": 0.3,
    "observed_mean": 0.7, "imputed_mean": 0.35, "edges": [0.0, 0.5, 1.0], "imputed": [0.7, 0.3],
    "observed": [0.2, 0.8],
}  # fmt: skip


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Runs that leave their files without training; the imputed reward falls with β."""
    monkeypatch.chdir(tmp_path)

    def run(model=None, dataset=None, config_files=(), config_dict=None):
        given = dict(config_dict)
        beta, folder = given.get("beta"), RunFolder(given["run_dir"])
        mu = None if model == "LoggingPolicy" else -1.0
        make_run(folder.path, [1, 2, 3, 4], model, mu=mu, **{
            k: v for k, v in given.items() if k not in ("logging_policy", "run_dir")
        })  # fmt: skip
        events = read_events(folder.events)
        imputed = np.array([[0.9], [0.7], [0.6], [0.6]]) - (
            0 if beta is None else 0.1 * (beta > 0.1)
        )
        tokens = np.array([f"t{number}" for number in range(5)])
        replace(events, imputed_reward=imputed.astype(np.float32)).write(
            folder.events, tokens, tokens
        )
        found = {"mean": 0.1, "stderr": 0.1, "count": 4}
        score = dict.fromkeys(("nll", "average_reward@1"), found)
        folder.write_metrics({"best_epoch": 0, "valid": score, "test": score, "imputation": FIT})

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(sweep_work, "check", lambda sweep: None)
    return tmp_path


def test_the_command_fills_a_folder(made):
    arguments = ["table1", "--dataset=shop", "--output=out", "--seeds=2"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    text = Path("out/table1.md").read_text()
    assert "| policy | seeds | reward AR@1 | reward iAR@1 | divergence JS |" in text
    assert "| LoggingPolicy | 2 | **0.0500 ± 0.0500** | **0.7000 ± 0.1000** | – |" in text
    assert (
        "| LPICB (beta=1.0, weight\\_clip=unset) | 2 | **0.0500 ± 0.0500** | 0.6000 ± 0.1000 "
        "| 0.1000 ± 0.0000 |" in text
    )
    assert "| LPICB-1 | +0.0000 ± 0.0000 | -0.1000 ± 0.0000 \\*\\*\\* |" in text
    assert "1,234 validation ratings" in text and "80.0% of those logged" in text
    assert "not have finished" not in text
    names = {path.name for path in Path("out").iterdir()}
    assert names == {
        "table1.md", "table1.csv", "curve.png", "curve.svg", "imputation.png", "imputation.svg",
    }  # fmt: skip
    svg = Path("out/curve.svg").read_text()
    assert all(word in svg for word in ("AR@1", "iAR@1", "divergence JS", "IPS", "β"))
    assert CliRunner().invoke(app, [*arguments, "--no-train"]).exit_code == 0


def test_the_plan_is_the_papers():
    plan = read_plan(table1.PLAN)
    assert [row.model for row in plan.rows[:3]] == ["LoggingPolicy", "RewardWeighted", "IPS"]
    betas = [row.fixed["beta"] for row in plan.rows[3:]]
    assert [row.fixed.get("weight_clip") for row in plan.rows[3:]] == [100, *[None] * 5]
    assert betas == sorted(betas) and {0.001, 0.1, 1.0, 1000.0} <= set(betas)
    assert plan.shared["valid_metric"] == "average_reward@1" and plan.shared["loss_on_last"] == 50
    assert plan.rows[0].fixed == {"valid_metric": "nll"}


def test_the_curve_runs_over_beta_with_levels_for_the_others(made):
    work = Sweep(read_plan(table1.PLAN), "shop", made / "runs", {}, 1)
    run_missing(work)
    figure = table1.curve(table1.table(work))
    axes: Any = figure.axes[1]  # iAR@1
    betas, imputed = axes.lines[0].get_data()
    assert betas.tolist() == [0.03, 0.1, 0.3, 1.0, 1000.0]
    np.testing.assert_allclose(imputed.astype(float), [0.7, 0.7, 0.6, 0.6, 0.6], rtol=1e-6)
    apart = next(line for line in axes.lines if line.get_markerfacecolor() == "none")
    assert (apart.get_xdata(), apart.get_ydata()) == (pytest.approx([0.001]), pytest.approx([0.7]))
    assert "LPI-CB, clip 100" in figure.legends[0].get_texts()[-1].get_text()
    levels = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in levels] == pytest.approx([0.7, 0.7, 0.7])
    assert len([line for line in figure.axes[2].lines if line.get_linestyle() == "--"]) == 2


def test_the_curve_of_js_shows_how_far_two_seeds_of_the_logging_policy_are_apart(made):
    work = Sweep(read_plan(table1.PLAN), "shop", made / "runs", {}, 1)
    run_missing(work)
    comparison = table1.table(work)
    floor = {"js_divergence": Estimate(0.04, 0.01, 9), "kl_divergence": Estimate(0.1, 0.01, 9)}
    for found, expected in ((comparison, []), (replace(comparison, noise_floor=floor), [0.04])):
        panels: Any = table1.curve(found).axes
        drawn = [[ln.get_ydata()[0] for ln in p.lines if ln.get_linestyle() == ":"] for p in panels]
        assert drawn == [[], [], expected]
        words = [text.get_text() for text in panels[2].texts]
        assert words == ["two seeds of the logging policy"] * len(expected)


def test_one_beta_is_no_curve(made):
    plan = read_plan(table1.PLAN)
    rows = tuple(row for row in plan.rows if row.name in ("LoggingPolicy", "LPICB-1"))
    run_missing(Sweep(replace(plan, rows=rows), "shop", made / "runs" / "shop", {}, 1))
    result = CliRunner().invoke(
        app, ["table1", "--dataset=shop", "--output=out", "--runs=runs", "--no-train"]
    )
    assert result.exit_code == 2 and not Path("out").exists()
    assert "no curve over β before two of its values have finished: 1 of LPICB has" in result.output
