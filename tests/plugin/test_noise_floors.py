"""How far two seeds of the logging policy are apart: trained once, measured once, told."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from recbole_lpi.cli.run_report import show
from recbole_lpi.evaluation import EvaluationPass, rank_policy
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config, run
from recbole_lpi.policy import load_policy
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from tests.support.logs import SMALL, broken_off_after

pytestmark = pytest.mark.recbole

GIVEN = {**SMALL, "epochs": 1, "split_seed": 1, "logging_policy_seeds": 2}
BOTH = {"js_divergence", "kl_divergence"}


def train(run_dir="runs/a", model="LPIRL", **given):
    return run(model, "shop", (), {**GIVEN, "run_dir": run_dir, **given})


def by_seed() -> dict[int, RunFolder]:
    folders = map(RunFolder, Path("runs/logging_policy").iterdir())
    return {f.read_config()["seed"]: f for f in folders if f.begun}


def test_two_seeds_are_trained_and_measured_once(log, caplog):
    first = train()
    made = by_seed()
    assert made.keys() == {2020, 2021} and set(first.verdicts.noise_floor) == BOTH
    written = made[2020].model.stat().st_mtime_ns
    made[2021].model.unlink()  # what is kept is read, and not even this is needed
    caplog.clear()
    with caplog.at_level(logging.INFO):
        second = train("runs/b", beta=0.5)
    assert second.verdicts.noise_floor == first.verdicts.noise_floor
    assert second.results["test"]["js_divergence"] != first.results["test"]["js_divergence"]
    assert "noise floor: two seeds of the logging policy differ by JS 0." in caplog.text
    assert "second logging policy" not in caplog.text
    assert made[2020].model.stat().st_mtime_ns == written


def test_it_is_the_mean_over_the_test_events_with_an_error_over_sessions(log):
    found = train()
    mu = {seed: load_policy(folder.path).network for seed, folder in by_seed().items()}
    test = PolicyDataset(make_config("LPIRL", "shop", (), GIVEN)).build()[2]
    table = rank_policy(mu[2021], test, EvaluationPass(64, torch.device("cpu"), mu[2020]))
    for name, each in (("js_divergence", table.js), ("kl_divergence", table.kl)):
        estimate = found.verdicts.noise_floor[name]
        each = each.astype(np.float64)
        assert estimate.mean == pytest.approx(each.mean(), abs=1e-6) and estimate.mean > 0
        sums = np.bincount(table.session, each - each.mean())[np.unique(table.session)]
        n = len(sums)
        wanted = np.sqrt(n / (n - 1) * (sums**2).sum()) / len(each)
        assert estimate.stderr == pytest.approx(wanted, rel=1e-4)
        assert estimate.count == len(each)


def test_it_is_in_the_metrics_and_in_the_table(log):
    finished = train()
    kept = finished.folder.read_metrics()["noise_floor"]
    assert kept == {name: asdict(found) for name, found in finished.verdicts.noise_floor.items()}
    said = io.StringIO()
    show(finished, Console(file=said, width=300))
    js, floor = (
        finished.results["test"]["js_divergence"],
        finished.verdicts.noise_floor["js_divergence"],
    )
    line = (
        f"{js.mean:.4f} ± {js.stderr:.4f} (two seeds of the logging policy differ by "
        f"{floor.mean:.4f} ± {floor.stderr:.4f}: nothing below that is a difference)"
    )
    assert line in said.getvalue()


@pytest.mark.parametrize("given", [
    {"logging_policy_seeds": 1}, {"logging_policy": "none"}, {"metrics": ["ndcg"]},
])  # fmt: skip
def test_where_nobody_asks_nothing_is_trained(log, given):
    finished = train(**given)
    assert (
        finished.verdicts.noise_floor is None
        and finished.folder.read_metrics()["noise_floor"] is None
    )
    assert not Path("runs/logging_policy").exists() or list(by_seed()) == [2020]


def test_a_run_is_the_same_with_and_without(log):
    assert train().results == train("runs/b", logging_policy_seeds=1).results


def test_another_test_part_is_measured_anew_but_not_trained_for(log):
    first = train(split_ratio=[None, 12, 12])
    (file,) = Path("runs/logging_policy").glob("*/noise_floor.json")
    kept = json.loads(file.read_text())
    other = {**kept["js_divergence"], "mean": 9.0}
    file.write_text(json.dumps({**kept, "events": "0" * 16, "js_divergence": other}))
    again = train("runs/b", split_ratio=[None, 12, 12])
    assert (
        again.verdicts.noise_floor == first.verdicts.noise_floor
        and json.loads(file.read_text()) == kept
    )
    for broken in ("{", json.dumps({**kept, "js_divergence": {"mean": "much"}}), "[" * 9999):
        file.write_text(broken)
        assert train(f"runs/c{len(broken)}", split_ratio=[None, 12, 12]).verdicts.noise_floor == (
            first.verdicts.noise_floor
        )


def test_broken_off_in_the_second_training_it_is_gone_on_with(log, monkeypatch):
    whole = train("runs/whole", logging_policy_dir="runs/one")
    with monkeypatch.context() as patched:
        patched.setattr(
            "recbole_lpi.plugin.logging_policy.noise_floors.found_or_trained",
            _breaking_off(monkeypatch),
        )
        with pytest.raises(KeyboardInterrupt):
            train("runs/killed")
    second = by_seed()[2021]
    assert second.resume.is_file() and not second.finished
    began = second.config.stat().st_mtime_ns
    resumed = run(config_dict={"resume": "runs/killed"})
    assert (
        resumed.verdicts.noise_floor == whole.verdicts.noise_floor
        and resumed.results == whole.results
    )
    assert second.config.stat().st_mtime_ns == began and second.finished


def _breaking_off(monkeypatch):
    from recbole_lpi.plugin.logging_policy.making import found_or_trained

    def broken(*args):
        with broken_off_after(1, monkeypatch):
            found_or_trained(*args)
        raise KeyboardInterrupt

    return broken


def test_the_lines_of_each_are_told_apart(log, caplog):
    with caplog.at_level(logging.INFO):
        train()
    said = [record.getMessage() for record in caplog.records]
    for name in ("", "logging policy: ", "second logging policy: "):
        assert any(line.startswith(f"{name}epoch 0 training [") for line in said), name
    for seed, name in ((2020, "logging policy"), (2021, "second logging policy")):
        lines = by_seed()[seed].log.read_text().splitlines()
        for kind in ("training", "evaluating", "validation"):
            assert any(f" {name}: epoch 1 {kind} [" in line for line in lines), (name, kind)
            assert not any(f"INFO epoch 1 {kind}" in line for line in lines)
    own = Path("runs/a/log.txt").read_text()
    assert "INFO epoch 0 validation [" in own and "epoch 1 training" not in own


def test_a_number_of_seeds_that_there_is_not(log):
    with pytest.raises(SettingError, match="logging_policy_seeds must be 2, or 1"):
        train(logging_policy_seeds=3)
