"""V-SkNN: what the most similar training sessions go on with (Ludewig & Jannach 2018).

    similarity(x, s) = Σ_{a ∈ x ∩ s} w(a)                         w: ``weighting``, last place of a
    score(a | x)     = Σ_{s ∈ N(x), a ∈ s} similarity(x, s) · v(x, s) · (1 + λ · idf(a))

x is the prefix of a session, s a training session as a set of items. The candidates are the
``sample_size`` latest training sessions that share an item with x, N(x) the ``k`` of them that are
most similar. v is ``weighting_score`` of the last item of x that s has, λ is ``idf_weighting``, and
idf(a) = log(sessions / sessions with a). Decays, and how idf enters, are those of the authors'
code, session-rec, vsknn.py; its division of the similarity by the length of x is left out, because
it changes nothing once the scores of one x are divided by their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import sparse

from recbole_lpi.data.sessions import Part, Sessions, ranges
from recbole_lpi.roles import Role

# Weight of a place by how far it is from the end, 1 at the last, and by the length of the prefix.
DECAYS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "linear": lambda back, length: (length - back + 1) / length,  # ``div`` in session-rec
    "quadratic": lambda back, length: ((length - back + 1) / length) ** 2,
    "reciprocal": lambda back, length: 1 / back,  # ``div_score``
    "same": lambda back, length: np.ones(back.shape),
}


@dataclass(frozen=True)
class NeighbourSettings:
    """Settings of V-SkNN; ValueError names what is wrong.

    Attributes:
        k: neighbours. sample_size: candidates, the latest sessions that share an item.
        weighting: decay of the places of a prefix, for similarity.
        weighting_score: decay of the last shared place, for the scores.
        idf_weighting: λ ≥ 0, how much rarer items are preferred.
        smoothing: share of popularity in the policy, in (0, 1).
    """

    ROLE: ClassVar[Role] = Role.MODEL

    k: int = 100
    sample_size: int = 500
    weighting: str = "linear"
    weighting_score: str = "reciprocal"
    idf_weighting: float = 0.0
    smoothing: float = 0.01

    def __post_init__(self) -> None:
        for name in ("k", "sample_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("weighting", "weighting_score"):
            if getattr(self, name) not in DECAYS:
                known = ", ".join(DECAYS)
                raise ValueError(f"{name} must be one of {known}, got {getattr(self, name)!r}")
        if not 0 <= self.idf_weighting < float("inf"):
            raise ValueError(f"idf_weighting must be >= 0, got {self.idf_weighting}")
        if not 0 < self.smoothing < 1:
            raise ValueError(f"smoothing must be in (0, 1), got {self.smoothing}")


def training_sessions(store: Sessions, part: Part, n_items: int) -> sparse.csr_array:
    """Return which items the sessions of a part have, [S, A] of ones, the latest session first.

    Only events of the part are looked at.
    """
    order = np.argsort(-store.timestamps[part.stop - 1], kind="stable")
    row, place = ranges(part.start[order], part.stop[order])
    item = store.items[place] - 1
    found = sparse.csr_array((np.ones(len(row)), (row, item)), (len(order), n_items))
    found.data[:] = 1  # however often a session has the item
    return found


class Neighbours:
    """Training sessions, latest first, and which of them have which item.

    Args:
        sessions: the items of each, as ``training_sessions`` finds them, [S, A].
        settings: how neighbours are found and counted.
    """

    def __init__(self, sessions: sparse.csr_array, settings: NeighbourSettings) -> None:
        self.settings, self.sessions = settings, sessions
        by_item = self.sessions.T.tocsr()
        by_item.sort_indices()  # latest first
        # The latest sessions that share any item are among the latest of each: keep no others.
        of = np.repeat(np.arange(sessions.shape[1]), np.diff(by_item.indptr))
        kept = places_in_group(of) < settings.sample_size
        self.of_item = by_item.indices[kept]
        self.begin = np.concatenate([[0], np.cumsum(kept)])[by_item.indptr]
        idf = np.log(sessions.shape[0] / np.maximum(np.diff(by_item.indptr), 1))
        self.boost = 1 + settings.idf_weighting * idf

    def scores(self, items: np.ndarray, length: np.ndarray) -> sparse.csr_array:
        """Scores [N, A] of the prefixes ``items`` [N, L], 1 … A, 0 after ``length`` [N].

        A row without neighbours is empty.
        """
        event, place = ranges(np.zeros(len(length), np.int64), length)
        item, back = items[event, place] - 1, length[event] - place
        # Of an item that comes twice, the last place counts.
        order = np.lexsort((back, item, event))
        event, item, back = event[order], item[order], back[order]
        first = begins(event) | begins(item)
        event, item, back = event[first], item[first], back[first]
        # Every pair of a prefix and a session that share the item, then each pair once.
        shared, at = ranges(self.begin[item], self.begin[item + 1])
        session, event, back = self.of_item[at], event[shared], back[shared]
        order = np.lexsort((session, event))
        event, session, back = event[order], session[order], back[order]
        head = np.flatnonzero(begins(event) | begins(session))
        decay = DECAYS[self.settings.weighting](back, length[event])
        similarity = np.add.reduceat(decay, head) if len(head) else np.zeros(0)
        nearest = np.minimum.reduceat(back, head) if len(head) else back
        event, session = event[head], session[head]
        # Latest first, as they are sorted; then most similar first, of equals the latest.
        sampled = places_in_group(event) < self.settings.sample_size
        event, session, similarity, nearest = (
            column[sampled] for column in (event, session, similarity, nearest)
        )
        order = np.lexsort((session, -similarity, event))
        order = order[places_in_group(event[order]) < self.settings.k]
        event, session = event[order], session[order]
        v = DECAYS[self.settings.weighting_score](nearest[order], length[event])
        shape = (len(length), self.sessions.shape[0])
        neighbours = sparse.csr_array((similarity[order] * v, (event, session)), shape)
        scores = sparse.csr_array(neighbours @ self.sessions)
        scores.data *= self.boost[scores.indices]
        return scores


@dataclass(frozen=True)
class SessionKNNPolicy:
    """The policy π(a | x) = (1 − α) score(a | x) / Σ score + α popularity(a), scores by V-SkNN.

    The share α of popularity, ``smoothing``, gives every item a probability, and parts items with
    equal scores.

    Attributes:
        neighbours: the training sessions, and the settings.
        popularity: of the items over all sessions, [A].
    """

    neighbours: Neighbours
    popularity: np.ndarray

    @classmethod
    def of(cls, settings: NeighbourSettings, arrays: Mapping[str, np.ndarray]) -> SessionKNNPolicy:
        """Build the policy from what ``arrays`` returned; ValueError if that is no sessions."""
        popularity, item, offset = (
            arrays[name] for name in ("popularity", "session_items", "session_offsets")
        )
        n_items = len(popularity)
        whole = len(offset) and offset[0] == 0 and offset[-1] == len(item)
        if not whole or (np.diff(offset) < 0).any():
            raise ValueError("its training sessions do not lie one after another")
        if len(item) and not 0 <= item.min() <= item.max() < n_items:
            raise ValueError(f"its training sessions have items that are none of its {n_items}")
        shape = len(offset) - 1, n_items
        sessions = sparse.csr_array((np.ones(len(item)), item, offset), shape)
        return cls(Neighbours(sessions, settings), popularity)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what it is built from besides its settings: popularity and training sessions."""
        sessions = self.neighbours.sessions
        return {
            "popularity": self.popularity,
            "session_items": sessions.indices.astype(np.int32),
            "session_offsets": sessions.indptr.astype(np.int64),
        }

    def probabilities(self, items: np.ndarray, length: np.ndarray) -> np.ndarray:
        """Return π [N, A] of prefixes ``items`` [N, L], 1 … A, 0 after ``length`` [N].

        π is the popularity alone where no training session shares an item.
        """
        smoothing = self.neighbours.settings.smoothing
        scores = self.neighbours.scores(items, length)
        total = np.asarray(scores.sum(1)).reshape(-1, 1)
        known = np.divide(1 - smoothing, total, where=total > 0, out=np.zeros_like(total))
        share = np.where(total > 0, smoothing, 1.0)
        return np.asarray(scores.toarray() * known + share * self.popularity)


def places_in_group(group: np.ndarray) -> np.ndarray:
    """Place of each element among its equals, from 0, in a sorted array."""
    place = np.arange(len(group))
    return place - np.maximum.accumulate(np.where(begins(group), place, 0))


def begins(group: np.ndarray) -> np.ndarray:
    """Where an element differs from the one before it; ``group`` is >= 0."""
    return np.diff(group, prepend=-1).astype(bool)
