"""A copy of a policy that answers to responses: blind from items alone, and not with kinds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import blind_copy
from benchmarks.blind_copy import WORLD, Row, Yardstick, trained
from recbole_lpi.simulation import Shop, policy_of, session_rewards, simulate

SMALL = Shop(replace(WORLD, n_items=20, dimension=2, max_events=8, temperature=0.3), seed=0)
RATES = ((10, 0.004), (4, 0.001))


@pytest.fixture(scope="module")
def yardstick():
    return Yardstick(SMALL, held_out=1000, rollouts=1000, seed=2)


def copied(yardstick, *inputs):
    log = simulate(SMALL, SMALL.logging_policy, 2000, seed=1)
    return yardstick.row("copy", policy_of(trained(inputs, log, SMALL, RATES)))


@pytest.mark.slow
def test_a_copy_that_reads_items_alone_cannot_reach_the_entropy_of_the_policy(yardstick):
    row = copied(yardstick, "item")
    assert row.excess[0] - 4 * row.excess[1] > 0.3
    assert row.ratio[0] + 4 * row.ratio[1] < 0.9


@pytest.mark.slow
def test_one_that_reads_responses_comes_close_to_it_and_earns_as_much(yardstick):
    row = copied(yardstick, "item", "event", "time_gap")
    assert row.excess[0] + 4 * row.excess[1] < 0.2
    assert row.ratio[0] + 2 * row.ratio[1] > 0.97 and row.ratio[0] > 0.93


def test_the_policy_itself_is_measured_as_such(yardstick):
    row = yardstick.row("μ", SMALL.logging_policy)
    assert row.excess == (0, 0) and row.ratio == (1, 0)
    assert row.nll == pytest.approx(-yardstick.log_mu.mean()) and 0 < row.nll < np.log(20)


def test_a_ratio_has_the_error_of_differences_session_by_session(yardstick):
    uniform = yardstick.row("uniform", lambda h: h.times.new_zeros(len(h.items), 20))
    theirs = uniform.ratio[0] * yardstick.row("μ", SMALL.logging_policy).value[1]
    mean = yardstick.rewards.mean()
    assert 0 < uniform.ratio[1] < (uniform.value[1] + theirs) / mean
    one, two = (
        yardstick.rewards,
        session_rewards(
            simulate(SMALL, lambda h: h.times.new_zeros(len(h.items), 20), 1000, seed=3)
        ),
    )
    terms = two - two.mean() / one.mean() * one
    assert uniform.ratio[1] == pytest.approx(terms.std(ddof=1) / 1000**0.5 / mean)
    assert uniform.nll == pytest.approx(np.log(20))
    held = yardstick.held_out
    excess = np.add.reduceat(np.log(20) + yardstick.log_mu, held.offsets[:-1])
    assert uniform.excess[0] == pytest.approx(excess.sum() / len(held.items))


def test_the_command_prints_a_row_for_each_policy(monkeypatch, capsys):
    monkeypatch.setattr(blind_copy, "WORLD", SMALL.settings)
    monkeypatch.setattr(blind_copy, "RATES", ((1, 0.01),))
    blind_copy.main(sessions=60, rollouts=50, seed=0)
    rows = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == ["μ", *blind_copy.COPIES, "items at random"]
    assert str(Row("a", 1.0, (0.5, 0.1), (2.0, 0.2), (0.9, 0.01), 3.0)) == (
        "| a | 1.000 | 0.500 ± 0.100 | 2.000 ± 0.200 | 0.900 ± 0.010 | 3 |"
    )
