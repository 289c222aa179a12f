"""Runs under reward-aware sampling."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.step import TrainingStep
from tests.support.logs import SMALL, broken_off_after


def train(run_dir, model="LPIRL", **given):
    return run(model, "shop", (), {**SMALL, "run_dir": run_dir, **given})


SAMPLED = [
    {"correct": True},
    {"unit": "event", "replacement": False, "fraction": 0.5},
]


@pytest.mark.parametrize("sampling", SAMPLED)
def test_a_sampled_run_goes_on_to_the_same_bits(log, monkeypatch, sampling):
    given = {"reward_sampling": sampling, "epochs": 4, "logging_policy": "none"}
    whole = train("runs/whole", **given)
    with broken_off_after(1, monkeypatch):
        train("runs/broken", **given)
    assert run(config_dict={"resume": "runs/broken"}).results == whole.results
    said = [
        re.findall(r"epoch \d sampling \[.*\]", (Path(folder) / "log.txt").read_text())
        for folder in ("runs/whole", "runs/broken")
    ]
    assert said[0] == said[1] and len({line[7:] for line in said[0]}) > 2  # anew each epoch
    plain = train("runs/plain", **{**given, "reward_sampling": None})
    assert plain.results != whole.results
    assert "sampling" not in plain.folder.log.read_text()


def test_a_step_learns_from_what_was_drawn_at_its_weight(log, monkeypatch):
    """The plain mean over the draws: means of the sample weights over each batch average to 1."""
    seen: dict[Any, Any] = {}
    take = TrainingStep.__call__

    def watched(step, share, epoch, *rest):
        batch, whole = share
        assert whole is None  # of which it would be a share
        seen.setdefault(epoch, []).append(batch.sample_weight[batch.counts])
        return take(step, share, epoch, *rest)

    monkeypatch.setattr(TrainingStep, "__call__", watched)
    train("runs/a", "LoggingPolicy", reward_sampling={"unit": "event", "alpha": 0})
    for weights in seen.values():
        assert len(weights) > 1
        assert sum(float(w.mean()) for w in weights) / len(weights) == pytest.approx(1)
        undrawn = float((torch.cat(weights) == 0).float().mean())
        assert undrawn == pytest.approx(0.35, abs=0.1)  # 1/e of all, less sessions left out


def test_the_logging_policy_is_trained_on_every_session(log):
    """It is the estimate of what made the logs, whatever the policy learns from."""
    train("runs/a", logging_policy_dir="runs/mu_a")
    train("runs/b", logging_policy_dir="runs/mu_b", reward_sampling={"alpha": 2})
    states = []
    for root in ("runs/mu_a", "runs/mu_b"):
        (folder,) = (path for path in Path(root).iterdir() if path.is_dir())
        states.append(torch.load(RunFolder(folder).model, weights_only=True)["state_dict"])
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


@pytest.mark.parametrize("correct", [True, False])
def test_a_logging_policy_that_was_drawn_towards_rewards_is_told(log, correct):
    train("runs/mu", "LoggingPolicy", reward_sampling={"correct": correct})
    said = train("runs/a", logging_policy="runs/mu").folder.log.read_text()
    assert ("drawn towards rewards" in said) is not correct


def test_data_that_cannot_be_drawn_from_is_refused_before_any_work(log):
    log.write_text(log.read_text().replace("\t0.2\n", "\t0.0\n"))
    given = {"unit": "event", "epsilon": 0, "correct": True}
    with pytest.raises(SettingError, match="events would never be drawn"):
        train("runs/a", reward_sampling=given)
    assert not Path("runs/a").exists() and not Path("runs/logging_policy").exists()
