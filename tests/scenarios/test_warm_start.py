"""Runs that begin with the weights of another: what they say, how they go on, what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.quick_start import run_recbole

from recbole_lpi.plugin.runner import run
from recbole_lpi.policy import load_policy
from recbole_lpi.settings import SettingError
from recbole_lpi.training.loop import TrainingLoop
from tests.support.logs import SMALL, broken_off_after, write_log

pytestmark = pytest.mark.recbole
GIVEN = {**SMALL, "logging_policy": "none"}


def train(model, run_dir, **given):
    return run(model, "shop", (), {**GIVEN, "run_dir": run_dir, **given})


@pytest.fixture
def mu(log):
    """A run of a logging policy, and a log that has grown since: five items more, three gone."""
    train("LoggingPolicy", "runs/mu", epochs=1)
    write_log(log.parents[1], items=30, sessions=140, seed=1)
    text = log.read_text().splitlines()
    gone = {"\ti1\t", "\ti2\t", "\ti3\t"}
    log.write_text("\n".join(row for row in text if not any(i in row for i in gone)) + "\n")
    return Path("runs/mu")


def first_weights(monkeypatch, *args, **given):
    """The embedding of a run's items at its first step, by name, and the line of its log."""
    seen: dict[str, Any] = {}
    original = TrainingLoop.run

    def noting(loop, *rest, **more):
        weights = loop.module.item_embedding.weight
        seen.update(rows=weights.detach().clone())
        return original(loop, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(TrainingLoop, "run", noting)
        finished = train(*args, **given)
    lines = finished.folder.log.read_text().splitlines()
    items = load_policy(finished.folder.path).items
    assert items is not None
    return dict(zip(items, seen["rows"], strict=True)), [s for s in lines if "init_from" in s]


def test_a_run_begins_where_another_ended(mu, monkeypatch):
    rows, said = first_weights(monkeypatch, "LPIRL", "runs/b", init_from=mu)
    network, items = load_policy(mu)
    assert items is not None
    theirs = dict(zip(items, network.item_embedding.weight, strict=True))
    both = rows.keys() & theirs.keys()
    assert len(both) == 23 and len(rows) == 28  # with padding
    assert all(torch.equal(rows[name], theirs[name]) for name in both)
    assert len(said) == 1 and said[0].endswith(
        f"init_from: {mu}, LoggingPolicy: of its items 22 are kept and 3 dropped, 5 are new and "
        "begin fresh; heads that begin fresh: value"
    )


def test_a_resumed_run_does_not_begin_again(mu, monkeypatch):
    whole = train("LoggingPolicy", "runs/whole", init_from=mu)
    with broken_off_after(0, monkeypatch):
        train("LoggingPolicy", "runs/b", init_from=mu)
    shutil.rmtree(mu)  # gone, and not needed any more
    resumed = run(config_dict={"resume": "runs/b"})
    assert resumed.folder.log.read_text().count("init_from") == 1
    assert resumed.results == whole.results


def test_recboles_own_flow_begins_there_too(mu, monkeypatch):
    given = {**GIVEN, "init_from": str(mu), "run_dir": "runs/b", "epochs": 1}
    run_recbole(model="LPIRL", dataset="shop", config_dict=given)
    assert "22 are kept" in Path("runs/b/log.txt").read_text()


def test_auto_does_not_take_a_logging_policy_that_began_elsewhere(log):
    """It has the settings of what auto would train, and is another policy."""
    scratch = train("LoggingPolicy", "runs/mu", epochs=1)
    begun = train("LoggingPolicy", "runs/again", epochs=1, init_from="runs/mu")
    assert "identity" in json.loads(scratch.folder.metrics.read_text())
    assert "identity" not in json.loads(begun.folder.metrics.read_text())


def test_what_cannot_be_begun_from_is_refused_before_any_work(log):
    with pytest.raises(SettingError, match="no checkpoint at runs/nowhere"):  # and no data either
        run("LPIRL", "absent", (), {**GIVEN, "run_dir": "runs/b", "init_from": "runs/nowhere"})
    train("SASRec", "runs/sas", epochs=1)
    with pytest.raises(SettingError, match=r"init_from: runs/sas holds a SASRec; a policy begins"):
        train("LPIRL", "runs/b", init_from="runs/sas")
    with pytest.raises(SettingError, match="init_from is for policies; SASRec begins"):
        train("SASRec", "runs/b", init_from="runs/sas")
    assert not Path("runs/b").exists()
