"""A fitted mixture of counts: the likelihood that an estimate of the logging policy has to beat.

    p(a | x) = w₁ popularity(a) + w₂ own(a | x) + w₃ last(a | x) + w₄ / A

popularity(a) is (training events of a + 1) / Σ, own(a | x) the share of a among the earlier events
of the session, last(a | x) is 1 for the item of the event before. Without earlier events own and
last are popularity. The weights are fitted to validation events by EM (Dempster, Laird & Rubin
1977), which never lowers their likelihood. Only logged items are looked at: nothing is [N, A].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.data.sessions import Sessions, ranges

COMPONENTS = ("popularity", "own items", "last item", "uniform")
PSEUDO_COUNT = 1.0  # of every item, as the policy Popularity has it
MOST = 200_000  # events that weights are fitted to: more change them in the third digit
LEAST_GAIN = 1e-8  # nats per event and iteration; below, EM has converged
ITERATIONS = 500


class Mixture(NamedTuple):
    """Weights of components, [C], and the mean log-likelihood of those that led there, in order."""

    weights: np.ndarray
    log_likelihood: list[float]


@dataclass(frozen=True)
class LikelihoodFloor:
    """The mixture, fitted.

    Attributes:
        popularity: of the items, [A].
        weights: of COMPONENTS, [4]; they sum to 1.
    """

    popularity: np.ndarray
    weights: np.ndarray

    def log_probabilities(self, held: SessionData) -> np.ndarray:
        """Return log p(a | x) of each target of a part, [N], in the order of ``held.places``."""
        found = component_probabilities(held.sessions, held.places, self.popularity)
        return np.asarray(np.log(found @ self.weights))


def fit_floor(train: SessionData, valid: SessionData) -> LikelihoodFloor:
    """Count popularity in the training part, and fit the weights to the targets of validation.

    ValueError if validation has no target.
    """
    places = valid.places
    if not len(places):
        raise ValueError("validation has no event to fit a mixture to")
    trained = ranges(train.part.start, train.part.stop)[1]
    counts = np.bincount(train.sessions.items[trained], minlength=train.item_num)[1:] + PSEUDO_COUNT
    popularity = counts / counts.sum()
    places = places[:: -(-len(places) // MOST)]
    found = component_probabilities(valid.sessions, places, popularity)
    return LikelihoodFloor(popularity, fit_weights(found).weights)


def component_probabilities(
    store: Sessions, places: np.ndarray, popularity: np.ndarray
) -> np.ndarray:
    """Return what each of COMPONENTS gives the logged item, [N, 4].

    Args: events ``places`` [N] of the flat store, ascending; ``popularity`` [A].
    """
    session = np.searchsorted(store.offsets, places, side="right") - 1
    earlier = places - store.offsets[session]
    item = store.items[places]
    popular, no_history = popularity[item - 1], earlier == 0
    own = _earlier_alike(store, session, places) / np.maximum(earlier, 1)
    last = np.asarray(store.items[np.maximum(places - 1, 0)] == item, np.float64)
    return np.stack(
        [
            popular,
            np.where(no_history, popular, own),
            np.where(no_history, popular, last),
            np.full(len(places), 1 / len(popularity)),
        ],
        axis=1,
    )


def _earlier_alike(store: Sessions, session: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Count the earlier events of the same session that are of the same item, [N]."""
    read = np.unique(session)
    row, event = ranges(store.offsets[read], store.offsets[read + 1])
    item = store.items[event]
    order = np.lexsort((item, row))  # stable: of one item, in the order of time
    first = np.ones(len(order), bool)
    first[1:] = (np.diff(row[order]) != 0) | (np.diff(item[order]) != 0)
    place = np.arange(len(order))
    before = np.empty_like(place)
    before[order] = place - np.maximum.accumulate(np.where(first, place, 0))
    return np.asarray(before[np.searchsorted(event, places)])


def fit_weights(probabilities: np.ndarray) -> Mixture:
    """Fit the weights of components to events by EM, from equal ones.

    Args: what each component gives what was observed, [N, C]; no row is all 0.
    """
    number = probabilities.shape[1]
    weights, trace = np.full(number, 1 / number), [-np.inf]
    for _ in range(ITERATIONS):
        total = probabilities @ weights
        trace.append(float(np.log(total).mean()))
        if trace[-1] - trace[-2] < LEAST_GAIN:
            break
        weights = weights * (probabilities / total[:, None]).mean(0)  # of responsibilities
    return Mixture(weights / weights.sum(), trace[1:])
