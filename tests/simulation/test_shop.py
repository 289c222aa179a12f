"""A shop: its users by hand, what it logs, what a seed decides, and its settings."""

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
    roll_out,
    session_rewards,
    simulate,
    value,
)
from recbole_lpi.simulation.shop import CLICK, IGNORED, PURCHASE, Users
from tests.support.shops import RICH, SMALL
from tests.support.shops import log as log  # fixtures
from tests.support.shops import world as world


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
        ("popular", float("inf")),
        ("max_events", 0),
    ],
)
def test_settings_that_make_no_sense_are_named(name, wrong):
    with pytest.raises(ValueError, match=rf"^{name} must be .* got {wrong}"):
        given: dict[str, Any] = {name: wrong.strip("'") if isinstance(wrong, str) else wrong}
        ShopSettings(**given)
