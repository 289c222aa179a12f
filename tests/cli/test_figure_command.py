"""``recbole-lpi figure`` on runs that were trained: a figure and its table each."""

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.plugin import runner
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole


def call(*words):
    return CliRunner().invoke(app, ["figure", *words])


def test_each_figure_of_finished_runs_and_its_table(log):
    given = {**SMALL, "epochs": 1, "split_seed": 2020}
    runner.run("LPIRL", "shop", (), {**given, "run_dir": "runs/a"})
    runner.run("SessionPopularity", "shop", (), {**given, "run_dir": "runs/floor"})
    columns = {
        "counts": "ndcg", "learning": "value", "divergence": "js", "weights": "share_of_weight",
        "calibration": "return",
    }  # fmt: skip
    for name, column in columns.items():
        done = call(name, "runs/a", "runs/floor", "--output", f"{name}.svg")
        assert done.exit_code == 0, done.output
        found = pl.read_csv(f"{name}.csv")
        assert found[column].is_finite().all() and "LPIRL" in set(found["policy"])
        assert Path(f"{name}.svg").read_text().startswith("<?xml")
    assert "left out: SessionPopularity (no network of ours)" in done.output
    for words, said in (
        (("counts", "--output=a.png"), "folders of runs, or --dataset"),
        (("counts", "runs/a", "--beta=1", "--output=a.png"), "settings are for runs that"),
        (("learning", "runs/a", "--output=a.txt"), "--output must end in"),
        (("weights", "runs/floor", "--output=a.png"), "no policy has a network of ours"),
    ):
        assert said in " ".join(call(*words).output.split())


def test_a_figure_of_a_plan_trains_once(log, monkeypatch):
    Path("plan.yaml").write_text(
        "shared: {split_seed: 2020, epochs: 1}\nreference: LoggingPolicy\nrows:\n"
        "  LoggingPolicy: {}\n  LPI: {fixed: {beta: 1.0}}\n"
        "  far: {model: LPI, fixed: {beta: 0.3}}\n"
    )
    small = [f"--{name}={value}" for name, value in SMALL.items() if name != "epochs"]
    words = ["hyperparameters", "--plan=plan.yaml", "--dataset=shop", "--output=f.png", *small]
    first = call(*words)
    assert first.exit_code == 0, first.output
    table = Path("f.csv").read_text()
    assert set(pl.read_csv("f.csv")["value"]) == {1.0, 0.3}
    monkeypatch.setattr(runner, "run", lambda *_: pytest.fail("trained again"))
    Path("f.csv").unlink()
    assert call(*words).exit_code == 0 and Path("f.csv").read_text() == table
    names = ["--plan=plan.yaml", "--dataset=shop", "--only=LPI,far", "--runs=runs/hyperparameters"]
    done = call("counts", *names, "--seeds=1", "--output=g.png", *small)
    assert done.exit_code == 0, done.output
    assert set(pl.read_csv("g.csv")["policy"]) == {"LPI (beta=1.0)", "LPI (beta=0.3)"}
