"""Ship, hold or cannot tell: every rule by itself, and which of two goes before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recbole_lpi.experiments.decision.rules import (
    Evidence,
    FloorAhead,
    Improvement,
    Rules,
    decide,
)

RULES = Rules()
MORE = Improvement("reward per event", 0.008, 0.004, 0.012, 1, 0.1)
LESS = Improvement("reward per event", -0.008, -0.012, -0.004, -1, 0.1)
EITHER = Improvement("reward per event", 0.001, -0.003, 0.005, 0, 0.1)
UNUSABLE = Evidence("the log", True, refusal="the weights are worth 3 events", js=0.05)
FLOOR = FloorAhead("session popularity", 0.63, 0.41)


def by_estimate(value, **more):
    return decide(Evidence("the log", True, value=value, **{"js": 0.05, **more}), RULES)


def by_ranks(ranks, **more):
    return decide(Evidence("the logging policy", False, ranks=ranks, **{"js": 0.05, **more}), RULES)


@pytest.mark.parametrize("judged", [by_estimate, by_ranks])
def test_the_sign_of_what_is_sure_decides(judged):
    assert judged(MORE).word == "ship"
    assert judged(LESS).word == "hold"
    assert judged(EITHER).word == "cannot tell"


def test_a_lower_bound_of_exactly_zero_is_not_above_it():
    assert by_estimate(replace(MORE, at_least=0.0)).word == "cannot tell"
    assert by_estimate(replace(LESS, at_most=0.0)).word == "cannot tell"


def test_beyond_the_budget_nothing_is_shipped():
    for found in (by_estimate(MORE, js=0.201), by_ranks(MORE, js=0.201)):
        assert (found.word, found.by) == ("hold", "distance")
        assert "JS 0.201 of 0.2" in found.reason
    assert by_estimate(MORE, js=0.2).word == "ship"
    far = Evidence("the log", True, value=MORE, js=0.6)
    assert decide(far, Rules(max_js=None)).word == "ship"


def test_a_distance_that_is_not_known_is_not_within_a_budget():
    unknown = Evidence("the log", True, value=MORE, js=None)
    assert decide(unknown, RULES).word == "cannot tell"
    assert decide(unknown, Rules(max_js=None)).word == "ship"
    assert by_estimate(LESS, js=None).word == "hold"


def test_where_impressions_were_logged_ranks_decide_nothing():
    found = decide(replace(UNUSABLE, ranks=MORE), RULES)
    assert (found.word, found.by) == ("cannot tell", "estimate")
    assert "the weights are worth 3 events" in found.reason
    assert decide(replace(UNUSABLE, ranks=LESS, floor=FLOOR), RULES).word == "cannot tell"
    assert by_estimate(MORE, floor=FLOOR).word == "ship"


def test_where_engaged_items_were_logged_no_estimate_decides():
    assert by_ranks(LESS, value=MORE).word == "hold"
    assert by_ranks(None, value=MORE).word == "cannot tell"


def test_a_floor_that_is_ahead_holds_what_ranks_better_than_what_runs():
    found = by_ranks(MORE, floor=FLOOR)
    assert found.word == "hold" and "Session popularity" in found.reason


def test_reasons_have_the_numbers_in_words():
    assert by_estimate(MORE).reason == (
        "It would earn more: reward per event +0.0080 beside the log, +8.0 %, and at least +0.0040."
    )
    ranks = replace(LESS, name="purchase nDCG@20", taken="The next purchase")
    assert by_ranks(ranks).reason == (
        "The next purchase stands lower in its lists: purchase nDCG@20 −0.0080 beside the logging "
        "policy, −8.0 %."
    )


@pytest.mark.parametrize("bad", [{"max_js": -0.1}, {"level": 1.0}, {"k": 0}])
def test_settings_that_cannot_be_are_named(bad):
    with pytest.raises(ValueError, match={"k": "topk"}.get(*bad, *bad)):
        Rules(**bad)
