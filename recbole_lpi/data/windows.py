"""Windows: stretches of sessions that one encoder pass covers, and the batches they go in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from recbole_lpi.data.sessions import Ints, Part, Sessions, by_size, ranges


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
        """The number of positions the encoder sees, [W]."""
        return np.asarray(self.stop - self.begin - 1 + self.opens)

    @property
    def targets(self) -> Ints:
        """The number of events that count, [W]."""
        return np.asarray(self.stop - self.first_target)

    def take(self, index: ArrayLike) -> Windows:
        """Return the windows at ``index``."""
        return Windows(*(column[np.asarray(index)] for column in self))


def training_windows(
    sessions: Sessions, part: Part, max_length: int, loss_on_last: int | None, first_event: bool
) -> Windows:
    """Cut one window per session: its last ``max_length`` inputs, loss on its last m targets.

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
    """Cut windows that cover every target once, with half of ``max_length`` inputs or more.

    No bootstrap goes beyond a window's end: the state there is not in its batch.
    """
    step = max(1, max_length // 2)
    w = evaluation_windows(sessions, part, max_length, first_event, step)
    return Windows(w.begin, w.first_target, w.stop, w.stop, w.session, w.opens)


def evaluation_windows(
    sessions: Sessions, part: Part, max_length: int, first_event: bool, step: int = 1
) -> Windows:
    """Cut windows that cover every target of the part once, each with its most recent inputs.

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


def target_places(windows: Windows) -> Ints:
    """Return every target that counts, as places in the flat store, in the order of the windows."""
    return ranges(windows.first_target, windows.stop)[1]


def logged_targets(sessions: Sessions, windows: Windows) -> tuple[Ints, Ints]:
    """Return item, 0 … A−1, and session of every target that counts, by window."""
    row, place = ranges(windows.first_target, windows.stop)
    return sessions.items[place].astype(np.int64) - 1, windows.session[row].astype(np.int64)


def training_batches(windows: Windows, batch_size: int, rng: np.random.Generator) -> list[Ints]:
    """Draw batches of like length and of like many targets, ``batch_size`` windows on average.

    The loss of a batch is a mean over its targets. With equally many windows in each, a target of
    a long session would weigh less than one of a short session, by the ratio of their lengths.
    Windows are shuffled before a stable sort by length and the batches after it: what meets in a
    batch, and the order of batches, differ from epoch to epoch.
    """
    order = rng.permutation(len(windows))
    order = order[by_size(windows.inputs[order])]
    reached = np.cumsum(windows.targets[order])
    number = -(-len(windows) // batch_size)
    cuts = np.searchsorted(reached, reached[-1] * np.arange(1, number) / number)
    batches = [batch for batch in np.split(order, cuts) if len(batch)]
    return [batches[i] for i in rng.permutation(len(batches))]


def evaluation_batches(windows: Windows, batch_size: int) -> list[Ints]:
    """Return batches of like length, ``batch_size`` windows each but the last."""
    order = by_size(windows.inputs)
    return np.split(order, range(batch_size, len(order), batch_size))
