"""The flat session store: every event once, no padding, no Python loop over events.

    sessions   items, rewards, events, timestamps of all events, and offsets: where a session begins
    part       which events of which sessions are targets: training, validation or test
    windows    stretches of a session that one encoder pass covers
    batch      windows of like length, padded on the right

Everything after the first line is index arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

Ints = np.ndarray  # int64


@dataclass(frozen=True)
class Sessions:
    """Events of S sessions, E in all, sorted by session and time.

    Attributes:
        items: int32 [E], 1 … A (0 is padding).
        rewards: float32 [E].
        events: uint8 [E], an index into ``event_names``.
        timestamps: float64 [E], seconds.
        offsets: int64 [S + 1]; session s is events offsets[s] … offsets[s+1] − 1.
        event_names: what the codes in ``events`` mean.
        ratings: float32 [E], where the log has any.
    """

    items: np.ndarray
    rewards: np.ndarray
    events: np.ndarray
    timestamps: np.ndarray
    offsets: Ints
    event_names: tuple[str, ...]
    ratings: np.ndarray | None = None

    @property
    def lengths(self) -> Ints:
        """Events per session, [S]."""
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
    )


def session_order(session: np.ndarray, time: np.ndarray) -> np.ndarray | slice:
    """What sorts events [E] by session and time, ties in the order given; a slice if they are.

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
        """Events of each session to predict, [P]: its first, without a history, if asked."""
        head = sessions.offsets[self.session]
        first = np.maximum(self.start, head + (not first_event))
        return np.asarray(np.maximum(self.stop - first, 0))


class Windows(NamedTuple):
    """Stretches of sessions, all int64 [W], as places in the flat store.

    A window reads events begin … stop − 2 and predicts begin + 1 … stop − 1; those from
    ``first_target`` on count. With ``opens`` it also predicts its first event, from nothing but a
    start token, which counts as an input. ``last`` is where its session ends for this part, or the
    window where its next state is not to be had: no bootstrap goes beyond.
    """

    begin: Ints
    first_target: Ints
    stop: Ints
    last: Ints
    session: Ints
    opens: np.ndarray

    def __len__(self) -> int:  # a NamedTuple would count its fields
        return len(self.begin)

    @property
    def inputs(self) -> Ints:
        """Positions the encoder sees, [W]."""
        return np.asarray(self.stop - self.begin - 1 + self.opens)

    @property
    def targets(self) -> Ints:
        """Events that count, [W]."""
        return np.asarray(self.stop - self.first_target)

    def take(self, index: ArrayLike) -> Windows:
        """The windows at ``index``."""
        return Windows(*(column[np.asarray(index)] for column in self))


def training_windows(
    sessions: Sessions, part: Part, max_length: int, loss_on_last: int | None, first_event: bool
) -> Windows:
    """One window per session: its most recent ``max_length`` inputs, loss on its last m targets.

    Sessions that leave nothing to predict give no window. Paper, section 3.3 and Figure 1a.
    """
    head = sessions.offsets[part.session]
    begin = np.maximum(head, part.stop - 1 - max_length)
    opens = (part.stop - 1 - head < max_length) & first_event
    earliest = part.stop - (loss_on_last or max_length + 1)
    first = np.maximum.reduce([begin + ~opens, part.start, earliest])
    windows = Windows(begin, first, part.stop, part.stop, part.session, opens)
    return windows.take(np.flatnonzero(first < part.stop))


