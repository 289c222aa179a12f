"""The ranking pass against its plain form, and that against plain loops."""

import math
from typing import Any

import pytest
import torch

from recbole_lpi.nn import ranking
from recbole_lpi.nn.catalogue import Additions, Factors, Table
from recbole_lpi.nn.ranking import ranking_of_logits, ranking_pass
from recbole_lpi.nn.tile_sizes import CHUNK_BYTES, LEAST_EVENTS
from recbole_lpi.nn.tiled_outputs import Product
from tests.support.catalogue_loops import loop_kl, loop_softmax, random_tables, some_seen


def test_rank_by_hand_with_ties():
    logits = torch.tensor([[0.3, 0.9, 0.3, 0.3], [2.0, 1.0, 0.0, -1.0]])
    for rank in (ranking_of_logits, ranking_pass):
        got = rank(logits, torch.tensor([2, 0]))
        # one item is ahead and three tie: places 2, 3 and 4 with mean 3
        assert got.rank.tolist() == [3.0, 1.0]
        assert got.greedy_item.tolist() == [1, 0]
        assert got.js is None and got.kl is None


@pytest.mark.parametrize("top", [1, 3, 10])
@pytest.mark.parametrize("rank", [ranking_of_logits, ranking_pass])
def test_first_choices_begin_with_the_greedy_item_also_among_ties(rank, top):
    torch.manual_seed(0)
    logits = torch.randint(0, 3, (200, 10)).float()
    got = rank(logits, torch.zeros(200, dtype=torch.int64), top=top)
    assert torch.equal(got.top_items[:, 0], got.greedy_item)
    assert all(len(set(row.tolist())) == top for row in got.top_items)
    chosen = logits.gather(1, got.top_items)
    torch.testing.assert_close(chosen, logits.sort(-1, descending=True).values[:, :top])


def test_divergence_equals_plain_loops():
    state, action, policy, _, logging = random_tables()
    got: Any = ranking_of_logits(policy.outputs(state), action, logging[1].outputs(logging[0]))
    for i in range(len(state)):
        pi = loop_softmax([float(state[i] @ w) for w in policy.weight])
        mu = loop_softmax([float(logging[0][i] @ w) for w in logging[1].weight])
        mix = [(p + m) / 2 for p, m in zip(pi, mu, strict=True)]
        js = (loop_kl(pi, mix) + loop_kl(mu, mix)) / 2
        assert math.isclose(got.js[i], js, abs_tol=1e-12)
        assert math.isclose(got.kl[i], loop_kl(pi, mu), abs_tol=1e-12)
        assert math.isclose(got.log_mu[i], math.log(mu[action[i]]), abs_tol=1e-12)


def test_divergence_of_a_policy_from_itself_is_zero_and_of_strangers_log_2():
    logits = torch.tensor([[50.0, -50.0], [50.0, -50.0]])
    other = torch.tensor([[50.0, -50.0], [-50.0, 50.0]])
    for rank in (ranking_of_logits, ranking_pass):
        got = rank(logits, torch.tensor([0, 0]), other)
        torch.testing.assert_close(got.js, torch.tensor([0.0, math.log(2)]))
        torch.testing.assert_close(got.kl, torch.tensor([0.0, 100.0]))


def drawn(n=30, d=4, a=200, seed=0, bias=False):
    g = torch.Generator().manual_seed(seed)
    r = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    given = Factors(r(n, d), Table(r(a, d), r(a) if bias else None), some_seen(n, a, seed))
    return given, torch.randint(a, (n,), generator=g)


@pytest.mark.parametrize(("chunk", "tile"), [(1, 9), (7, 64), (30, 200), (100, 33), (None, None)])
@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize("compared", [False, True])
@pytest.mark.parametrize(("bias", "seen"), [(False, False), (False, True), (True, True)])
def test_the_pass_in_tiles_is_the_plain_ranking(chunk, tile, written, compared, bias, seen):
    policy, action = drawn(bias=bias)
    logging = drawn(d=6, seed=1)[0] if compared else None
    if not seen:
        policy = policy._replace(added=None)
    logits, logits_mu = policy.outputs(), logging and logging.outputs()
    plain = ranking_of_logits(logits, action, logits_mu, top=5)
    scores, scores_mu = (logits, logits_mu) if written else (policy, logging)
    got = ranking_pass(scores, action, scores_mu, top=5, chunk=chunk, tile=tile)
    assert len(plain.rank.unique()) > 20  # or there is nothing to tell apart
    for name, wanted in plain._asdict().items():
        value = getattr(got, name)
        if wanted is None:
            assert value is None
        elif name == "rank":
            assert value.tolist() == wanted.tolist()
        else:
            torch.testing.assert_close(value, wanted, rtol=1e-10, atol=1e-12)


