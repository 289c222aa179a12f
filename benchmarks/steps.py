"""A made-up log, trainers on it, and steps that they take in turn on the same batches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


def training_part(given: Mapping[str, Any]) -> Any:
    """Of the log ``catalogue``."""
    from recbole_lpi.plugin.dataset import PolicyDataset
    from recbole_lpi.plugin.runner import make_config
    from recbole_lpi.training.memory import keep_freed_memory

    keep_freed_memory()
    return PolicyDataset(make_config("LPIRL", "catalogue", (), given)).build()[0]


def trainer(model: str, train: Any, given: Mapping[str, Any]) -> Any:
    """Of a policy on the log, which has been read once."""
    from recbole_lpi.plugin.baselines import make_model
    from recbole_lpi.plugin.runner import make_config
    from recbole_lpi.plugin.trainer import PolicyTrainer

    config = make_config(model, "catalogue", (), given)
    torch.manual_seed(0)
    return PolicyTrainer(config, make_model(config, train))


def take_steps(
    train: Any, trainers: Mapping[str, Any], steps: int
) -> dict[str, list[tuple[float, float]]]:
    """Seconds and CPU seconds of steps, trainers in turn on each batch; the first one warms up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in trainers}
    batches = next(iter(trainers.values()))._batches(train, np.random.default_rng(0))
    for one in trainers.values():
        one._windows = train.training_windows
        one.model.train()
    for step, index in enumerate(batches[: steps + 1]):
        for name, one in trainers.items():
            _wait(one)
            began = time.perf_counter(), time.process_time()
            with torch.autograd.set_detect_anomaly(False), one.acceleration.training():
                one._step(one._batch(train, index), 0, step)
            _wait(one)
            if step:
                clock, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
                times[name].append((clock, cpu))
    return times


def _wait(one: Any) -> None:
    """For what a GPU has still to do."""
    if one.device.type == "cuda":
        torch.cuda.synchronize(one.device)
