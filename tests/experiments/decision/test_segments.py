"""Segments: how a log is cut, what is compared in them, and which way their order goes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.metrics import Kinds
from recbole_lpi.evaluation.scores import PolicyScore, session_score
from recbole_lpi.evaluation.significance import holm, paired
from recbole_lpi.experiments.decision.segments import (
    Cut,
    cuts_of_moments,
    cuts_of_sessions,
    few,
    quartiles,
    rows,
    segments,
)

KINDS = Kinds(("purchase",), ("click",))


def table(session, event=None, item=None, rank=None, previous=None):
    session = np.asarray(session)
    n, first = len(session), np.searchsorted(session, session)
    zeros = np.zeros(n)
    return EventTable(
        session, np.arange(n) - first, np.asarray(item if item is not None else zeros + 1, int),
        np.array(event or ["click"] * n, dtype=object), zeros + 0.2,
        np.asarray(zeros + 1 if rank is None else rank, float), np.ones(n, int), zeros - 1,
        zeros - 1, zeros, zeros,
        previous_item=None if previous is None else np.asarray(previous),
    )  # fmt: skip


def named(cut):
    return [cut.names[number] if number >= 0 else None for number in cut.at]


def test_sessions_are_cut_by_length_purchases_and_popularity():
    log = table([0, 0, 1, 1, 1, 2], ["click", "purchase", "purchase", "purchase", "click", "click"],
                item=[7, 7, 7, 5, 3, 3])  # fmt: skip
    length, purchases, popularity = cuts_of_sessions(log, KINDS)
    short, long = "sessions of 1 to 2 held-out events", "sessions of 3 or more held-out events"
    assert named(length) == [short, short, long, long, long, short]
    assert named(purchases) == [
        "sessions with one purchase", "sessions with one purchase",
        *["sessions with two or more purchases"] * 3, "sessions with no purchase",
    ]  # fmt: skip
    rare, frequent = "items that occur 1 to 2 times", "items that occur 3 or more times"
    assert named(popularity) == [frequent] * 3 + [rare] * 3


def test_moments_are_cut_by_what_was_known_before():
    """The purchase itself, and what comes after it, are no part of what was known."""
    log = table([0, 0, 0, 1], ["purchase", "purchase", "click", "click"], item=[4, 4, 6, 6],
                previous=[0, 4, 4, 0])  # fmt: skip
    _, purchases, popularity = cuts_of_moments(log, KINDS)
    assert purchases.at.tolist() == [0, 1, 2, 0]
    assert named(popularity) == [None, *["after an item that occurs 2 times"] * 2, None]


def test_what_was_bought_before_is_counted_in_any_order_of_rows():
    log = table([0, 0, 0, 1], ["purchase", "purchase", "click", "click"])
    shuffled = rows(log, np.array([2, 0, 3, 1]))
    assert cuts_of_moments(shuffled, KINDS)[1].at.tolist() == [2, 0, 0, 1]


def test_quartiles_have_about_as_many_events_and_every_value_once():
    values = np.random.default_rng(1).geometric(0.2, 1000)
    cut = quartiles("length", "{} event", values)
    sizes = np.bincount(cut.at)
    assert len(sizes) == len(cut.names) <= 4 and sizes.max() < 450
    ends = [(values[cut.at == number].min(), values[cut.at == number].max())
            for number in range(len(cut.names))]  # fmt: skip
    assert all(high < low for (_, high), (low, _) in pairwise(ends))
    assert quartiles("length", "{} event", np.ones(5, int)).names == ("1 event",)


def two_policies(sessions=200, seed=3):
    """The second policy ranks worse where the cut is 0 and better where it is 1."""
    draw = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), 2)
    where = session % 2
    base = draw.integers(1, 10, len(session))
    own = np.where(where == 0, base + draw.integers(0, 4, len(session)), np.maximum(base - 1, 1))
    return table(session, rank=base), table(session, rank=own), few("x", "{}", where)


def ranked(base, own):
    def score(chosen):
        return tuple(
            PolicyScore.of([session_score(rows(one, chosen), "click_ndcg@20", KINDS)])
            for one in (base, own)
        )

    return score


def test_the_worst_segment_comes_first_with_the_test_of_its_own_events():
    base, own, cut = two_policies()
    every = np.ones(len(base), bool)
    worse, better = segments([cut], base.session, every, ranked(base, own))
    assert (worse.name, better.name) == ("no purchase", "one purchase")
    assert worse.surely_worse and better.surely_better
    assert (worse.events, worse.sessions) == (200, 100)
    assert worse.test is not None and better.test is not None
    alone = [paired(*ranked(base, own)(cut.at == number)) for number in (0, 1)]
    assert worse.test.difference == pytest.approx(alone[0].difference)
    assert [worse.test.p, better.test.p] == pytest.approx(holm([one.p for one in alone]))
    assert (worse.test.p, better.test.p) != tuple(one.p for one in alone)  # it is not one test


def test_too_few_sessions_are_named_and_not_told():
    base, own, cut = two_policies(40)
    found = segments([cut], base.session, np.ones(len(base), bool), ranked(base, own))
    assert [one.test for one in found] == [None, None]
    assert not any(one.surely_worse for one in found)


def test_events_that_the_number_is_not_over_are_left_out():
    base, own, cut = two_policies()
    counts = cut.at == 1
    (one,) = segments([cut], base.session, counts, ranked(base, own))
    assert one.name == "one purchase" and one.events == 200
    nothing = Cut("x", ("nothing",), np.full(len(base), -1))
    assert segments([nothing], base.session, counts, ranked(base, own)) == []


def test_rows_takes_every_column():
    log = replace(table([0, 0, 1], previous=[0, 1, 0]), seen=np.array([False, True, False]))
    taken = rows(log, np.array([True, False, True]))
    assert taken.session.tolist() == [0, 1]
    assert taken.seen is not None and taken.seen.tolist() == [False, False]
    assert taken.trained is None
