"""The mixture of counts against plain loops, and EM against weights that were planted."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest

from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import Part, Sessions, flat_sessions, whole_of
from recbole_lpi.evaluation.likelihood_floor import (
    COMPONENTS,
    component_probabilities,
    fit_floor,
    fit_weights,
)

N_ITEMS = 12


def log_of(lists: list[list[int]]) -> Sessions:
    session = np.repeat(np.arange(len(lists)), [len(items) for items in lists])
    nothing = np.zeros(len(session))
    items = np.concatenate(lists)
    return flat_sessions(session, items, np.arange(len(session)), nothing, nothing, ("click",))


def part_of(store: Sessions, start: int, stop: int, first: bool = False) -> SessionData:
    """The sessions start … stop − 1 as a part."""
    rows = np.arange(start, stop)
    part = Part(rows, store.offsets[rows], store.offsets[rows + 1])
    return SessionData(store, part, N_ITEMS + 1, Reading(evaluate_first_event=first))


def sampled(sessions: int, weights: tuple[float, ...], seed: int = 0) -> Sessions:
    """Sessions of 8 events, each of a component drawn by ``weights``."""
    rng = np.random.default_rng(seed)
    popular = np.arange(N_ITEMS, 0, -1.0) ** 2
    popular /= popular.sum()
    lists = []
    for _ in range(sessions):
        items: list[int] = []
        for _ in range(8):
            which = rng.choice(4, p=weights)
            if which == 3:
                items.append(int(rng.integers(1, N_ITEMS + 1)))
            elif which == 0 or not items:
                items.append(1 + int(rng.choice(N_ITEMS, p=popular)))
            else:
                items.append(items[-1] if which == 2 else int(rng.choice(items)))
        lists.append(items)
    return log_of(lists)


def by_loops(store: Sessions, place: int, counts: list[int], n_items: int) -> list[float]:
    """What each component gives the event at a place, from what was before it."""
    head = max(offset for offset in store.offsets[:-1].tolist() if offset <= place)
    history, item = store.items[head:place].tolist(), int(store.items[place])
    popular = (counts[item] + 1) / (sum(counts) + n_items)
    own = history.count(item) / len(history) if history else popular
    last = float(history[-1] == item) if history else popular
    return [popular, own, last, 1 / n_items]


@pytest.mark.parametrize("first", [False, True])
def test_it_is_what_plain_loops_over_the_history_say(first):
    store = sampled(30, (0.3, 0.3, 0.2, 0.2))
    train, valid, test = (part_of(store, *ends, first) for ends in ((0, 10), (10, 20), (20, 30)))
    floor = fit_floor(train, valid)
    counts = [0] * (N_ITEMS + 1)
    for item in store.items[: store.offsets[10]].tolist():
        counts[item] += 1
    expected = [
        math.log(sum(w * p for w, p in zip(floor.weights, parts, strict=True)))
        for parts in (by_loops(store, place, counts, N_ITEMS) for place in test.places.tolist())
    ]
    assert len(expected) == 10 * (8 if first else 7)
    np.testing.assert_allclose(floor.log_probabilities(test), expected, rtol=1e-12)


def test_history_is_the_whole_session_and_what_comes_later_is_none():
    store = log_of([[5, 5, 2, 5], [5], [7, 2, 2]])
    popularity = np.full(N_ITEMS, 1 / N_ITEMS)
    found = component_probabilities(store, np.array([0, 1, 2, 3, 4, 6, 7]), popularity)
    even = 1 / N_ITEMS
    assert found[:, 1].tolist() == [even, 1, 0, 2 / 3, even, 0, 1 / 2]
    assert found[:, 2].tolist() == [even, 1, 0, 0, even, 0, 1]


def test_a_history_before_the_part_is_read_and_its_targets_are_not_counted():
    store = log_of([[3, 3, 3, 4]])
    split = lambda a, b: SessionData(store, Part(*map(np.array, ([0], [a], [b]))), N_ITEMS + 1)  # noqa: E731
    train, valid, test = split(0, 2), split(2, 3), split(3, 4)
    floor = fit_floor(train, valid)
    assert floor.popularity[2] == 3 / (2 + N_ITEMS)
    assert floor.popularity[3] == 1 / (2 + N_ITEMS)
    expected = by_loops(store, 3, [0, 0, 0, 2, *[0] * 9], N_ITEMS)
    assert floor.log_probabilities(test) == pytest.approx(np.log(expected @ floor.weights))


def test_each_iteration_raises_the_likelihood():
    store = sampled(100, (0.1, 0.7, 0.1, 0.1))
    popularity = np.bincount(store.items, minlength=N_ITEMS + 1)[1:] / len(store.items)
    probabilities = component_probabilities(store, np.arange(len(store.items)), popularity)
    weights, trace = fit_weights(probabilities)
    assert len(trace) > 5 and (np.diff(trace) > -1e-12).all() and trace[-1] > trace[0] + 0.01
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert np.log(probabilities @ weights).mean() == pytest.approx(trace[-1], abs=1e-12)


def test_no_other_weights_are_likelier():
    store = sampled(200, (0.4, 0.3, 0.1, 0.2), seed=1)
    floor = fit_floor(part_of(store, 0, 100), part_of(store, 100, 200))
    valid = part_of(store, 100, 200)
    found = component_probabilities(store, valid.places, floor.popularity)
    best = np.log(found @ floor.weights).mean()
    for other in np.random.default_rng(0).dirichlet(np.ones(len(COMPONENTS)), 500):
        assert np.log(found @ other).mean() < best + 1e-5


def test_planted_weights_are_found():
    rng = np.random.default_rng(3)
    planted, components = np.array([0.5, 0.05, 0.3, 0.15]), rng.dirichlet(np.full(20, 0.3), 4)
    item = rng.choice(20, 50_000, p=planted @ components)
    np.testing.assert_allclose(fit_weights(components[:, item].T).weights, planted, atol=0.02)


@pytest.mark.parametrize("planted", [(0.2, 0.6, 0.1, 0.1), (0.5, 0.1, 0.3, 0.1)])
def test_weights_planted_in_a_log_are_found(planted):
    store = sampled(3000, planted, seed=2)
    found = fit_floor(part_of(store, 0, 1500), part_of(store, 1500, 3000)).weights
    popular, own, last, uniform = found  # what was drawn uniformly is counted as popular too
    np.testing.assert_allclose([popular + uniform, own, last], [
        planted[0] + planted[3], planted[1], planted[2]], atol=0.03)  # fmt: skip


def test_a_validation_part_without_targets_is_refused():
    store = log_of([[1, 2], [3]])
    with pytest.raises(ValueError, match="validation has no event to fit a mixture to"):
        fit_floor(part_of(store, 0, 1), part_of(store, 1, 2))


def test_a_hundred_thousand_events_take_a_moment():
    rng = np.random.default_rng(0)
    session, item = np.sort(rng.integers(0, 10_000, 100_000)), rng.integers(1, 20_001, 100_000)
    nothing = np.zeros(100_000)
    store = flat_sessions(session, item, np.arange(100_000), nothing, nothing, ("click",))
    data = SessionData(store, whole_of(store), 20_001)
    begun = time.process_time()
    fit_floor(data, data).log_probabilities(data)
    assert time.process_time() - begun < 5  # a third of a second where nothing else runs
