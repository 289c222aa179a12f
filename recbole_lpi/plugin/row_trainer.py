"""Training and evaluation of what reads a row per event: RecBole's own models, and the floors."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import TrainDataLoader
from recbole.data.transform import construct_transform
from recbole.sampler import RepeatableSampler
from torch import Tensor

from recbole_lpi.data.sequences import target_places
from recbole_lpi.evaluation.event_ranking import (
    EvaluationPass,
    Imputed,
    Progress,
    by_rows,
    rank_events,
)
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.plugin.baselines import GIVE_PROBABILITIES
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.models import LoggingPolicy
from recbole_lpi.plugin.policy_recommender import Losses
from recbole_lpi.plugin.trainer import PolicyTrainer

SMALLEST = 1e-8  # RecBole adds it to a probability before it takes the logarithm


class RowTrainer(PolicyTrainer):
    """``PolicyTrainer`` for a model that has ``calculate_loss`` and ``full_sort_predict`` alone.

    A row is an event with the items before it, cut from the store when a batch asks for it. A model
    without parameters is fitted already, and not trained.
    """

    cure = "lower learning_rate or set clip_grad_norm"

    def __init__(self, config: Any, model: Any, *folder_and_resume: Any) -> None:
        super().__init__(config, model, *folder_and_resume)
        self.stopped = not any(True for _ in model.parameters())
        self._mu: LoggingPolicy | None = None
        self._loader: TrainDataLoader | None = None

    def _begin_epoch(self, epoch: int) -> None:
        """Nothing: the model's loss is the same in every epoch."""

    def _compare_with(self, mu: LoggingPolicy | None) -> None:
        self._mu = None if mu is None else mu.to(self.device)

    def _batches(self, train: PolicyDataset, rng: np.random.Generator) -> list[np.ndarray]:
        """Rows in an order of this epoch, ``train_batch_size`` or one fewer in each batch."""
        if self._loader is None:
            self._loader = training_loader(self.config, train)
            self._loader.get_model(self.model)
        # What masks items and samples negatives draws from these: like the order, by the epoch.
        random.seed(int(rng.integers(2**32)))
        np.random.seed(int(rng.integers(2**32)))
        order = rng.permutation(self._learnt_from(train))
        return np.array_split(order, -(-len(order) // self._loader.step))

    def _learnt_from(self, train: PolicyDataset) -> np.ndarray:
        """Rows of the events that carry a policy's loss: the last of each session (Figure 1a)."""
        return np.flatnonzero(np.isin(train.places, target_places(train.training_windows)))

    def _made(self, train: PolicyDataset, batches: list[np.ndarray]) -> Iterable[Any]:
        """Not ahead: what makes them draws from the same generators as the model may."""
        return (self._batch(train, index) for index in batches)

    def _batch(self, train: PolicyDataset, index: np.ndarray) -> Any:
        assert self._loader is not None
        return self._loader.collate_fn(index).to(self.device)

    def _losses(self, batch: Any) -> Losses:
        losses = self.model.calculate_loss(batch)
        if not isinstance(losses, tuple):
            return Losses({"loss": losses}, {})
        return Losses({f"loss {i}": loss for i, loss in enumerate(losses, 1)}, {})

    def _table(
        self, held: PolicyDataset, divergence: bool, bar: Progress, imputed: Imputed | None
    ) -> EventTable:
        transform = construct_transform(self.config)

        def logits(rows: np.ndarray) -> Tensor:
            scores = self.model.full_sort_predict(transform(held, held[rows]).to(self.device))
            scores = scores.view(len(rows), -1)[:, 1 : held.item_num]
            if self.config["model"] in GIVE_PROBABILITIES:
                return torch.log(scores + SMALLEST)
            return torch.as_tensor(scores)

        mu = self._mu if divergence else None
        size, number = self.settings.eval_batch_size, self.settings.divergence_candidates
        how = EvaluationPass(size, self.device, mu, number, imputed, bar)
        return rank_events(by_rows(logits, held), held, how)


def training_loader(config: Any, train: PolicyDataset) -> TrainDataLoader:
    """RecBole's, for its transforms and its negative samples; the order of rows is ours."""
    args, sampler = config["train_neg_sample_args"], None
    if args["distribution"] != "none":
        sampler = RepeatableSampler(["train"], train, args["distribution"], args["alpha"])
        sampler = sampler.set_phase("train")
    return TrainDataLoader(config, train, sampler)
