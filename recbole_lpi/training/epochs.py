"""The batches of an epoch: whole sessions, or sessions and events drawn by their reward."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch

from recbole_lpi.data.batches import Batch
from recbole_lpi.data.prefetch import prefetched
from recbole_lpi.data.reward_sampling import RewardSampler, SamplingSettings
from recbole_lpi.data.session_data import SessionData
from recbole_lpi.data.windows import Windows, logged_targets, training_batches
from recbole_lpi.nn.candidates import LoggedItems
from recbole_lpi.policy.loss_parts import GlobalBatch
from recbole_lpi.training.distributed import ALONE, Ranks


class Epochs(Protocol):
    """What gives a loop its batches."""

    def begin(self, epoch: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return what each step of an epoch is taken on, drawn by ``rng``."""

    def batches(self, indices: list[np.ndarray]) -> Iterable[Any]:
        """Make the batches of what ``begin`` returned, in order."""


class SessionEpochs:
    """Epochs over the training windows of a part, each a batch for ``PolicyNetwork.losses``.

    Args:
        train: the training part.
        batch_size: windows per step, on average.
        sampling: how an epoch is drawn by reward; None: every window once.
        device: where batches go.
        ranks: the processes that share a batch.
    """

    def __init__(
        self,
        train: SessionData,
        batch_size: int,
        sampling: SamplingSettings | None = None,
        device: torch.device | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.train, self.batch_size, self.ranks = train, batch_size, ranks
        self.device = device or torch.device("cpu")
        self.sampler: RewardSampler | None = None
        if sampling is not None:
            self.sampler = RewardSampler(train.sessions, train.training_windows, sampling)
        self._windows: Windows = train.training_windows  # of the epoch's sample, and its weights
        self._weights: np.ndarray | None = None

    def begin(self, epoch: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Return the windows of each step, drawn by ``rng``."""
        sample = self.sampler.draw(rng) if self.sampler else None
        self._windows = sample.windows if sample else self.train.training_windows
        batches = training_batches(self._windows, self.batch_size, rng)
        if self.sampler and sample:
            self._weights = sample.weights(batches)
            drawn = self.sampler.describe(sample)
            logging.getLogger().info(f"epoch {epoch} sampling [{drawn}]")
        return batches

    def batches(self, indices: list[np.ndarray]) -> Iterable[tuple[Batch, GlobalBatch | None]]:
        """Collate windows ahead of the steps that need them."""
        return prefetched(self.batch, indices)

    def batch(self, index: np.ndarray) -> tuple[Batch, GlobalBatch | None]:
        """Return the windows of ``index`` that this process takes, and of what they are a share."""
        own = self.ranks.share(index)
        # With fewer windows than processes some take another's for nothing, so that all step alike.
        windows = self._windows.take(own if len(own) else index[:1])
        batch = self.train.batch(windows, self._weights)
        if not len(own):
            batch = batch._replace(sample_weight=torch.zeros_like(batch.sample_weight))
        whole = None
        if self.ranks.several:
            targets = logged_targets(self.train.sessions, self._windows.take(index))
            whole = GlobalBatch(LoggedItems(*map(torch.from_numpy, targets)), self.ranks.sum)
        return batch.to(self.device), whole
