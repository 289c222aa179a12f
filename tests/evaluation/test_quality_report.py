"""What is said of the estimate of a logging policy: its numbers, its words and its warnings."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import Part, flat_sessions
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.likelihood_floor import fit_floor
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.propensity_quality import ImportanceWeights, calibration, plus_minus
from recbole_lpi.evaluation.quality_report import LoggingPolicyQuality, judge

ITEMS, SESSIONS, LENGTH = 6, 300, 6
TRUTH = 0.1 + 0.0 * np.eye(ITEMS)
TRUTH += 0.4 * np.roll(np.eye(ITEMS), 1, 1)  # an item is followed by the next one, or by any


@pytest.fixture
def parts():
    """Training, validation and test part of sessions that are chains of TRUTH."""
    rng, chains = np.random.default_rng(0), np.zeros((SESSIONS, LENGTH), int)
    chains[:, 0] = rng.integers(0, ITEMS, SESSIONS)
    for place in range(1, LENGTH):
        for row in range(SESSIONS):
            chains[row, place] = rng.choice(ITEMS, p=TRUTH[chains[row, place - 1]])
    session, nothing = np.repeat(np.arange(SESSIONS), LENGTH), np.zeros(SESSIONS * LENGTH)
    store = flat_sessions(
        session, chains.ravel() + 1, np.arange(len(session)), nothing, nothing, ("click",)
    )
    rows = np.arange(SESSIONS)
    cut = [
        Part(row, store.offsets[row], store.offsets[row + 1]) for row in np.split(rows, [100, 200])
    ]
    return [SessionData(store, part, ITEMS + 1, Reading()) for part in cut]


def table_of(held, mu, pi=None, first=False):
    """The event table of a policy, ``mu`` itself without ``pi``: both [A, A], by the last item."""
    store, place = held.sessions, held.places
    before, item = store.items[place - 1] - 1, store.items[place] - 1
    own, none = mu if pi is None else pi, np.full(len(place), math.nan)
    session = np.searchsorted(store.offsets, place, side="right") - 1
    of_mu = np.log(mu[before, item])
    table = EventTable(
        session=session, position=place - store.offsets[session], item_id=item + 1,
        event=np.full(len(place), "click", object), reward=none, rank=np.ones(len(place)),
        greedy_item=own[before].argmax(1) + 1, log_pi=np.log(own[before, item]),
        log_mu=none if pi is None else of_mu, js=none, kl=none,
    )  # fmt: skip
    if first:
        return replace(table, greedy_log_pi=np.log(own[before].max(1)))
    return table


def softened(p, share):
    return (1 - share) * p + share / ITEMS


def judged(parts, *policies, first=False):
    mu, pi = policies if len(policies) == 2 else (policies[0], None)
    table = table_of(parts[2], mu, pi, first)
    found = judge(table, parts[0], parts[1], parts[2], is_estimate=pi is None)
    assert found is not None
    return found


def test_the_right_estimate_is_better_than_counts_and_nothing_is_warned_of(parts):
    found = judged(parts, TRUTH, softened(TRUTH, 0.5))
    log_mu = table_of(parts[2], TRUTH).log_pi
    log_floor = fit_floor(*parts[:2]).log_probabilities(parts[2])
    assert found.nll == pytest.approx(-log_mu.mean())
    assert found.floor_nll == pytest.approx(-log_floor.mean())
    assert found.better_by.mean == pytest.approx((log_mu - log_floor).mean())
    assert 0 < found.better_by.stderr < 0.1 and found.better_by.count == 500
    assert found.beats_floor and found.weights.average_one and found.weights_of == "policy"
    assert sum(found.floor_weights.values()) == pytest.approx(1)
    lines = list(found.lines())
    assert len(lines) == 2 and not [line for line in lines if "Warning" in line]
    assert lines[0].startswith(f"Estimated logging policy μ̂: NLL {found.nll:.2f} per event")
    assert f"the estimate is better by {plus_minus(found.better_by)}." in lines[0]
    assert "popularity 0." in lines[0]
    assert lines[1].startswith("Importance weights of this policy, π/μ̂, average ")
    assert "500 events are worth" in lines[1]


def test_an_estimate_that_is_worse_than_counts_is_not_to_be_trusted(parts):
    wrong = softened(np.roll(TRUTH, 1, 1), 0.1)
    found = judged(parts, wrong, TRUTH)
    assert not found.beats_floor and found.better_by.mean < 0
    lines = list(found.lines())
    assert f"the mixture is better by {plus_minus(found.better_by, -1)}." in lines[0]
    assert lines[1].startswith("Warning: counting items predicts this log as well as μ̂, or better")
    assert "train it for more epochs" in lines[1]
    assert found.weights.mean.mean > 1.5 and not found.weights.average_one
    assert "more than two standard errors from 1" in lines[3]
    assert "too large" in lines[3] and len(lines) == 4


def test_an_estimate_that_may_be_as_good_as_counts_only_is_not_to_be_trusted(parts):
    found = replace(judged(parts, TRUTH, TRUTH), better_by=Estimate(0.01, 0.02, 500))
    assert not found.beats_floor
    lines = list(found.lines())
    assert "better by 0.01 ± 0.02, which may be chance." in lines[0]
    assert lines[1].startswith("Warning")


def test_an_estimate_that_gives_too_much_to_what_the_policy_prefers_is_told(parts):
    sharp = TRUTH**3 / (TRUTH**3).sum(1, keepdims=True)
    found = judged(parts, softened(sharp, 0.1), softened(sharp, 0.5))
    assert found.weights.mean.mean > 1 and not found.weights.average_one
    found = judged(parts, softened(sharp, 0.3), softened(sharp, 0.01))
    assert found.weights.mean.mean < 1 and not found.weights.average_one
    assert "too small" in list(found.lines())[-1]


def test_an_estimate_by_itself_is_weighed_against_the_mixture(parts):
    found = judged(parts, TRUTH)
    assert found.weights_of == "mixture" and found.weights.average_one
    lines = list(found.lines())
    assert lines[1].startswith("Importance weights of the mixture, mixture/μ̂, average ")
    assert found.calibration is None  # the table does not tell what first choices are given


def test_first_choices_of_the_estimate_are_calibrated_or_not(parts):
    found = judged(parts, TRUTH, first=True)
    lines = list(found.lines())
    assert found.calibration is not None and found.calibration.excess.mean == pytest.approx(
        0.5 - found.calibration.logged.mean()
    )
    assert "the first choice of μ̂ is given 0.500 on average" in lines[2]
    assert lines[3:] == found.calibration.table
    sharp = TRUTH**3 / (TRUTH**3).sum(1, keepdims=True)
    told = list(judged(parts, sharp, first=True).lines())[-1]
    assert "Warning: μ̂ is over-confident by 0.4" in told and "fewer epochs" in told
    told = list(judged(parts, softened(TRUTH, 0.8), first=True).lines())[-1]
    assert "Warning: μ̂ is under-confident by 0.2" in told and "more epochs" in told
    assert judged(parts, TRUTH, TRUTH, first=True).calibration is None  # those of another policy


def test_nothing_is_said_of_what_the_table_does_not_tell(parts):
    table = table_of(parts[2], TRUTH)
    assert judge(table, parts[0], parts[1], parts[2], is_estimate=False) is None
    empty = SessionData(
        parts[1].sessions, Part(*(np.zeros(0, np.int64) for _ in range(3))), ITEMS + 1
    )
    assert judge(table, parts[0], empty, parts[2], is_estimate=True) is None


def test_it_is_written_as_plain_values(parts):
    values = judged(parts, TRUTH, first=True).plain()
    assert json.loads(json.dumps(values)) == values
    assert values["calibration"]["count"] == [50] * 10
    assert values["better_by"].keys() == {"mean", "stderr", "count"}
    assert values["floor_weights"].keys() == {"popularity", "own items", "last item", "uniform"}
    assert judged(parts, TRUTH, TRUTH).plain()["calibration"] is None


def test_components_without_weight_are_not_named():
    quality = LoggingPolicyQuality(
        4.741, 5.899, {"popularity": 0.2, "own items": 0.752, "last item": 0.001, "uniform": 0.047},
        Estimate(1.158, 0.021, 900), ImportanceWeights(Estimate(5.4, 0.3, 1200), 0.613, 41.2),
        "policy", calibration(np.log([0.5]), np.array([True]), np.array([0])),
    )  # fmt: skip
    assert list(quality.lines())[:3] == [
        "Estimated logging policy μ̂: NLL 4.74 per event, a fitted mixture of counts 5.90 "
        "(popularity 0.20, own items 0.75, uniform 0.05): the estimate is better by 1.16 ± 0.02.",
        "Importance weights of this policy, π/μ̂, average 5.40 ± 0.30, and must average 1 if μ̂ is "
        "right. The largest 1% of them have 61% of their sum; 1,200 events are worth 41 equally "
        "weighted ones.",
        "Warning: that is more than two standard errors from 1. What the policy prefers was logged "
        "more often than μ̂ says: estimates of rewards by these weights are too large.",
    ]


@pytest.mark.parametrize(
    ("mean", "error", "spelled"),
    [
        (1.158, 0.021, "1.16 ± 0.02"),
        (0.01234, 0.00345, "0.012 ± 0.003"),
        (0.01234, 0.0000345, "0.0123 ± 0.0000"),
        (5.4, 3.0, "5.40 ± 3.00"),
        (1.0, 0.0, "1.00 ± 0.00"),
        (1.0, math.nan, "1.00 ± nan"),
        (2.5e130, 1e130, "2.5e+130 ± 1.0e+130"),
        (math.inf, math.nan, "inf ± nan"),
    ],
)
def test_numbers_are_spelled_to_the_first_digit_of_their_error(mean, error, spelled):
    assert plus_minus(Estimate(mean, error, 3)) == spelled
