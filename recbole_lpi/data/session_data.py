"""A part of a log as policies train on it and are measured on it: sessions, targets and windows."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recbole_lpi.data.batches import Batch, collate, returns_to_go
from recbole_lpi.data.sessions import Part, Sessions, ranges, whole_of
from recbole_lpi.data.tokens import PADDING, Tokens
from recbole_lpi.data.windows import (
    Windows,
    covering_training_windows,
    evaluation_windows,
    target_places,
    training_windows,
)


@dataclass(frozen=True)
class Reading:
    """How a policy reads sessions. ValueError names the setting and what it may be.

    Attributes:
        max_length: events that one pass of the encoder reads at most, >= 1.
        gamma: the discount of returns, in [0, 1].
        loss_on_last: m of section 3.3, the last targets of a session that carry loss; None: all.
        evaluate_first_event: whether the first event of a session, without a history, is a target.
        training_windows: ``last``, one window per session; or ``all``, windows of all its events.
    """

    max_length: int = 50
    gamma: float = 0.5
    loss_on_last: int | None = None
    evaluate_first_event: bool = False
    training_windows: str = "last"

    def __post_init__(self) -> None:
        if self.max_length < 1:
            raise ValueError(f"max_length must be >= 1, got {self.max_length}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], got {self.gamma}")
        if self.loss_on_last is not None and self.loss_on_last < 1:
            raise ValueError(f"loss_on_last must be >= 1, or None, got {self.loss_on_last}")
        if self.training_windows not in ("last", "all"):
            raise ValueError(f"training_windows must be last or all, got {self.training_windows!r}")


class SessionData:
    """Sessions of logged actions with rewards, and which of their events are targets of a part.

    Args:
        sessions: every event of the log.
        part: which events of which sessions are targets; None: all of them.
        item_num: A + 1, the number of items and padding.
        reading: how the sessions are read.
        part_name: ``training``, ``validation`` or ``test``.
        dataset_name: what the log is called, for messages.
        item_tokens: the name of each item by its id, that of padding first; None: their numbers.
        session_tokens: the name of each session [S]; None: their numbers.
    """

    sessions: Sessions
    part: Part
    part_name: str
    dataset_name: str

    def __init__(
        self,
        sessions: Sessions,
        part: Part | None = None,
        item_num: int | None = None,
        reading: Reading | None = None,
        part_name: str = "training",
        dataset_name: str = "log",
        item_tokens: Tokens | None = None,
        session_tokens: Tokens | None = None,
    ) -> None:
        self.sessions, self.part = sessions, whole_of(sessions) if part is None else part
        self._item_num = int(sessions.items.max()) + 1 if item_num is None else item_num
        self._reading = reading or Reading()
        self.part_name, self.dataset_name = part_name, dataset_name
        self._item_tokens, self._session_tokens = item_tokens, session_tokens

    @property
    def item_num(self) -> int:
        """The number of ids of items, A + 1: the items and padding."""
        return self._item_num

    @property
    def item_tokens(self) -> Tokens:
        """The name of each item by its id, that of padding first."""
        return self._item_tokens or Tokens([PADDING, *map(str, range(1, self.item_num))])

    @property
    def session_tokens(self) -> Tokens:
        """The name of each session, [S]."""
        return self._session_tokens or Tokens(map(str, range(len(self.sessions))))

    @property
    def reading(self) -> Reading:
        """How the sessions are read."""
        return self._reading

    @cached_property
    def windows(self) -> Windows:
        """Windows that cover every target once, with the most recent inputs of each."""
        r = self.reading
        return evaluation_windows(self.sessions, self.part, r.max_length, r.evaluate_first_event)

    @cached_property
    def training_windows(self) -> Windows:
        """One window per session, with the loss on its last events; or windows of all events."""
        r = self.reading
        if r.training_windows == "all":
            return covering_training_windows(
                self.sessions, self.part, r.max_length, r.evaluate_first_event
            )
        return training_windows(
            self.sessions, self.part, r.max_length, r.loss_on_last, r.evaluate_first_event
        )

    @cached_property
    def places(self) -> np.ndarray:
        """Target events, as places in the flat store, ascending."""
        return target_places(self.windows)

    @property
    def trained_places(self) -> np.ndarray:
        """Events that carry loss in training, as places in the flat store."""
        return target_places(self.training_windows)

    @cached_property
    def returns(self) -> np.ndarray:
        """The discounted return of each event of the part, float32 [E]; 0 outside the part."""
        return returns_to_go(self.sessions, self.part, self.reading.gamma)

    @cached_property
    def max_reward(self) -> float:
        """The largest reward of the events that carry loss in training, max r of section 3.1."""
        rewards = self.sessions.rewards[self.trained_places]
        return float(rewards.max()) if len(rewards) else 0.0

    def batch(self, windows: Windows, sample_weight: np.ndarray | None = None) -> Batch:
        """Collate windows of this part; ``sample_weight`` as ``collate`` takes it.

        The start token, which opens a session whose first event is a target, is the row after the
        items.
        """
        r = self.reading
        return collate(
            self.sessions, windows, r.gamma, self.returns, int(self.item_num), sample_weight
        )


def item_counts(train: SessionData) -> np.ndarray:
    """Count how many events that carry loss in training are of each item, int64 [A]."""
    items = train.sessions.items[train.trained_places]
    return np.bincount(items, minlength=train.item_num)[1:]


def event_counts(data: SessionData) -> np.ndarray:
    """Count how many events of a part are of each item, whether they carry loss or not: [A]."""
    places = ranges(data.part.start, data.part.stop)[1]
    return np.bincount(data.sessions.items[places], minlength=data.item_num)[1:]


def share_of(data: SessionData, rank: int, size: int) -> SessionData:
    """Return the part with every ``size``-th of its windows alone; rows stay those of the whole."""
    shared = copy.copy(data)
    shared.places = data.places
    shared.windows = data.windows.take(np.arange(rank, len(data.windows), size))
    return shared