def covering_training_windows(
    sessions: Sessions, part: Part, max_length: int, first_event: bool
) -> Windows:
    """Windows that cover every target once, later ones with half of ``max_length`` inputs or more.

    No bootstrap goes beyond a window's end: the state there is not in its batch.
    """
    step = max(1, max_length // 2)
    w = evaluation_windows(sessions, part, max_length, first_event, step)
    return Windows(w.begin, w.first_target, w.stop, w.stop, w.session, w.opens)


def evaluation_windows(
    sessions: Sessions, part: Part, max_length: int, first_event: bool, step: int = 1
) -> Windows:
    """Windows that cover every target of the part once, each with its most recent inputs.

    The targets within ``max_length`` of a session's start share one window. Of later ones each has
    a window of its own, because the inputs it may read begin later; or ``step`` of them share one,
    and those before its last have up to ``step`` − 1 inputs fewer.
    """
    head = sessions.offsets[part.session]
    opens = np.full(len(part), first_event)
    first = np.maximum(part.start, head + ~opens)
    shared_stop = np.minimum(part.stop, head + max_length + ~opens)
    shared = Windows(head, first, shared_stop, part.stop, part.session, opens)
    shared = shared.take(np.flatnonzero(first < shared_stop))
    late_first = np.maximum(first, shared_stop)
    number = -(-np.maximum(part.stop - late_first, 0) // step)
    row, index = ranges(np.zeros_like(number), number)
    event = late_first[row] + step * index
    stop = np.minimum(event + step, part.stop[row])
    late = Windows(
        stop - 1 - max_length, event, stop, part.stop[row], part.session[row],
        np.zeros(len(row), bool),
    )  # fmt: skip
    both = Windows(*(np.concatenate(pair) for pair in zip(shared, late, strict=True)))
    return both.take(np.lexsort((both.first_target, both.session)))


def returns_to_go(sessions: Sessions, part: Part, gamma: float) -> np.ndarray:
    """G_t = Σ_k γᵏ r_{t+k} up to the part's stop, float32 [E]; 0 outside the part.

    Vectorised over sessions: one step per position, from the end, over the sessions that reach it.
    """
    returns = np.zeros(len(sessions.items), np.float32)
    length = part.stop - sessions.offsets[part.session]
    order = _by_size(length)[::-1]
    stop, length = part.stop[order], length[order]
    running = np.zeros(len(order), np.float64)
    for back in range(1, int(length[0]) + 1 if len(length) else 0):
        alive = int(np.searchsorted(-length, -back, side="right"))
        place = stop[:alive] - back
        running[:alive] = sessions.rewards[place] + gamma * running[:alive]
        returns[place] = running[:alive]
    return returns


class Batch(NamedTuple):
    """Windows padded on the right to one length L. Shapes [B, L] unless said.

    Attributes:
        item_seq: int64, what the encoder reads; 0 is padding, ``start_token`` opens a session.
        action: int64, the logged item that follows each position, 1 … A; 0 where there is none.
        reward, discount, return_: float32, of that action; discount is γ, and 0 at the last event.
        event: int64 code of the event's kind.
        counts: bool, which positions carry loss or are evaluated.
        place: int64, where the action stands in the flat store.
        session: int64 [B].
        sample_weight: float32, factor on the losses of that action; 1 unless sampled by reward.
    """

    item_seq: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    return_: Tensor
    event: Tensor
    counts: Tensor
    place: Tensor
    session: Tensor
    sample_weight: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on ``device``; to a GPU it is copied from pinned memory."""
        if device.type != "cuda":
            return Batch(*(tensor.to(device) for tensor in self))
        with torch.cuda.device(device):  # which each thread has for itself; pinning asks for one
            return Batch(*(tensor.pin_memory().to(device, non_blocking=True) for tensor in self))


def collate(
    sessions: Sessions,
    windows: Windows,
    gamma: float,
    returns: np.ndarray | None = None,
    start_token: int = 0,
    sample_weight: np.ndarray | None = None,
) -> Batch:
    """Pad windows to a batch; ``returns`` is ``returns_to_go`` of the part, or None for zeros.

    ``sample_weight`` is float32 [E], by place in the flat store, or None for ones.
    """
    length = int(windows.inputs.max())
    position = np.arange(length)
    # Position j of a window predicts event target[j] and has read the event before it.
    target = (windows.begin + 1 - windows.opens)[:, None] + position  # [B, L]
    real = target < windows.stop[:, None]
    safe = np.where(real, target, windows.stop[:, None] - 1)
    read = sessions.items[np.maximum(safe - 1, 0)].astype(np.int64)
    read[:, 0] = np.where(windows.opens, start_token, read[:, 0])
    values = {
        "item_seq": np.where(real, read, 0),
        "action": np.where(real, sessions.items[safe], 0).astype(np.int64),
        "reward": np.where(real, sessions.rewards[safe], 0).astype(np.float32),
        "discount": np.where(real & (safe < windows.last[:, None] - 1), gamma, 0.0).astype(
            np.float32
        ),
        "return_": np.zeros(safe.shape, np.float32)
        if returns is None
        else np.where(real, returns[safe], 0).astype(np.float32),
        "event": np.where(real, sessions.events[safe], 0).astype(np.int64),
        "counts": real & (safe >= windows.first_target[:, None]),
        "place": np.where(real, safe, -1),
        "session": windows.session,
        "sample_weight": np.ones(safe.shape, np.float32)
        if sample_weight is None
        else np.where(real, sample_weight[safe], 0),
    }
    return Batch(**{name: torch.from_numpy(value) for name, value in values.items()})


def prefixes(sessions: Sessions, place: ArrayLike, max_length: int) -> tuple[Tensor, Tensor]:
    """What RecBole's own models read: the items before each event.

    ``place`` [B] in the flat store → item lists int64 [B, max_length], padded on the right, and
    their lengths [B]. They are cut from the store when asked for, so nothing padded is kept.
    """
    place = np.asarray(place, np.int64)
    head = sessions.offsets[np.searchsorted(sessions.offsets, place, side="right") - 1]
    begin = np.maximum(head, place - max_length)
    index = begin[:, None] + np.arange(max_length)
    real = index < place[:, None]
    items = np.where(real, sessions.items[np.where(real, index, 0)], 0).astype(np.int64)
    return torch.from_numpy(items), torch.from_numpy(place - begin)


def target_places(windows: Windows) -> Ints:
    """Every target that counts, as places in the flat store, in the order of the windows."""
    return ranges(windows.first_target, windows.stop)[1]


def logged_targets(sessions: Sessions, windows: Windows) -> tuple[Ints, Ints]:
    """Item, 0 … A−1, and session of every target that counts, in the order of the windows."""
    row, place = ranges(windows.first_target, windows.stop)
    return sessions.items[place].astype(np.int64) - 1, windows.session[row].astype(np.int64)


def training_batches(windows: Windows, batch_size: int, rng: np.random.Generator) -> list[Ints]:
    """Batches of like length and of like many targets, ``batch_size`` windows on average.

    The loss of a batch is a mean over its targets. With equally many windows in each, a target of
    a long session would weigh less than one of a short session, by the ratio of their lengths.
    Windows are shuffled before a stable sort by length and the batches after it: what meets in a
    batch, and the order of batches, differ from epoch to epoch.
    """
    order = rng.permutation(len(windows))
    order = order[_by_size(windows.inputs[order])]
    reached = np.cumsum(windows.targets[order])
    number = -(-len(windows) // batch_size)
    cuts = np.searchsorted(reached, reached[-1] * np.arange(1, number) / number)
    batches = [batch for batch in np.split(order, cuts) if len(batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(windows: Windows, batch_size: int) -> list[Ints]:
    """Batches of like length, ``batch_size`` windows each but the last."""
    order = _by_size(windows.inputs)
    return np.split(order, range(batch_size, len(order), batch_size))


def _by_size(length: Ints) -> Ints:
    """What sorts lengths, stably; numpy sorts them by radix where 16 bits hold them."""
    return np.argsort(length.astype(np.min_scalar_type(length.max(initial=0))), kind="stable")


def ranges(start: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """Rows and values of the concatenated ranges start[i] … stop[i] − 1."""
    lengths = np.maximum(stop - start, 0)
    row = np.repeat(np.arange(len(start)), lengths)
    value = np.arange(len(row))
    value += np.repeat(start - (np.cumsum(lengths) - lengths), lengths)
    return row, value
