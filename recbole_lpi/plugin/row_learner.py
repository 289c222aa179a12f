"""Train models that read a row per event: RecBole's own, and baselines that count."""

from __future__ import annotations

import random
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.data.transform import construct_transform
from recbole.sampler import RepeatableSampler
from torch import Tensor

from recbole_lpi.data.windows import target_places
from recbole_lpi.evaluation.event_ranking import Ranker, by_rows
from recbole_lpi.objectives import Objective
from recbole_lpi.plugin.model_factory import GIVE_PROBABILITIES
from recbole_lpi.policy.loss_parts import LossParts
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.settings import SettingError
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.distributed import Ranks
from recbole_lpi.training.settings import TrainingSettings

SMALLEST = 1e-8  # RecBole adds it to a probability before it takes the logarithm


class RowEpochs:
    """Epochs over the rows of a training part, as RecBole's own loader makes them.

    A row is an event with the items before it, cut from the store when a batch asks for it.
    """

    def __init__(self, config: Any, model: Any, train: Any, device: torch.device) -> None:
        self.config, self.model, self.train, self.device = config, model, train, device

    @cached_property
    def loader(self) -> TrainDataLoader:
        """RecBole's loader, made at the first epoch, for baselines that count have none."""
        loader = training_loader(self.config, self.train)
        loader.get_model(self.model)
        return loader

    def begin(self, epoch: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return rows in the order of an epoch, ``train_batch_size`` or one fewer in each batch."""
        # What masks items and samples negatives draws from these: like the order, by the epoch.
        random.seed(int(rng.integers(2**32)))
        np.random.seed(int(rng.integers(2**32)))
        # Events that carry a policy's loss: the last of each session (Figure 1a).
        trained = np.isin(self.train.places, target_places(self.train.training_windows))
        order = rng.permutation(np.flatnonzero(trained))
        return np.array_split(order, -(-len(order) // self.loader.step))

    def batches(self, indices: list[np.ndarray]) -> Iterable[Any]:
        """Make the batches one by one: to prefetch would share a generator with the model."""
        return (self.batch(index) for index in indices)

    def batch(self, index: np.ndarray) -> Any:
        """Return the rows of ``index``, transformed and with negatives as the model asks."""
        return self.loader.collate_fn(index).to(self.device)


class RowLearner:
    """A learner around a model with ``calculate_loss`` and ``full_sort_predict`` alone.

    A model without parameters is fitted already, and not trained.
    """

    cure = "lower learning_rate or set clip_grad_norm"
    objective: Objective | None = None
    warming_up = False

    def __init__(self, config: Any, model: Any) -> None:
        self.config, self.module = config, model
        self.logging_policy: PolicyNetwork | None = None

    def compare_with(self, logging_policy: PolicyNetwork | None) -> None:
        """Take ``logging_policy`` to the device of the model, to compare with."""
        self.logging_policy = None
        if logging_policy is not None:
            self.logging_policy = logging_policy.to(self.config["device"])

    def epochs(
        self, train: Any, settings: TrainingSettings, device: torch.device, ranks: Ranks
    ) -> RowEpochs:
        """Return epochs over the rows of ``train``."""
        return RowEpochs(self.config, self.module, train, device)

    def begin_epoch(self, epoch: int) -> None:
        """Do nothing: the model's loss is the same in every epoch."""

    def losses(self, batch: Any) -> LossParts:
        """Take RecBole's loss, or losses, of a batch."""
        losses = self.module.calculate_loss(batch)
        if not isinstance(losses, tuple):
            return LossParts({"loss": losses}, {})
        return LossParts({f"loss {i}": loss for i, loss in enumerate(losses, 1)}, {})

    def ranker(self, held: Any, device: torch.device) -> Ranker:
        """Return a function that ranks events by the logits of one prefix each."""
        transform = construct_transform(self.config)

        def logits(rows: np.ndarray) -> Tensor:
            scores = self.module.full_sort_predict(transform(held, held[rows]).to(device))
            scores = scores.view(len(rows), -1)[:, 1 : held.item_num]
            if self.config["model"] in GIVE_PROBABILITIES:
                return torch.log(scores + SMALLEST)
            return torch.as_tensor(scores)

        return by_rows(logits, held)

    def share_draws(self, draws: torch.Generator | None) -> None:
        """Do nothing: RecBole's models train in one process."""

    def compile(self, acceleration: AccelerationSettings, device: torch.device) -> None:
        """Refuse: the model has no encoder of this package."""
        raise SettingError(f"compile: {self.config['model']} has no encoder of this package")


def training_loader(config: Any, train: Any) -> TrainDataLoader:
    """Make RecBole's loader, which transforms rows and draws negatives; their order is ours."""
    args, sampler = config["train_neg_sample_args"], None
    if args["distribution"] != "none":
        sampler = RepeatableSampler(["train"], train, args["distribution"], args["alpha"])
        sampler = sampler.set_phase("train")
    return TrainDataLoader(config, train, sampler)