def test_items_alike_tie_wherever_they_stand():
    (state, table, _), _ = drawn(n=50, a=1000)
    table.weight[777] = table.weight[3]
    both = Additions(torch.tensor([[3, -1, 777]] * 50), torch.full((50, 3), 0.7))
    for dtype in (torch.float32, torch.float64):
        scores = Factors(state.to(dtype), table.to(dtype), both)
        first, last = (ranking_pass(scores, torch.full((50,), item), tile=96) for item in (3, 777))
        assert torch.equal(first.rank, last.rank) and (first.rank % 1 == 0.5).all()


@pytest.mark.parametrize("nudge", [0, 1e-6, -1e-6])
@pytest.mark.parametrize("items", [500, 501])
def test_a_logged_logit_that_is_rounded_otherwise_changes_no_rank(monkeypatch, nudge, items):
    (state, table, (item, value)), action = drawn(n=200, a=items)
    table.weight[7] = table.weight[3]
    action[:2] = torch.tensor([3, 7])
    added = Additions(item, value.float())
    scores, of_tiles = Factors(state.float(), table.to(torch.float32), added), Product.logged
    wanted = ranking_of_logits(scores.outputs(), action)
    monkeypatch.setattr(Product, "logged", lambda *given: of_tiles(*given) + nudge)
    got = ranking_pass(scores, action, chunk=150, tile=64)
    assert got.rank.tolist() == wanted.rank.tolist()
    torch.testing.assert_close(got.log_pi, wanted.log_pi, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("items", [1000, 1001])
def test_hardly_an_event_is_ranked_twice(monkeypatch, items, bias):
    twice = []
    find = ranking.to_rank_anew

    def found(*given):
        for rows in find(*given):
            twice.extend(rows.tolist())
            yield rows

    monkeypatch.setattr(ranking, "to_rank_anew", found)
    (state, table, (item, value)), action = drawn(n=300, d=64, a=items, bias=bias)
    scores = Factors(state.float(), table.to(torch.float32), Additions(item, value.float()))
    ranking_pass(scores, action, chunk=150, tile=448)
    assert len(twice) < 30
    ranking_pass(scores.outputs().round(), action, chunk=150, tile=448)
    assert len(twice) < 30  # of what is written down, none, with whatever ties


def test_an_item_in_the_first_place_of_very_many_is_not_ranked_twice():
    for items in (2**23 + 5, 2**24 - 1):  # from there on float32 has no odd numbers
        ahead = torch.tensor([1.0 - items, items - 1.0])
        assert not list(ranking.to_rank_anew(ahead, items))
        assert [len(rows) for rows in ranking.to_rank_anew(ahead.abs() - 1, items)] == [2]
    many = ranking.to_rank_anew(torch.zeros(1000), 2)
    assert max(len(rows) for rows in many) == LEAST_EVENTS


def test_one_tile_is_held_and_a_chunk_where_divergences_are_asked_for(monkeypatch):
    held, rank = [], ranking.rank_tiles

    def seen(pi, mu, item, where, top):
        held.append(where.shape)
        return rank(pi, mu, item, where, top)

    monkeypatch.setattr(ranking, "rank_tiles", seen)
    (state, table, _), action = drawn(n=1000, a=40_000)
    scores = Factors(state.float(), table.to(torch.float32))
    ranking_pass(scores, action)
    assert {shape[:2] for shape in held} == {(1, 1)}
    held.clear()
    ranking_pass(scores, action, scores)
    for number, tiles, events, items in held:
        assert number == 2 and tiles * items >= 40_000
        assert events * 40_000 * 4 <= CHUNK_BYTES


def test_logits_of_half_precision_are_compared_as_they_are():
    logits = torch.tensor([[256.0, 257.0, 1.0]], dtype=torch.float32)
    assert ranking_pass(logits, torch.tensor([0])).rank == 2
    assert ranking_pass(logits.bfloat16(), torch.tensor([0])).rank == 1.5  # 257 is 256 there


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_scores_that_are_not_finite_show(value):
    (state, table, _), action = drawn()
    table.weight[100] = value
    assert not ranking_pass(Factors(state.abs(), table), action, tile=64).log_pi.isfinite().any()
