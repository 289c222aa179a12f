"""First choices that are nearly the same everywhere are told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.variety import (
    effective_number,
    mostly_the_item_before,
    nearly_constant,
)


def table(greedy, logged):
    nothing = np.zeros(len(logged))
    named = {"item_id": logged, "greedy_item": greedy}
    columns = {name: nothing for name in ("session", "position", "event", "reward", "rank",
                                          "log_pi", "log_mu", "js", "kl")}  # fmt: skip
    return EventTable(**columns, **named)


def test_the_effective_number_is_the_number_where_all_are_alike():
    assert effective_number(np.array([3, 3, 3])) == pytest.approx(1)
    assert effective_number(np.arange(40) % 8) == pytest.approx(8)
    assert effective_number(np.array([1, 1, 2, 2, 3, 3, 4, 4, 4, 4])) < 4


def test_a_model_with_few_first_choices_is_told():
    rng = np.random.default_rng(0)
    logged = rng.integers(0, 1000, 5000)
    assert nearly_constant(table(logged, logged)) is None
    assert nearly_constant(table(logged // 10, logged)) is None  # a hundred items
    line = nearly_constant(table(logged % 13, logged))
    assert line is not None and "13 distinct items at 5000 events" in line
    assert nearly_constant(table(0 * logged + 7, logged)) is not None


def test_a_model_that_mostly_says_the_last_item_again_is_told():
    t = table(np.array([1, 2, 3, 4, 5]), np.arange(1, 6))
    assert mostly_the_item_before(t) is None  # a file of before
    half = replace(t, previous_item=np.array([0, 2, 3, 9, 9]))
    assert mostly_the_item_before(half) is None
    more = mostly_the_item_before(replace(t, previous_item=np.array([0, 2, 3, 4, 9])))
    assert more is not None and more.startswith("75% of first choices are the item of the event be")
    none = replace(t, greedy_item=np.zeros(5, int), previous_item=np.zeros(5, int))
    assert mostly_the_item_before(none) is None  # no event has one before
