"""Which events are of an item that their session has had before."""

from __future__ import annotations

import numpy as np

from recbole_lpi.data.sessions import Ints, Sessions, ranges


def seen_before(sessions: Sessions, places: Ints | None = None) -> np.ndarray:
    """Whether the item of each event occurs earlier in its session, anywhere in it: bool [E].

    With ``places`` [N] of the flat store, ascending, of those events alone: bool [N]. Only their
    sessions are read then.
    """
    if places is None:
        places = np.arange(len(sessions.items))
    session = np.unique(np.searchsorted(sessions.offsets, places, side="right") - 1)
    row, place = ranges(sessions.offsets[session], sessions.offsets[session + 1])
    item = sessions.items[place].astype(np.int64)
    key = row * (int(item.max(initial=0)) + 1) + item
    order = np.argsort(key, kind="stable")  # of one session and item, the earlier event first
    again = np.zeros(len(key), bool)
    again[order[1:]] = key[order[1:]] == key[order[:-1]]
    return np.asarray(again[np.searchsorted(place, places)])
