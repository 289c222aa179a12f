"""Where the items of a session recur."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recbole_lpi.data.sessions import Ints, Sessions, ranges


class Occurrences(NamedTuple):
    """The events of some sessions, each as an occurrence of its item there. All int64 [M].

    Attributes:
        place: in the flat store, ascending.
        ordinal: 1 for the first event of the item in its session, 2 for the second, and so on.
        recurs: the place of the next such event; where there is none, beyond all places.
    """

    place: Ints
    ordinal: Ints
    recurs: Ints


def occurrences(sessions: Sessions, places: Ints) -> Occurrences:
    """Read the whole sessions that have an event at one of ``places`` [N] of the flat store."""
    session = np.unique(np.searchsorted(sessions.offsets, places, side="right") - 1)
    row, place = ranges(sessions.offsets[session], sessions.offsets[session + 1])
    item = sessions.items[place].astype(np.int64)
    key = row * (int(item.max(initial=0)) + 1) + item
    order = np.argsort(key, kind="stable")  # of one session and item, the earlier event first
    again = np.zeros(len(key), bool)
    again[1:] = key[order[1:]] == key[order[:-1]]
    number = np.arange(len(key))
    ordinal, recurs = np.empty_like(place), np.full_like(place, len(sessions.items))
    ordinal[order] = 1 + number - np.maximum.accumulate(np.where(again, 0, number))
    recurs[order[:-1][again[1:]]] = place[order[1:][again[1:]]]
    return Occurrences(place, ordinal, recurs)


def seen_before(sessions: Sessions, places: Ints | None = None) -> np.ndarray:
    """Whether the item of each event occurs earlier in its session, anywhere in it: bool [E].

    With ``places`` [N] of the flat store, ascending, of those events alone: bool [N]. Only their
    sessions are read then.
    """
    if places is None:
        places = np.arange(len(sessions.items))
    found = occurrences(sessions, places)
    return np.asarray(found.ordinal[np.searchsorted(found.place, places)] > 1)
