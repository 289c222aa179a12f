"""What scores items: an encoder of histories, a row for each item, and a score for repeats."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recbole_lpi.data.batches import History
from recbole_lpi.nn.catalogue import Factors, Table
from recbole_lpi.nn.repeats import RepeatHead, Seen, items_seen
from recbole_lpi.nn.sparse_gradients import slice_rows
from recbole_lpi.policy.encoders import make_encoder
from recbole_lpi.policy.histories import most_recent, opened
from recbole_lpi.policy.inputs import EventEmbedding
from recbole_lpi.policy.settings import PolicySettings


class ScoringNetwork(nn.Module):
    """π(a | x) = softmax of (state(x) · row(a) + c(x, a)) / T.

    c is 0 unless ``repeat_head`` is set, and then of the items that x has seen. The rows are the
    item embedding, which the encoder reads, or with ``tie_weights: False`` a matrix of their own.
    T is 1 unless ``fit_temperature`` is set, and until the policy is trained. With
    ``learner: sparse_adam`` the gradients of tables of items are sparse.

    Args: as of ``PolicyNetwork``.
    """

    def __init__(
        self,
        settings: PolicySettings,
        n_items: int,
        encoder: nn.Module | None = None,
        event_names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        network = settings.network
        self.settings, self.n_items, self.sparse = settings, n_items, settings.softmax.sparse
        self.event_names = tuple(event_names)
        if self.reads_events and not event_names:
            raise ValueError("inputs has event, and event_names does not name the kinds of event")
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
        self.repeats: RepeatHead | None = None
        if network.repeat_head:
            self.repeats = RepeatHead(network.hidden_size, self.n_kinds)
        self.temperature: Tensor | None
        self.register_buffer("temperature", torch.ones(()) if network.fit_temperature else None)

    @property
    def reads_events(self) -> bool:
        """Whether it reads the kind of each event."""
        return "event" in self.settings.network.inputs

    @property
    def n_kinds(self) -> int:
        """K, the kinds of event that it tells apart; 0: none."""
        return len(self.event_names) if self.reads_events else 0

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
        return self.factors_of(self.forward(history)[at], self.seen(history, at))

    def seen(self, history: History, at: Tensor) -> Seen | None:
        """Return the items that the repeat head scores at some places; None without one."""
        if self.repeats is None:
            return None
        items, kinds, _ = history
        kinds = items if kinds is None else kinds  # which are read where there are n_kinds
        return items_seen(items, kinds, at, self.n_items, self.repeats.n_kinds)

    def factors_of(self, state: Tensor, seen: Seen | None) -> Factors:
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
