"""The flat session store: every event once, no padding, no Python loop over events.

    sessions   items, rewards, events, timestamps of all events, and offsets: where a session begins
    part       which events of which sessions are targets: training, validation or test
    windows    stretches of a session that one encoder pass covers (``data.windows``)
    batch      windows of like length, padded on the right (``data.batches``)

Everything after the first line is index arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

Ints = np.ndarray  # int64


@dataclass(frozen=True)
class Sessions:
    """Events of S sessions, E in all, sorted by session and time.

    Attributes:
        items: int32 [E], 1 … A (0 is padding).
        rewards: float32 [E].
        events: uint8 [E], an index into ``event_names``.
        timestamps: float64 [E], in seconds or what else the log has (``per_second``).
        offsets: int64 [S + 1]; session s is events offsets[s] … offsets[s+1] − 1.
        event_names: what the codes in ``events`` mean.
        ratings: float32 [E], where the log has any.
        propensities: float32 [E], μ(a | x) in (0, 1], the probability with which each item was
            shown, where the log says it.
    """

    items: np.ndarray
    rewards: np.ndarray
    events: np.ndarray
    timestamps: np.ndarray
    offsets: Ints
    event_names: tuple[str, ...]
    ratings: np.ndarray | None = None
    propensities: np.ndarray | None = None

    @cached_property
    def per_second(self) -> int:
        """How many units of ``timestamps`` are a second; 1 where they are no Unix times."""
        from recbole_lpi.data.times import unit_of  # which reads this module

        return unit_of(float(self.timestamps.max(initial=0))) or 1

    def seconds_before(self, place: np.ndarray) -> np.ndarray:
        """Return the seconds from the event before, in the flat store, to each of ``place``."""
        elapsed = self.timestamps[place] - self.timestamps[np.maximum(place - 1, 0)]
        return np.asarray(elapsed / self.per_second)

    @property
    def lengths(self) -> Ints:
        """The number of events of each session, [S]."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1


def flat_sessions(
    session: ArrayLike,
    item: ArrayLike,
    timestamp: ArrayLike,
    reward: ArrayLike,
    event: ArrayLike,
    event_names: tuple[str, ...],
    rating: ArrayLike | None = None,
    propensity: ArrayLike | None = None,
) -> Sessions:
    """Sort events by session and time, as ``session_order`` does.

    ``session`` holds dense ids 0 … S−1; all arguments [E].
    """
    session, time = np.asarray(session), np.asarray(timestamp, np.float64)
    order = session_order(session, time)
    counts = np.bincount(session) if len(session) else np.zeros(0, np.int64)
    return Sessions(
        items=np.asarray(item)[order].astype(np.int32),
        rewards=np.asarray(reward)[order].astype(np.float32),
        events=np.asarray(event)[order].astype(np.uint8),
        timestamps=time[order],
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        event_names=event_names,
        ratings=None if rating is None else np.asarray(rating)[order].astype(np.float32),
        propensities=None
        if propensity is None
        else np.asarray(propensity)[order].astype(np.float32),
    )


def session_order(session: np.ndarray, time: np.ndarray) -> np.ndarray | slice:
    """Return what sorts events [E] by session and time, ties as given; a slice if they are.

    Time is compared in float64: as float32, unix seconds are 128 s apart and events closer than
    that would keep file order instead.
    """
    same = session[1:] == session[:-1]
    in_order = (session[1:] > session[:-1]) | (same & (time[1:] >= time[:-1]))
    return slice(None) if in_order.all() else np.lexsort((time, session))


@dataclass(frozen=True)
class Part:
    """Targets of a part of the data: events start[p] … stop[p] − 1 of session[p]. All int64 [P].

    Events before ``start`` are history, which the model may read. Nothing at or after ``stop`` is
    seen, and a return ends there.
    """

    session: Ints
    start: Ints
    stop: Ints

    def __len__(self) -> int:
        return len(self.session)

    def targets(self, sessions: Sessions, first_event: bool) -> Ints:
        """Count the events of each session to predict, [P]: the first only if asked."""
        head = sessions.offsets[self.session]
        first = np.maximum(self.start, head + (not first_event))
        return np.asarray(np.maximum(self.stop - first, 0))


def whole_of(sessions: Sessions) -> Part:
    """Return the part whose targets are every event of every session."""
    return Part(np.arange(len(sessions)), sessions.offsets[:-1], sessions.offsets[1:])


def ranges(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Return rows and values of the concatenated ranges start[i] … stop[i] − 1."""
    lengths = np.maximum(stop - start, 0)
    row = np.repeat(np.arange(len(start)), lengths)
    value = np.arange(len(row))
    value += np.repeat(start - (np.cumsum(lengths) - lengths), lengths)
    return row, value


def by_size(length: Ints) -> Ints:
    """Return what sorts lengths [N], stably; numpy sorts by radix where 16 bits hold them."""
    return np.argsort(length.astype(np.min_scalar_type(length.max(initial=0))), kind="stable")
