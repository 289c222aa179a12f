"""What a session has seen, against loops; and the scores of it: 0 at first, causal, learnt."""

import pytest
import torch

from recbole_lpi.nn.repeats import STEPS, RepeatHead, items_seen, steps

A, K = 6, 2


def histories(seed=0, rows=5, length=9):
    g = torch.Generator().manual_seed(seed)
    items = torch.randint(1, A + 1, (rows, length), generator=g)
    kinds = torch.randint(1, K + 1, (rows, length), generator=g)
    items[0, 0] = A + 1  # a start token
    kinds[0, 0] = 0
    items[1, 5:] = kinds[1, 5:] = 0
    return items, kinds


def by_loops(items, kinds, upto):
    """Of each item seen: age, times and kinds."""
    found: dict[int, tuple[int, int, set[int]]] = {}
    for position in range(upto + 1):
        item = int(items[position])
        if 1 <= item <= A:
            _, times, before = found.get(item - 1, (0, 0, set()))
            found[item - 1] = (upto - position, times + 1, before | {int(kinds[position])})
    return found


def test_what_was_seen_equals_plain_loops():
    items, kinds = histories()
    at = items > 0
    seen = items_seen(items, kinds, at, A, K)
    repeated = 0
    for n, (row, place) in enumerate(at.nonzero().tolist()):
        wanted = by_loops(items[row], kinds[row], place)
        real = (seen.item[n] >= 0).nonzero().flatten().tolist()
        assert {int(seen.item[n, j]) for j in real} == set(wanted) and len(real) == len(wanted)
        for j in real:
            age, times, before = wanted[int(seen.item[n, j])]
            assert (int(seen.age[n, j]), int(seen.times[n, j])) == (age, times)
            assert {k + 1 for k in range(K) if seen.kinds[k, n, j]} == before
            repeated += times > 1
    assert repeated > 20


def test_of_no_kinds_none_is_told_apart():
    items, kinds = histories()
    seen = items_seen(items, kinds, items > 0, A, 0)
    assert seen.kinds.shape == (0, *seen.item.shape)
    assert RepeatHead(3)(torch.randn(len(seen.item), 3), seen).value.shape == seen.item.shape


def test_a_head_begins_at_nothing_and_learns_from_age_times_kind_and_state():
    items, kinds = histories()
    seen = items_seen(items, kinds, items > 0, A, K)
    head, state = RepeatHead(4, K), torch.randn(len(seen.item), 4)
    assert not head(state, seen).value.any()
    torch.nn.init.normal_(head.weight)
    torch.nn.init.normal_(head.bias)
    value = head(state, seen).value
    rows = state @ head.weight.T + 4 * head.bias
    for n, j in (seen.item >= 0).nonzero().tolist():
        wanted = rows[n, steps(seen.age[n, j] + 1)] + rows[n, STEPS + steps(seen.times[n, j])]
        for kind in range(K):
            if seen.kinds[kind, n, j]:
                wanted = wanted + rows[n, 2 * STEPS + kind]
        torch.testing.assert_close(value[n, j], wanted)


@pytest.mark.parametrize("changed", [1, 4, 8])
def test_a_later_event_changes_nothing_that_was_seen_before_it(changed):
    items, kinds = histories(1)
    at = torch.zeros_like(items, dtype=torch.bool)
    at[:, :changed] = items[:, :changed] > 0
    before = items_seen(items, kinds, at, A, K)
    items[:, changed:], kinds[:, changed:] = items[:, changed:].flip(0), 3 - kinds[:, changed:]
    after = items_seen(items, kinds, at, A, K)
    for one, other in zip(before, after, strict=True):
        real = before.item >= 0
        assert torch.equal(before.item, after.item)
        assert torch.equal(one[..., real], other[..., real])


def test_steps_double_every_second_one_and_end():
    assert steps(torch.tensor([1, 2, 3, 4, 6, 8, 10**6])).tolist() == [0, 2, 3, 4, 5, 6, STEPS - 1]
