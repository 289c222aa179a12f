"""What the benchmark of half precision times: the same steps, each in its own precision."""

from typing import Any

import torch

from benchmarks import acceleration
from benchmarks.large_catalogue import generate
from benchmarks.steps import take_steps, training_part


def test_each_setting_takes_the_same_steps_in_its_own_precision(tmp_path):
    generate(tmp_path / "catalogue", 3000, length=6.0)
    settings = {name: acceleration.SETTINGS[name] for name in ("float32", "TF32", "bfloat16")}
    train = training_part(acceleration.given(tmp_path))
    heads: Any = acceleration.policy_trainer("LPIRL", train, tmp_path).network.heads
    assert len(heads["q"]) == 2
    dropless = {"hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0}
    trainers = {
        name: acceleration.policy_trainer("LoggingPolicy", train, tmp_path, **dropless, **more)
        for name, more in settings.items()
    }
    before = trainers["float32"].network.item_embedding.weight.detach().clone()
    take_steps(trainers, 2)
    full, lower, half = (one.network.item_embedding.weight.detach() for one in trainers.values())
    moved = (full - before).norm()
    assert moved > 0 and not torch.equal(full, half)
    assert (half - full).norm() < 0.1 * moved and (lower - full).norm() < 0.1 * moved


def test_rates_and_seconds_are_of_every_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(acceleration, "SIDE", {"cpu": 64, "cuda": 64})
    generate(tmp_path / "catalogue", 3000, length=6.0)
    chosen = {name: acceleration.SETTINGS[name] for name in ("float32", "bfloat16")}
    found = acceleration.step(tmp_path, "LoggingPolicy", chosen, 2)
    rates = {f"{name}, rate{of}" for name in chosen for of in ("", " of the gradient")}
    assert set(found) == {"events", *chosen, *rates}
    assert min(found.values()) > 0
    assert 256 < found["events"] < 6 * 256
