"""The command ``truth`` in a small shop, and what it makes of runs whose truth is known."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.experiments import truth_figure, truth_report
from recbole_lpi.experiments.truth import OTHER_USERS, Truth, Worth
from recbole_lpi.experiments.truth_report import KnownRun, over_seeds, selections
from recbole_lpi.simulation.comparison import compare_policies
from recbole_lpi.simulation.one_step import OneStep
from recbole_lpi.simulation.saved_policies import saved_policy
from recbole_lpi.simulation.saved_worlds import load_world

pytestmark = pytest.mark.recbole
PLAN = """
title: two policies
shared: {epochs: 1, split_seed: 1, hidden_size: 8, inner_size: 8, logging_policy_seeds: 1}
reference: LoggingPolicy
rows:
  LoggingPolicy: {}
  LPI 0.5: {model: LPI, fixed: {beta: 0.5}}
  LPI 2: {model: LPI, fixed: {beta: 2.0}}
"""


def ran(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_a_plan_is_trained_rolled_out_and_compared_with_what_it_seemed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("plan.yaml").write_text(PLAN)
    shop = ("--world=shop", "--sessions=300", "--n_items=25", "--max_events=6", "--dimension=2")
    assert ran("simulate", *shop, "--output=small").exit_code == 0
    given = ("truth", "--world=small", "--plan=plan.yaml", "--seeds=1", "--sessions=80",
             "--output=out")  # fmt: skip
    result = ran(*given, "--threads=1")
    assert result.exit_code == 0, result.output
    text = Path("out/truth.md").read_text()
    for row in ("LoggingPolicy", "LPI 0.5", "LPI 2"):
        assert f"| {row} | 1 |" in text
    assert "| Δ-SNIPS, μ logged |" in text and "| Δ-SNIPS, μ estimated, lower bound |" in text
    assert "| click\\_ndcg@20 |" in text
    assert {path.name for path in Path("out").iterdir()} >= {"numbers.svg", "over-beta.png"}
    run = next(Path("runs/truth/small/LPI 2").rglob("truth.json")).parent
    truth = json.loads((run / "truth.json").read_text())
    saved = load_world(Path("small"))
    again = compare_policies(saved.world, {"π": saved_policy(run, saved)}, 80, OTHER_USERS)
    assert truth["policy"]["gain"] == pytest.approx(asdict(again.policies["π"].difference))
    assert truth["logging"]["value"] == pytest.approx(asdict(again.logging))
    kept = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    assert ran(*given, "--no-train").exit_code == 0  # nothing is trained or rolled out again
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == kept
    assert "DR, μ" not in text
    result = ran(*given, "--no-train", "--values")
    assert result.exit_code == 0, result.output
    assert "compared with no logging policy: no models of values for it" in result.output
    rows = {line.split(" | ")[0]: line for line in Path("out/truth.md").read_text().splitlines()}
    for name in ("doubly robust", "Δ-DR", "sequential DR", "fitted Q evaluation"):
        assert f"| {name}, μ logged" in rows


def test_a_folder_that_is_no_world_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("log").mkdir()
    result = ran("truth", "--world=log", "--output=out")
    assert result.exit_code == 2
    assert "no world at log/world.yaml: make one by recbole-lpi simulate" in result.output
    assert not Path("runs").exists()


def at(mean, stderr=0.01):
    return Estimate(mean, stderr, 100)


def known(row, seed, gain, ndcg, beta=None):
    step = OneStep(at(0.1 + gain / 10), at(gain / 10), at(0.5), at(0.1))
    return KnownRun(row, seed, beta, Truth(at(1 + gain), at(gain), step), {"ndcg@20": ndcg}, {})


RUNS = [
    known("LPI 0.1", 1, 0.3, 0.2, 0.1), known("LPI 0.1", 2, 0.1, 0.3, 0.1),
    known("LPI 1", 1, 0.0, 0.4, 1.0), known("SQN", 1, -0.2, 0.5),
]  # fmt: skip
WORTH = Worth(at(1.0), at(0.1))


def test_errors_are_over_users_and_seeds():
    gain, stderr = over_seeds(RUNS[:2])
    assert gain == pytest.approx(0.2)
    assert stderr == pytest.approx(np.sqrt(0.01**2 + 0.02 / 2))
    assert over_seeds(RUNS[2:3])[1] == pytest.approx(0.01)


def test_a_metric_that_orders_policies_the_wrong_way_round_is_told():
    found = {one.name: one for one in selections(RUNS, WORTH)}
    assert found["ndcg@20"].rank_correlation == pytest.approx(-1.0)
    assert found["ndcg@20"].regret == pytest.approx(0.5)
    assert "purchase_ndcg@20" not in found  # a log without purchases has none, and it picks nothing
    text = truth_report.markdown("shop", RUNS, WORTH)
    assert "| LPI 0.1 | 2 | 1.2000 | +0.2000 ± 0.1005 | .047 | +0.0200 | -0.0300 |" in text
    assert "| SQN | 1 | 0.8000 | -0.2000 ± 0.0100 | < .001 | -0.0200 |  |" in text


def test_a_curve_takes_two_values_of_beta():
    figure = truth_figure.over_beta(RUNS, WORTH)
    assert figure is not None
    assert next(line.get_label() for line in figure.axes[1].lines) == "LPI"
    assert truth_figure.over_beta(RUNS[:2], WORTH) is None
