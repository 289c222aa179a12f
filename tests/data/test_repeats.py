"""Which events repeat an item of their session."""

import numpy as np
import pytest

from recbole_lpi.data.repeats import seen_before
from recbole_lpi.data.sessions import flat_sessions
from tests.support.tiny import listed_sessions


def by_loop(sessions):
    found = []
    for begin, end in zip(sessions.offsets, sessions.offsets[1:], strict=False):
        items = sessions.items[begin:end].tolist()
        found += [item in items[:n] for n, item in enumerate(items)]
    return found


def test_by_hand_and_not_beyond_the_session():
    sessions, _ = listed_sessions([[3, 1, 3, 3], [3, 2, 1], [2, 2]], [9.0, 9.0, 9.0])
    seen = seen_before(sessions)
    assert seen.dtype == bool
    assert seen.tolist() == [False, False, True, True, False, False, False, False, True]


@pytest.mark.parametrize("seed", range(5))
def test_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(40), rng.integers(1, 12, 40))
    n = len(session)
    item, zeros = rng.integers(1, 8, n), np.zeros(n)
    sessions = flat_sessions(session, item, rng.random(n), zeros, zeros, ("click",))
    wanted = np.array(by_loop(sessions))
    np.testing.assert_array_equal(seen_before(sessions), wanted)
    places = np.flatnonzero(rng.random(n) < 0.2)
    np.testing.assert_array_equal(seen_before(sessions, places), wanted[places])


def test_of_nothing():
    sessions, _ = listed_sessions([[1, 1]], [1.0])
    assert seen_before(sessions, np.zeros(0, np.int64)).shape == (0,)
