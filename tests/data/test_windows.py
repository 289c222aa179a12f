"""The flat store, its windows and batches, against plain loops over sessions."""

import numpy as np
import pytest

from recbole_lpi.data.batches import collate, prefixes, returns_to_go
from recbole_lpi.data.sessions import Part, flat_sessions
from recbole_lpi.data.windows import (
    covering_training_windows,
    evaluation_batches,
    evaluation_windows,
    target_places,
    training_batches,
    training_windows,
)

GAMMA = 0.5
LISTS = [[5, 3, 9, 4, 7, 1, 2], [8], [6, 2], [1, 2, 3, 4]]  # items of four sessions


def store(lists=LISTS):
    session = [s for s, items in enumerate(lists) for _ in items]
    items = [item for items in lists for item in items]
    time = [10 * s + t for s, items in enumerate(lists) for t in range(len(items))]
    reward = [float(item) / 10 for item in items]
    event = [item % 2 for item in items]
    return flat_sessions(session, items, time, reward, event, ("click", "purchase"))


def whole(sessions):
    return Part(np.arange(len(sessions)), sessions.offsets[:-1], sessions.offsets[1:])


def targets_by_loop(lists, max_length, first_event):
    """(session, place in it) → the items before it, at most max_length."""
    return {
        (s, i): items[max(0, i - max_length) : i]
        for s, items in enumerate(lists)
        for i in range(0 if first_event else 1, len(items))
    }


def read_back(sessions, windows, start=99):
    """What each counted target of a collated batch is predicted from."""
    batch = collate(sessions, windows, GAMMA, start_token=start)
    seen = {}
    for b, l in np.argwhere(batch.counts.numpy()):  # noqa: E741
        place = int(batch.place[b, l])
        key = int(batch.session[b]), place - int(sessions.offsets[batch.session[b]])
        assert key not in seen
        assert batch.action[b, l] == sessions.items[place]
        assert batch.reward[b, l] == sessions.rewards[place]
        assert batch.event[b, l] == sessions.events[place]
        seen[key] = batch.item_seq[b, : l + 1].tolist()
    return seen


def test_events_one_second_apart_in_the_wrong_order_are_put_right():
    late, early = 1_396_747_746.0, 1_396_747_745.0
    assert np.float32(late) == np.float32(early)  # what a float32 clock would see
    sessions = flat_sessions([0, 0], [1, 2], [late, early], [0.0, 1.0], [0, 1], ("a", "b"))
    assert sessions.items.tolist() == [2, 1]
    assert sessions.rewards.tolist() == [1.0, 0.0]
    assert sessions.events.tolist() == [1, 0]


def test_ties_in_time_keep_the_order_given():
    sessions = flat_sessions([1, 0, 1, 0], [1, 2, 3, 4], [5, 5, 5, 5], [0] * 4, [0] * 4, ("a",))
    assert sessions.items.tolist() == [2, 4, 1, 3]
    assert sessions.offsets.tolist() == [0, 2, 4]


@pytest.mark.parametrize("first_event", [False, True])
@pytest.mark.parametrize("max_length", [1, 2, 3, 20])
def test_evaluation_covers_every_target_once_with_its_most_recent_items(max_length, first_event):
    sessions = store()
    windows = evaluation_windows(sessions, whole(sessions), max_length, first_event)
    seen = read_back(sessions, windows)
    expected = targets_by_loop(LISTS, max_length, first_event)
    assert seen.keys() == expected.keys()
    for key, items in expected.items():
        opened = [99, *items] if first_event and key[1] < max_length else items
        assert seen[key] == opened
    assert target_places(windows).tolist() == sorted(
        int(sessions.offsets[s]) + i for s, i in expected
    )


@pytest.mark.parametrize("m", [None, 1, 2, 5])
@pytest.mark.parametrize("max_length", [1, 3, 20])
def test_training_keeps_the_most_recent_inputs_and_the_last_m_targets(max_length, m):
    sessions = store()
    windows = training_windows(sessions, whole(sessions), max_length, m, False)
    seen = read_back(sessions, windows)
    for s, items in enumerate(LISTS):
        begin = max(0, len(items) - 1 - max_length)
        last = range(max(begin + 1, len(items) - (m or max_length)), len(items))
        assert sorted(i for t, i in seen if t == s) == list(last)
        for i in last:
            assert seen[s, i] == items[begin:i]


