"""The world that answers to responses: its logging policy by hand, its users, what it draws."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from recbole_lpi.simulation import (
    Histories,
    Shop,
    ShopSettings,
    log_probabilities,
    roll_out,
    session_rewards,
    simulate,
    value,
)
from recbole_lpi.simulation.shop import CLICK, IGNORED, PURCHASE, Users

PLAIN: dict[str, Any] = {
    "signal": (-0.5, 1.0, 1.0), "temperature": 0.2, "pause_chance": 0.1, "leave": 0.02,
    "bored": 0.03, "appeal": 0.0, "conversion": 0.0, "popular": 0.0, "blur": 0.0, "remind": 0.0,
    "explore": 0.0, "repeat_penalty": 0.0,
}  # fmt: skip
SMALL = ShopSettings(n_items=12, dimension=3, max_events=5, **PLAIN)
RICH = replace(
    SMALL, appeal=0.8, conversion=1.0, popular=1.5, blur=0.7, remind=0.2, explore=0.1,
    repeat_penalty=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return Shop(SMALL, seed=4)


@pytest.fixture(scope="module")
def log(world):
    return simulate(world, world.logging_policy, 400, seed=1)


def by_hand(world, items, kinds, times):
    """μ after one session that logs all that is shown: items 1 … A, kinds as codes."""
    s, policy = world.settings, world.logging_policy
    v, g = policy.seen.double().tolist(), world.appeal.tolist()
    bought = {item for item, kind in zip(items, kinds, strict=True) if kind == PURCHASE}
    clicked = [item for item, kind in zip(items, kinds, strict=True) if kind == CLICK]
    weights = []
    for a in range(s.n_items):
        score = s.popular * g[a]
        for item, kind, time in zip(items, kinds, times, strict=True):
            like = sum(x * y for x, y in zip(v[item - 1], v[a], strict=True))
            age = (times[-1] - time) / s.memory
            score += s.signal[kind] * math.exp(-age) * like / s.temperature
        weights.append(0.0 if a + 1 in bought else math.exp(score))
    reminds = s.remind if clicked and clicked[-1] not in bought else 0.0
    found = [
        (1 - reminds - s.explore) * weight / sum(weights) + s.explore / s.n_items
        for weight in weights
    ]
    if reminds:
        found[clicked[-1] - 1] += reminds
    return found


@pytest.mark.parametrize("settings", [SMALL, RICH, replace(RICH, explore=0.0)])
def test_the_logging_policy_is_its_formula(settings):
    world = Shop(settings, seed=4)
    items, kinds, times = (
        [3, 7, 3, 9],
        [IGNORED, PURCHASE, CLICK, IGNORED],
        [0.0, 30.0, 31.0, 400.0],
    )
    padded = torch.zeros(2, 6, dtype=torch.int64), torch.zeros(2, 6, dtype=torch.int64)
    padded[0][0, :4], padded[1][0, :4] = torch.tensor(items), torch.tensor(kinds) + 1
    padded[0][1, :1], padded[1][1, :1] = 5, CLICK + 1
    seconds = torch.zeros(2, 6, dtype=torch.float64)
    seconds[0, :4] = torch.tensor(times)
    mu = world.logging_policy(Histories(*padded, seconds, torch.tensor([4, 1]))).exp()
    for row, session in enumerate([(items, kinds, times), ([5], [CLICK], [0.0])]):
        assert mu[row].tolist() == pytest.approx(by_hand(world, *session), abs=1e-6)
    assert mu[0, 6] == pytest.approx(settings.explore / 12)  # bought
    nothing = Histories(*padded, seconds, torch.tensor([4, 1])).first(0)
    assert world.logging_policy(nothing).exp()[1].tolist() == pytest.approx(
        by_hand(world, [], [], []), abs=1e-6
    )


def test_another_kind_makes_another_policy(world):
    item, when = torch.tensor([[2]] * 3), torch.zeros(3, 1, dtype=torch.float64)
    kinds = torch.tensor([[IGNORED], [CLICK], [PURCHASE]]) + 1
    mu = world.logging_policy(Histories(item, kinds, when, torch.ones(3, dtype=torch.int64))).exp()
    assert mu[0, 1] < 1 / 12 < mu[1, 1] and mu[2, 1] == 0


def test_probabilities_of_the_log_are_those_of_each_session_alone(world, log):
    found = log_probabilities(world.logging_policy, log)
    assert len(found) == len(log.items) and np.isfinite(found).all()
    for session in range(20):
        begin, stop = log.offsets[session : session + 2]
        items, kinds = log.items[begin:stop].tolist(), log.events[begin:stop].tolist()
        times = log.timestamps[begin:stop].tolist()
        for place in range(1, len(items)):
            mu = by_hand(world, items[:place], kinds[:place], times[:place])
            assert math.exp(found[begin + place]) == pytest.approx(mu[items[place] - 1], rel=1e-4)


def test_propensities_of_a_roll_out_are_those_of_the_policy():
    world = Shop(RICH, seed=4)
    found = roll_out(world, world.logging_policy, 200, seed=1)
    expected = log_probabilities(world.logging_policy, found.sessions)
    assert found.log_probabilities == pytest.approx(expected, abs=1e-5)
    assert found.shown == len(found.sessions.items)
    assert np.exp(found.log_probabilities).min() >= RICH.explore / 12 - 1e-6


def test_what_is_shown_is_drawn_from_the_policy(world, log):
    """The chance of what was drawn averages Σ μ², and no item is drawn twice once bought."""
    p = np.exp(log_probabilities(world.logging_policy, log))
    first = log.offsets[:-1]
    counts = np.bincount(log.items[first], minlength=13)[1:]
    assert ((counts - 400 / 12) ** 2 / (400 / 12)).sum() < 40  # χ² of 11, beyond 0.9999
    assert p[first] == pytest.approx(1 / 12)
    later = np.setdiff1d(np.arange(len(p)), first)
    assert p[later].mean() > 1.2 / 12
    for session in range(len(log)):
        events = slice(*log.offsets[session : session + 2])
        bought = log.items[events][log.events[events] == PURCHASE]
        assert len(set(bought)) == len(bought)


def test_an_importance_weight_is_one_on_average_and_carries_the_value_over(world):
    other = Shop(ShopSettings(**{**vars(SMALL), "temperature": 0.4}), seed=4)
    log = simulate(world, world.logging_policy, 20_000, seed=2)
    ratio = log_probabilities(other.logging_policy, log) - log_probabilities(
        world.logging_policy, log
    )
    weight = np.exp(np.add.reduceat(ratio, log.offsets[:-1]))

    def within(found, truth, stderr=0.0):
        error = found.std() / len(found) ** 0.5
        return abs(found.mean() - truth) < 4 * math.hypot(error, stderr)

    assert 0.1 < weight.std() < 5 and within(weight, 1.0)
    truth = value(world, other.logging_policy, 20_000, seed=3)
    assert within(weight * session_rewards(log), truth.mean, truth.stderr)
    assert not within(session_rewards(log), truth.mean, truth.stderr)


def test_users_answer_by_likeness_appeal_and_propensity_and_repeats_bore_them():
    world = Shop(RICH, seed=4)
    users = world.newcomers(3, torch.Generator().manual_seed(0))
    items = torch.tensor([[1, 2], [4, 4], [8, 1]])
    kinds = torch.tensor([[CLICK, CLICK], [CLICK, IGNORED], [PURCHASE, CLICK]]) + 1
    seen = Histories(items, kinds, torch.zeros(3, 2).double(), torch.full((3,), 2))
    found = world.responses(users, seen, torch.tensor([4, 4, 8]))
    for row, times in enumerate([0, 2]):
        like = float(users.intent[row] @ world.vectors[3])
        added = float(world.appeal[3]) - times * RICH.repeat_penalty
        more = (0.0, float(world.conversion[3]))
        slopes = (RICH.click, RICH.purchase)
        odds = [1.0] + [
            math.exp(a + b * like + added + h) for (a, b), h in zip(slopes, more, strict=True)
        ]
        assert found[row].tolist() == pytest.approx([x / sum(odds) for x in odds], rel=1e-5)
    assert found[2].tolist() == [1, 0, 0]  # bought before


def test_what_a_response_leaves_behind(world):
    draws = torch.Generator().manual_seed(0)
    users = Users(world.newcomers(4, draws).intent, torch.tensor([2, 2, 2, 2]))
    luck = world.luck(4, draws)._replace(
        paused=torch.tensor([False, False, False, True]),
        response=torch.tensor([0.0, 0.0, 1 - 1e-7, 0.0]),
        leaving=torch.tensor([SMALL.leave + 3 * SMALL.bored - 1e-4,
                              SMALL.leave + 3 * SMALL.bored + 1e-4, SMALL.leave + 1e-4,
                              SMALL.leave + SMALL.bored - 1e-4]),
    )  # fmt: skip
    empty = torch.zeros(4, 0, dtype=torch.int64)
    nothing = Histories(empty, empty, empty.double(), torch.zeros(4, dtype=torch.int64))
    found = world.respond(users, nothing, torch.tensor([1, 2, 3, 4]), luck)
    after = found.users
    assert found.kind.tolist() == [IGNORED, IGNORED, PURCHASE, IGNORED]
    assert found.reward.tolist() == [0, 0, 1, 0] and torch.equal(found.gap, luck.gap)
    assert after.ignored.tolist() == [3, 3, 0, 1]
    assert found.leaves.tolist() == [True, False, False, True]
    torch.testing.assert_close(after.intent[:2], users.intent[:2])
    torch.testing.assert_close(after.intent[3], luck.intent[3])
    moved = users.intent[2] + SMALL.drift * world.vectors[2]
    torch.testing.assert_close(after.intent[2], moved / moved.norm())


def test_an_engaged_log_is_all_that_was_shown_less_what_was_ignored():
    world = Shop(replace(RICH, exposures="engaged"), seed=4)
    whole = roll_out(world, world.logging_policy, 3000, seed=2)
    log = whole.sessions
    assert log.event_names == ("click", "purchase") and set(log.events) == {0, 1}
    assert set(log.rewards) == {np.float32(0.2), np.float32(1.0)}
    assert len(log) < 3000 == len(whole.rewards) and log.lengths.min() == 1
    assert len(log.items) < whole.shown
    kept = np.sort(whole.rewards[whole.rewards > 0])
    assert np.sort(session_rewards(log)) == pytest.approx(kept, abs=1e-5)
    assert np.exp(whole.log_probabilities).max() < 1


def test_the_policy_of_an_engaged_log_reads_what_is_logged_and_no_more():
    world = Shop(replace(RICH, exposures="engaged"), seed=4)
    read = []

    def spy(histories):
        read.append(histories)
        return world.logging_policy(histories)

    plain = roll_out(world, world.logging_policy, 200, seed=2)
    spied = roll_out(world, spy, 200, seed=2)
    np.testing.assert_array_equal(plain.sessions.items, spied.sessions.items)
    assert plain.log_probabilities == pytest.approx(spied.log_probabilities, abs=1e-5)
    log, codes = spied.sessions, torch.cat([h.kinds.flatten() for h in read]).unique()
    assert codes.tolist() == [0, 1, 2]
    last = max(read, key=lambda h: h.items.shape[1])
    for row in range(len(last.items)):
        number = int(last.lengths[row])
        assert (last.items[row, number:] == 0).all() and (last.items[row, :number] > 0).all()
    longest = int(log.lengths.max())
    assert longest - 1 <= last.items.shape[1] <= longest


def test_a_seed_decides_all_and_the_store_is_sound(world, log):
    again = simulate(world, world.logging_policy, 400, seed=1)
    other = simulate(world, world.logging_policy, 400, seed=2)
    for name in ("items", "events", "rewards", "timestamps", "offsets"):
        np.testing.assert_array_equal(getattr(log, name), getattr(again, name))
    assert len(other.items) != len(log.items) or (other.items != log.items).any()
    assert len(log) == 400 and log.lengths.min() >= 1 and log.lengths.max() == 5
    assert log.event_names == ("ignored", "click", "purchase") and log.events.dtype == np.uint8
    np.testing.assert_array_equal(log.rewards, np.array([0, 0.2, 1], np.float32)[log.events])
    step = np.delete(np.diff(log.timestamps), log.offsets[1:-1] - 1)
    assert (step > 0).all() and 12 < np.median(step) < 35 and step.max() > 600


def test_the_same_seed_draws_the_same_luck_for_another_policy(world):
    def best(histories):
        return 100 * world.logging_policy(histories)

    one, two = (simulate(world, policy, 300, 5) for policy in (world.logging_policy, best))
    assert (one.lengths != two.lengths).any() and one.lengths.min() < 3  # some leave before others
    for a, b, number in zip(
        one.offsets, two.offsets, np.minimum(one.lengths, two.lengths), strict=False
    ):
        assert one.items[a] == two.items[b]  # of which neither policy knows anything
        np.testing.assert_array_equal(one.timestamps[a:][:number], two.timestamps[b:][:number])


def test_a_value_is_the_mean_of_the_rewards_of_sessions(world, log):
    found = value(world, world.logging_policy, 400, seed=1)
    edges = log.offsets.tolist()
    sums = [float(log.rewards[begin:stop].sum()) for begin, stop in pairwise(edges)]
    assert found.mean == pytest.approx(sum(sums) / 400) and found.count == 400
    assert found.stderr == pytest.approx(np.std(sums, ddof=1) / 20)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("exposures", "'none'"),
        ("n_items", 20),
        ("temperature", 0.0),
        ("memory", -1.0),
        ("leave", 1.5),
        ("max_events", 0),
    ],
)
def test_settings_that_make_no_sense_are_named(name, wrong):
    with pytest.raises(ValueError, match=rf"^{name} must be .* got {wrong}"):
        given: dict[str, Any] = {name: wrong.strip("'") if isinstance(wrong, str) else wrong}
        ShopSettings(**given)
