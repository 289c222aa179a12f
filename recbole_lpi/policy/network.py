"""A policy as a torch module: an encoder, a softmax over the items, and auxiliary heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from recbole_lpi.data.batches import Batch
from recbole_lpi.nn.candidates import Sampler
from recbole_lpi.nn.catalogue import Factors
from recbole_lpi.objectives import OBJECTIVES, Objective
from recbole_lpi.objectives.weights import uniform
from recbole_lpi.policy.auxiliary_heads import heads_of_step, make_head
from recbole_lpi.policy.candidate_sampling import make_sampler
from recbole_lpi.policy.loss_parts import (
    GlobalBatch,
    LossParts,
    draw_candidates,
    events_of,
    loss_parts,
)
from recbole_lpi.policy.losses import Events, StepLosses, compute_losses
from recbole_lpi.policy.normalization import TINY, MeanWeightSize
from recbole_lpi.policy.scoring import ScoringNetwork
from recbole_lpi.policy.settings import CandidateSettings, PolicySettings


class PolicyNetwork(ScoringNetwork):
    """A scoring network that an objective trains, with the heads that the objective asks for.

    With ``softmax: sampled`` the softmax of a training step is estimated from candidates.

    Args:
        name: the row of OBJECTIVES that trains it.
        settings: what it is built from.
        n_items: A, the number of items; their ids are 1 … A, and 0 is padding.
        max_reward: the largest reward of the training data, max r of section 3.1.
        item_counts: how often each item is logged in training, int [A]; sampled softmax needs it.
        encoder: [B, L, D] embeddings of events to [B, L, D] states, causal; the settings' if None.
        heads: auxiliary heads by name, in the place of those the settings ask for: ``q`` a
            ModuleList of one or two like QHead, ``value`` like ValueHead, ``propensity`` like
            PropensityHead.
        event_names: the kinds of event by their code; needed where ``inputs`` has ``event``.

    Raises:
        ValueError: the settings make no sense in this policy.
        SettingError: the encoder or the candidates cannot be had.
    """

    def __init__(
        self,
        name: str,
        settings: PolicySettings,
        n_items: int,
        max_reward: float = 0.0,
        item_counts: np.ndarray | None = None,
        encoder: nn.Module | None = None,
        heads: Mapping[str, nn.Module] | None = None,
        event_names: Sequence[str] = (),
    ) -> None:
        super().__init__(settings, n_items, encoder, event_names)
        self.name = name
        self.objective: Objective = OBJECTIVES[name]
        self.objective.check(name, settings.objective)
        self.max_reward, softmax = max_reward, settings.softmax
        self.candidates: Sampler | None = None
        if softmax.softmax == "sampled" and item_counts is not None:
            sampling = softmax.candidate_sampling or CandidateSettings()
            self.candidates = make_sampler(sampling, item_counts)
        self.heads = nn.ModuleDict()
        for head in self.objective.heads(settings.objective):
            own = (heads or {}).get(head)
            made = own or make_head(head, self.objective, settings, n_items, self.n_kinds)
            self.heads[head] = made
        normalized = settings.objective.weight_normalize
        self.mean_weight_size = MeanWeightSize() if normalized else None
        self.epoch = 0
        # What Q heads and candidates are drawn from, where not from torch's own generator.
        self.draws: torch.Generator | None = None
        self._logging: list[PolicyNetwork] = []  # in a list: no part of this module's state

    @property
    def logging_policy(self) -> PolicyNetwork | None:
        """The frozen logging policy that training and evaluation compare with, or None."""
        return self._logging[0] if self._logging else None

    def compare_with(self, logging_policy: PolicyNetwork | None) -> None:
        """Take ``logging_policy``, frozen and on the device of this policy, to compare with.

        Raises:
            ValueError: there is none, and the objective cannot be computed without one; or it
                reads other kinds of event than this policy.
        """
        self._logging = []
        if logging_policy is not None:
            both = logging_policy.reads_events and self.reads_events
            if both and logging_policy.event_names != self.event_names:
                raise ValueError(
                    f"the logging policy reads the kinds of event "
                    f"{', '.join(logging_policy.event_names)}, this policy "
                    f"{', '.join(self.event_names)}: give both the same event_names"
                )
            device = self.item_embedding.weight.device
            self._logging = [logging_policy.to(device).requires_grad_(False).eval()]
        elif self.needs_logging_policy:
            raise ValueError("this policy needs a logging policy, and logging_policy is none")

    @property
    def needs_logging_policy(self) -> bool:
        """Whether the objective cannot be computed without a logging policy."""
        return self.objective.needs_logging_policy(self.settings.objective)

    @property
    def needs_propensities(self) -> bool:
        """Whether the objective cannot be computed without the propensities that a log has."""
        return self.objective.needs_propensities(self.settings.objective)

    def begin_epoch(self, epoch: int) -> None:
        """Say that the losses asked for from here on are of ``epoch``, counted from 0."""
        self.epoch = epoch
        if self.mean_weight_size is not None:
            self.mean_weight_size.begin_epoch()

    @property
    def warming_up(self) -> bool:
        """Whether the weights of this epoch are still uniform."""
        return self.epoch < self.settings.objective.warmup_epochs

    def losses(self, batch: Batch, whole: GlobalBatch | None = None) -> LossParts:
        """Take the loss of a batch of sessions, by part (Eq. 10).

        Of a share of the batch ``whole`` it is what the share adds to the loss of the whole: the
        sum over the shares, and so that of their gradients, is that of one process. Diagnostics
        are of the whole.

        Raises:
            ValueError: no event of the batch carries loss.
        """
        events, found = self.step_losses(batch, whole)
        weight, drawn_weight = found.policy.weight, events.sample_weight
        sums = torch.stack([drawn_weight.sum(), weight.sum(), weight.abs().sum(),
                            weight.square().sum()])  # fmt: skip
        given, count, share = self.settings.objective, len(events.reward), 1.0
        if whole is not None:
            count, sums = len(whole.logged.action), whole.total(sums)
            share = len(events.reward) / count  # of the means below
        drawn, signed, size, square = sums
        scale = None
        if self.mean_weight_size is not None and not self.warming_up:
            scale = self.mean_weight_size(size, drawn)
        fraction = (size / count).square() / (square / count).clamp_min(TINY)
        return LossParts(
            loss_parts(found, given.td_weight, share, scale),
            {"mean weight": signed / drawn, "effective fraction": fraction},
        )

    def step_losses(
        self, batch: Batch, whole: GlobalBatch | None = None
    ) -> tuple[Events, StepLosses]:
        """Return the N events of a batch that carry loss, and what each adds to it.

        Raises:
            ValueError: no event of the batch carries loss.
        """
        if not batch.counts.any():
            raise ValueError("no event of this batch counts")
        state = self.forward(batch.history)[batch.counts]
        seen = self.seen(batch.history, batch.counts)
        events = events_of(batch, state, self.max_reward)
        objective = replace(self.objective, weight=uniform) if self.warming_up else self.objective
        heads, candidates = heads_of_step(self.heads, self.draws), None  # drawn in this order
        if self.candidates is not None:
            candidates = draw_candidates(self.candidates, batch, events, whole, self.draws)
        return events, compute_losses(
            events, self.factors_of(state, seen), objective, self.settings.objective, heads,
            self._logging_factors(batch), candidates, seen,
        )  # fmt: skip

    def _logging_factors(self, batch: Batch) -> Factors | None:
        """What gives the logits of the logging policy, where the objective reads it."""
        mu = self.logging_policy
        if not self.needs_logging_policy or mu is None:
            return None
        return mu.factors(batch.history, batch.counts)