@pytest.mark.parametrize("first_event", [False, True])
@pytest.mark.parametrize("max_length", [1, 2, 3, 4, 20])
def test_training_can_cover_every_target_with_half_of_the_inputs_at_least(max_length, first_event):
    lists = [*LISTS, list(range(1, 24)), list(range(1, 5))]
    sessions = store(lists)
    windows = covering_training_windows(sessions, whole(sessions), max_length, first_event)
    assert windows.inputs.max() <= max_length
    seen = read_back(sessions, windows)  # each once
    every = targets_by_loop(lists, 10**6, first_event)  # with all of the items before it
    assert seen.keys() == every.keys()
    for key, items in every.items():
        history = [99, *items] if first_event else items
        read = seen[key]
        assert read == history[len(history) - len(read) :], key
        assert len(read) >= min(len(items), max_length - max_length // 2), key
    # Of a session that fits there is one window, of the longer one as few as there can be.
    number = np.bincount(windows.session)
    later = 23 - max_length - (not first_event)  # after those that the first window holds
    assert number[len(LISTS)] == 1 + max(0, -(-later // max(1, max_length // 2)))
    if max_length == 20:
        assert number[len(LISTS) + 1] == 1


def test_no_bootstrap_leaves_a_window_that_ends_before_its_session():
    sessions = store([list(range(1, 10))])
    windows = covering_training_windows(sessions, whole(sessions), 4, False)
    batch = collate(sessions, windows, GAMMA)
    counted = [row[mask].tolist() for row, mask in zip(batch.discount, batch.counts, strict=True)]
    assert counted == [[GAMMA] * 3 + [0.0], [GAMMA, 0.0], [GAMMA, 0.0]]


def test_targets_of_a_part_read_the_history_before_it():
    sessions = store()
    part = Part(np.array([0, 3]), np.array([6, 12]), np.array([7, 14]))
    seen = read_back(sessions, evaluation_windows(sessions, part, 3, False))
    assert seen == {(0, 6): [4, 7, 1], (3, 2): [1, 2], (3, 3): [1, 2, 3]}


def test_discount_is_gamma_and_zero_at_the_end_of_the_part():
    sessions = store()
    part = Part(np.array([0, 3]), sessions.offsets[[0, 3]], np.array([5, 14]))  # session 0 cut at 5
    batch = collate(sessions, training_windows(sessions, part, 20, None, False), GAMMA)
    assert batch.discount.tolist() == [[GAMMA] * 3 + [0.0], [GAMMA] * 2 + [0.0, 0.0]]
    assert batch.item_seq.tolist() == [[5, 3, 9, 4], [1, 2, 3, 0]]
    assert batch.action.tolist() == [[3, 9, 4, 7], [2, 3, 4, 0]]


def test_returns_equal_a_loop_and_stop_where_the_part_stops():
    sessions = store()
    part = Part(np.array([3, 0]), sessions.offsets[[3, 0]], np.array([14, 5]))
    returns = returns_to_go(sessions, part, GAMMA)
    expected = np.zeros(len(sessions.items))
    for session, stop in zip(part.session, part.stop, strict=True):
        running = 0.0
        for place in reversed(range(sessions.offsets[session], stop)):
            running = float(sessions.rewards[place]) + GAMMA * running
            expected[place] = running
    np.testing.assert_allclose(returns, expected, rtol=1e-6)


def test_prefixes_are_the_items_before_each_event():
    sessions = store()
    (items, _, _), length = prefixes(sessions, [3, 6, 13], 4)
    assert items.tolist() == [[5, 3, 9, 0], [9, 4, 7, 1], [1, 2, 3, 0]]
    assert length.tolist() == [3, 4, 3]


def test_batches_hold_each_window_once_in_like_lengths_and_differ_by_epoch():
    lists = [list(range(1, 2 + n % 7)) for n in range(60)]
    sessions = store(lists)
    windows = training_windows(sessions, whole(sessions), 20, None, False)
    epochs = [
        training_batches(windows, 8, np.random.default_rng([1, epoch])) for epoch in (0, 0, 1)
    ]
    for batches in epochs:
        assert sorted(np.concatenate(batches)) == list(range(len(windows)))
        spread = sum(np.ptp(windows.inputs[b]) for b in batches)
        assert spread <= 6  # lengths 1 … 6 sorted: the spreads of all batches sum to the range
    same = [all(np.array_equal(a, b) for a, b in zip(epochs[0], e, strict=True)) for e in epochs]
    assert same == [True, True, False]


def test_every_target_weighs_the_same_whatever_the_length_of_its_session():
    """The loss of a batch is a mean, so batches have to have like many targets."""
    lists = [list(range(1, 3 + 18 * (n % 4 == 0))) for n in range(400)]  # 2 events, or 20
    sessions = store(lists)
    windows = training_windows(sessions, whole(sessions), 20, None, False)
    batches = training_batches(windows, 40, np.random.default_rng(0))
    number = np.array([windows.targets[b].sum() for b in batches])
    assert len(batches) == 10 and number.sum() == 300 * 1 + 100 * 19
    assert np.ptp(number) <= 19  # one session more or less


def test_a_session_longer_than_a_batch_has_one_of_its_own():
    sessions = store([list(range(1, 60)), [1, 2], [1, 2], [1, 2]])
    windows = training_windows(sessions, whole(sessions), 100, None, False)
    batches = training_batches(windows, 1, np.random.default_rng(0))
    assert sorted(np.concatenate(batches)) == [0, 1, 2, 3] and all(map(len, batches))


def test_evaluation_batches_hold_each_window_once_from_short_to_long():
    sessions = store([list(range(1, 3 + n % 5)) for n in range(23)])
    windows = evaluation_windows(sessions, whole(sessions), 20, False)
    batches = evaluation_batches(windows, 5)
    assert [len(b) for b in batches] == [5, 5, 5, 5, 3]
    assert sorted(np.concatenate(batches)) == list(range(23))
    assert (np.diff(windows.inputs[np.concatenate(batches)]) >= 0).all()
