"""A made-up log, trainers on it, and steps that they take in turn on the same batches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recbole_lpi import settings
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.epochs import SessionEpochs
from recbole_lpi.training.learner import PolicyLearner
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.step import TrainingStep


def training_part(given: Mapping[str, Any]) -> Any:
    """Of the log ``catalogue``."""
    from recbole_lpi.plugin.dataset import PolicyDataset
    from recbole_lpi.plugin.runner import make_config
    from recbole_lpi.training.memory import keep_freed_memory

    keep_freed_memory()
    return PolicyDataset(make_config("LPIRL", "catalogue", (), given)).build()[0]


@dataclass(frozen=True)
class Steps:
    """The batches of a policy's epoch, and the steps it takes on them."""

    network: PolicyNetwork
    epochs: SessionEpochs
    step: TrainingStep


def steps_of(model: str, train: Any, given: Mapping[str, Any]) -> Steps:
    """Those of a policy on the log, which has been read once."""
    from recbole_lpi.plugin.model_factory import make_model
    from recbole_lpi.plugin.runner import make_config

    config = make_config(model, "catalogue", (), given)
    torch.manual_seed(0)
    network, device = make_model(config, train).network, torch.device(config["device"])
    s = TrainingSettings.of(config)
    optimizer = s.optimiser(network.parameters(), network.sparse_parameters)
    acceleration = settings.read(AccelerationSettings, config)
    step = TrainingStep(
        network, PolicyLearner(network).losses, optimizer, acceleration, device,
        clip=s.clip_grad_norm,
    )  # fmt: skip
    epochs = SessionEpochs(train, s.train_batch_size, s.reward_sampling, device)
    return Steps(network, epochs, step)


def take_steps(trainers: Mapping[str, Steps], steps: int) -> dict[str, list[tuple[float, float]]]:
    """Seconds and CPU seconds of steps, trainers in turn on each batch; the first one warms up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in trainers}
    for one in trainers.values():
        batches = one.epochs.begin(0, np.random.default_rng(0))  # the same of each
        one.network.train()
    for step, index in enumerate(batches[: steps + 1]):
        for name, one in trainers.items():
            _wait(one)
            began = time.perf_counter(), time.process_time()
            with torch.autograd.set_detect_anomaly(False), one.step.acceleration.training():
                one.step(one.epochs.batch(index), 0, step)
            _wait(one)
            if step:
                clock, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
                times[name].append((clock, cpu))
    return times


def _wait(one: Steps) -> None:
    """For what a GPU has still to do."""
    if one.step.device.type == "cuda":
        torch.cuda.synchronize(one.step.device)
