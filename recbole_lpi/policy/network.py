"""A policy as a torch module: an encoder, a softmax over the items, and auxiliary heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from recbole_lpi.data.batches import Batch, History
from recbole_lpi.nn.candidates import Sampler
from recbole_lpi.nn.catalogue import Factors, Table
from recbole_lpi.nn.repeats import RepeatHead, Seen, items_seen
from recbole_lpi.nn.sparse_gradients import slice_rows
from recbole_lpi.objectives import OBJECTIVES, Objective
from recbole_lpi.objectives.weights import uniform
from recbole_lpi.policy.auxiliary_heads import heads_of_step, make_head
from recbole_lpi.policy.candidate_sampling import make_sampler
from recbole_lpi.policy.encoders import make_encoder
from recbole_lpi.policy.histories import most_recent, opened
from recbole_lpi.policy.inputs import EventEmbedding
from recbole_lpi.policy.loss_parts import (
    GlobalBatch,
    LossParts,
    draw_candidates,
    events_of,
    loss_parts,
)
from recbole_lpi.policy.losses import compute_losses
from recbole_lpi.policy.normalization import TINY, MeanWeightSize
from recbole_lpi.policy.settings import CandidateSettings, PolicySettings


class PolicyNetwork(nn.Module):
    """π(a | x) = softmax of state(x) · row(a) + c(x, a), trained by an objective.

    c is 0 unless ``repeat_head`` is set, and then of the items that x has seen. The rows are the
    item embedding, which the encoder reads, or with ``tie_weights: False`` a matrix of their own.
    With ``softmax: sampled`` the softmax of a training step is estimated from candidates, and with
    ``learner: sparse_adam`` the gradients of tables of items are sparse.

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
        super().__init__()
        network, softmax = settings.network, settings.softmax
        self.name, self.settings, self.n_items = name, settings, n_items
        self.objective: Objective = OBJECTIVES[name]
        self.objective.check(name, settings.objective)
        if "event" in network.inputs and not event_names:
            raise ValueError("inputs has event, and event_names does not name the kinds of event")
        self.max_reward, self.event_names = max_reward, tuple(event_names)
        self.sparse = softmax.sparse
        self.candidates: Sampler | None = None
        if softmax.softmax == "sampled" and item_counts is not None:
            sampling = softmax.candidate_sampling or CandidateSettings()
            self.candidates = make_sampler(sampling, item_counts)
        self.item_embedding = nn.Embedding(
            n_items + 1 + settings.evaluate_first_event, network.hidden_size, padding_idx=0,
            sparse=self.sparse,
        )  # fmt: skip
        with torch.no_grad():
            self.item_embedding.weight[1:].normal_(std=network.initializer_range)
        self.event_embedding = EventEmbedding(network, len(self.event_names))
        self.output_embedding: nn.Parameter | None = None
        if not network.tie_weights:
            rows = torch.empty(n_items, network.hidden_size)
            self.output_embedding = nn.Parameter(rows.normal_(std=network.initializer_range))
        self.encoder = encoder or make_encoder(network, settings.max_length)
        n_kinds = len(self.event_names) if "event" in network.inputs else 0
        self.repeats = RepeatHead(network.hidden_size, n_kinds) if network.repeat_head else None
        self.heads = nn.ModuleDict()
        for head in self.objective.heads(settings.objective):
            own = (heads or {}).get(head)
            self.heads[head] = own or make_head(head, self.objective, settings, n_items, n_kinds)
        # By which logits are divided; 1 until the policy is trained.
        self.temperature: Tensor | None
        self.register_buffer("temperature", torch.ones(()) if network.fit_temperature else None)
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
        mu = logging_policy
        both = mu is not None and mu.reads_events and self.reads_events
        if mu is not None and both and mu.event_names != self.event_names:
            raise ValueError(
                f"the logging policy reads the kinds of event {', '.join(mu.event_names)}, this "
                f"policy {', '.join(self.event_names)}: give both the same event_names"
            )
        if logging_policy is not None:
            device = self.item_embedding.weight.device
            self._logging = [logging_policy.to(device).requires_grad_(False).eval()]
        elif self.needs_logging_policy:
            raise ValueError("this policy needs a logging policy, and logging_policy is none")

    @property
    def reads_events(self) -> bool:
        """Whether it reads the kind of each event."""
        return "event" in self.settings.network.inputs

    @property
    def needs_logging_policy(self) -> bool:
        """Whether the objective cannot be computed without a logging policy."""
        return self.objective.needs_logging_policy(self.settings.objective)

    @property
    def policy_table(self) -> Table:
        """Rows of the A items: of the embedding, without padding and start token, or their own."""
        if self.output_embedding is not None:
            return Table(self.output_embedding, sparse=self.sparse)
        rows = slice_rows(self.item_embedding.weight, 1, self.n_items + 1)
        return Table(rows, sparse=self.sparse)

    @property
    def sparse_parameters(self) -> list[nn.Parameter]:
        """The tables of items whose gradients are sparse."""
        own = [self.output_embedding] if self.sparse and self.output_embedding is not None else []
        parts = [part for part in self.modules() if part is not self]
        sparse = (part for part in parts if getattr(part, "sparse", False))
        return own + [table for part in sparse for table in part.parameters(recurse=False)]

    def begin_epoch(self, epoch: int) -> None:
        """Say that the losses asked for from here on are of ``epoch``, counted from 0."""
        self.epoch = epoch
        if self.mean_weight_size is not None:
            self.mean_weight_size.begin_epoch()

    @property
    def warming_up(self) -> bool:
        """Whether the weights of this epoch are still uniform."""
        return self.epoch < self.settings.objective.warmup_epochs

    def forward(self, history: History) -> Tensor:
        """Encode a history [B, L], padded on the right, to the states after each event [B, L, D].

        Raises:
            ValueError: the history lacks what the policy reads.
        """
        return torch.as_tensor(
            self.encoder(self.event_embedding(self.item_embedding(history.items), history))
        )

    def factors(self, history: History, at: Tensor) -> Factors:
        """Return what gives the logits [N, A] after the events ``at``, bool [B, L], N of them true.

        Raises:
            ValueError: the history lacks what the policy reads.
        """
        return self._factors(self.forward(history)[at], self._seen(history, at))

    def _seen(self, history: History, at: Tensor) -> Seen | None:
        """Return the items that the repeat head scores at some places; None without one."""
        if self.repeats is None:
            return None
        items, kinds, _ = history
        kinds = items if kinds is None else kinds  # which are read where there are n_kinds
        return items_seen(items, kinds, at, self.n_items, self.repeats.n_kinds)

    def _factors(self, state: Tensor, seen: Seen | None) -> Factors:
        """Return what gives the logits [N, A] of states [N, D], which have seen some items."""
        added = None if self.repeats is None or seen is None else self.repeats(state, seen)
        if self.temperature is not None:
            state = state / self.temperature
            added = added and added._replace(value=added.value / self.temperature)
        return Factors(state, self.policy_table, added)

    def last_factors(self, history: History, length: Tensor) -> Factors:
        """Return what gives the logits [B, A] after the whole of each history, of ``length`` [B].

        Of a longer history the ``max_length`` most recent events are read.

        Raises:
            ValueError: the history lacks what the policy reads, or has no event, and there is no
                start token.
        """
        limit = self.settings.max_length
        history, length = most_recent(history, length, limit)
        if self.settings.evaluate_first_event:
            history, length = opened(history, length, self.n_items + 1, limit)
        if bool((length < 1).any()):
            raise ValueError("a history without events needs evaluate_first_event: True")
        position = torch.arange(history.items.shape[1], device=length.device)
        return self.factors(history, position == length[:, None] - 1)

    def losses(self, batch: Batch, whole: GlobalBatch | None = None) -> LossParts:
        """Take the loss of a batch of sessions, by part (Eq. 10).

        Of a share of the batch ``whole`` it is what the share adds to the loss of the whole: the
        sum over the shares, and so that of their gradients, is that of one process. Diagnostics
        are of the whole.

        Raises:
            ValueError: no event of the batch carries loss.
        """
        if not batch.counts.any():
            raise ValueError("no event of this batch counts")
        state = self.forward(batch.history)[batch.counts]
        seen = self._seen(batch.history, batch.counts)
        events = events_of(batch, state, self.max_reward)
        given = self.settings.objective
        objective = replace(self.objective, weight=uniform) if self.warming_up else self.objective
        heads, candidates = heads_of_step(self.heads, self.draws), None  # drawn in this order
        if self.candidates is not None:
            candidates = draw_candidates(self.candidates, batch, events, whole, self.draws)
        found = compute_losses(
            events, self._factors(state, seen), objective, given, heads,
            self._logging_factors(batch), candidates, seen,
        )  # fmt: skip
        weight, drawn_weight = found.policy.weight, events.sample_weight
        sums = torch.stack([drawn_weight.sum(), weight.sum(), weight.abs().sum(),
                            weight.square().sum()])  # fmt: skip
        count, share = len(events.reward), 1.0
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

    def _logging_factors(self, batch: Batch) -> Factors | None:
        """What gives the logits of the logging policy, where the objective reads it."""
        mu = self.logging_policy
        if not self.needs_logging_policy or mu is None:
            return None
        return mu.factors(batch.history, batch.counts)
