"""How far μ̂ is from logged propensities: worked by hand, and where μ is planted."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from recbole_lpi.evaluation.propensity_agreement import agreement

MU = np.array([0.5, 0.25, 0.15, 0.1])


def drawn(estimate, propensities=MU, number=20_000):
    """Agreement on items drawn from MU, one a session."""
    item = np.random.default_rng(0).choice(4, size=number, p=MU)
    return agreement(np.log(estimate)[item], np.log(propensities)[item], np.arange(number))


def warned(found):
    return [line for line in found.lines() if line.startswith("Warning")]


def test_two_events_by_hand():
    found = agreement(np.log([0.2, 0.5]), np.log([0.4, 0.25]), np.array([0, 1]))
    assert found.nll == pytest.approx(-(math.log(0.4) + math.log(0.25)) / 2)
    assert found.divergence.mean == pytest.approx(0, abs=1e-12)  # log 2 and −log 2
    assert found.distance == pytest.approx(math.log(2))
    assert found.ratio.mean == pytest.approx((0.5 + 2) / 2) and found.ratio.count == 2
    np.testing.assert_allclose(found.logged, [0.25, 0.4])
    np.testing.assert_allclose(found.estimated, [0.5, 0.2])
    assert found.count.tolist() == [1, 1]
    assert "a factor of 2." in next(found.lines())
    assert json.loads(json.dumps(found.plain()))["estimated"] == pytest.approx([0.5, 0.2])


def test_the_right_estimate_is_no_distance_away():
    found = drawn(MU)
    assert found.divergence.mean == found.distance == 0 and found.ratio.mean == 1
    assert not warned(found)


def test_of_another_estimate_it_is_the_divergence():
    other = np.array([0.4, 0.3, 0.1, 0.2])
    found = drawn(other)
    exact = float((MU * np.log(MU / other)).sum())
    assert abs(found.divergence.mean - exact) < 3 * found.divergence.stderr < exact
    assert abs(found.ratio.mean - 1) < 3 * found.ratio.stderr
    assert not warned(found)
    uneven = (MU * np.abs(np.log(MU / other))).sum()
    assert found.distance == pytest.approx(uneven, rel=0.02)


def test_the_ratio_is_the_share_on_what_can_be_shown():
    """μ̂ gives a third of what it has to items that μ never shows."""
    assert drawn(MU * 2 / 3).ratio.mean == pytest.approx(2 / 3)


def test_propensities_that_cannot_be_right_are_warned_of():
    lines = warned(drawn(MU, MU / 3))  # of one slot in three, say
    assert len(lines) == 2
    assert "they are not the probabilities" in lines[0] and "above 1 cannot be" in lines[1]


def test_events_of_a_session_are_one_draw():
    item = np.random.default_rng(0).choice(4, size=500, p=MU)
    other = np.log([0.4, 0.3, 0.1, 0.2])
    alone = agreement(other[item], np.log(MU)[item], np.arange(500))
    twice, session = np.repeat(item, 2), np.repeat(np.arange(500), 2)
    both = agreement(other[twice], np.log(MU)[twice], session)
    assert both.divergence.stderr == pytest.approx(alone.divergence.stderr)
    assert both.divergence.mean == pytest.approx(alone.divergence.mean)
