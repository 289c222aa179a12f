"""Ranks by two rules without parameters, floors: what learns is to rank better than they do.

    last item            the item of the event before, then all others by training popularity
    session popularity   S-POP, by how often the session has had an item (``policy.popularity``)

Every rank is over the whole catalogue, as ``nn.ranking.ranking_of_logits`` defines it, without a
matrix of events and items: popularity is sorted once, what is ahead of a score is counted by
bisection, and the few items that the session has had are counted anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from recbole_lpi.data.repeats import occurrences
from recbole_lpi.data.sessions import Ints, Sessions, ranges

PAIRS = 2**20  # of an event and one before it, at a time


def last_item_ranks(sessions: Sessions, places: Ints, popularity: np.ndarray) -> np.ndarray:
    """Ranks of the events ``places`` [N] where the item of the event before is put first, [N].

    Args:
        sessions: the log; all events of a session before an event are its history.
        places: of the events in the flat store, ascending.
        popularity: of the items [A]; it ranks all others, and everything where there is no history.
    """
    logged, previous = sessions.items[places] - 1, sessions.items[places - 1] - 1
    score = popularity[logged]
    ahead, alike = _counted(np.sort(popularity), score)
    first = popularity[previous]
    ranks = 1 + (ahead - (first > score) + 1) + (alike - (first == score) - 1) / 2
    ranks = np.where(previous == logged, 1.0, ranks)
    return np.where(_positions(sessions, places) > 0, ranks, 1 + ahead + (alike - 1) / 2)


def session_popularity_ranks(
    sessions: Sessions, places: Ints, popularity: np.ndarray, smoothing: float
) -> np.ndarray:
    """Ranks of the events ``places`` [N] by S-POP over all events of the session before each, [N].

    S-POP(a) = (1 − α) count(a) / L + α popularity(a), of a history of L events.

    Args:
        sessions, places, popularity: as ``last_item_ranks`` takes them.
        smoothing: α.
    """
    found, length = occurrences(sessions, places), _positions(sessions, places)
    row = np.searchsorted(found.place, places)
    item = sessions.items[found.place] - 1
    unseen = smoothing * popularity
    score = _score(found.ordinal[row] - 1, length, unseen[item[row]], smoothing)
    ahead, alike = _counted(np.sort(unseen), score)
    for part in _parts(length):
        event, other = ranges((row - length)[part], row[part])
        latest = found.recurs[other] >= places[part][event]  # of its item, so that each counts once
        event, other = event[latest], other[latest]
        mine, before = score[part][event], unseen[item[other]]
        now = _score(found.ordinal[other], length[part][event], before, smoothing)
        for counted, moved in (
            (ahead, 1.0 * (now > mine) - (before > mine)),
            (alike, 1.0 * (now == mine) - (before == mine)),
        ):
            counted[part] += np.bincount(event, moved, minlength=part.stop - part.start).astype(int)
    return np.asarray(1 + ahead + (alike - 1) / 2)


def _positions(sessions: Sessions, places: Ints) -> Ints:
    """How many events there are before each in its session, [N]."""
    session = np.searchsorted(sessions.offsets, places, side="right") - 1
    return np.asarray(places - sessions.offsets[session])


def _score(count: Ints, length: Ints, unseen: np.ndarray, smoothing: float) -> np.ndarray:
    """S-POP of items with ``count`` events in a history, as ``SessionPopularityPolicy`` has it."""
    return np.asarray((1 - smoothing) * (count / np.maximum(length, 1)) + unseen)


def _counted(ascending: np.ndarray, score: np.ndarray) -> tuple[Ints, Ints]:
    """How many of all scores [A] are greater than each of ``score`` [N], and how many equal it."""
    below = np.searchsorted(ascending, score, side="left")
    upto = np.searchsorted(ascending, score, side="right")
    return len(ascending) - upto, upto - below


def _parts(length: Ints) -> Iterator[slice]:
    """Stretches of the events, with histories of about PAIRS events together."""
    reached = np.append(0, np.cumsum(length))
    cuts = np.searchsorted(reached, np.arange(PAIRS, reached[-1], PAIRS))
    return (slice(int(a), int(b)) for a, b in pairwise(np.unique([0, *cuts, len(length)])))
