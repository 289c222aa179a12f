"""Tests over sessions and seeds: by hand, against scipy's, and on made-up random effects."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import stats

from recbole_lpi.evaluation.scores import PolicyScore, SessionScore, variance
from recbole_lpi.evaluation.significance import against_all, holm, paired, stars


def policy(values):
    """A policy whose run k has the value [k, s] in session s, of one event each."""
    runs = [SessionScore(v.mean(), len(v), (v - v.mean()) / len(v)) for v in np.asarray(values)]
    return PolicyScore.of(runs)


def test_the_parts_of_a_variance_by_hand():
    """Runs 0.2 and 0.4; sessions pull by ±.3 and ±.1, on average by ±.2."""
    score = PolicyScore(np.array([0.2, 0.4]), 2, np.array([[0.3, -0.3], [0.1, -0.1]]))
    assert score.mean == pytest.approx(0.3) and score.spread == pytest.approx(math.sqrt(0.02))
    seeds, by_session = score.of_seeds, score.of_sessions_by_seed
    assert seeds.variance == pytest.approx(0.02 / 2) and seeds.dof == 1
    assert by_session.variance == pytest.approx(4 * 0.1**2 * 2 / 1 / 2) and by_session.dof == 1
    # Over sessions 2/1 · 2 · .2² = .16, of which .04 is the seeds' as well.
    assert score.stderr == pytest.approx(math.sqrt(0.01 + 0.16 - 0.04))
    over_sessions = 0.12**2 / (0.16**2 + 0.04**2)
    dof = 0.13**2 / (0.01**2 + 0.12**2 / over_sessions)
    assert variance(score.clusters, [score]).dof == pytest.approx(dof)


@pytest.mark.parametrize("k", [2, 3, 7])
def test_the_variance_is_that_of_the_mean_over_other_sessions_and_seeds(k):
    """σ_seed² / K + σ_both² / (K S) + σ_session² / S, to 5 %: what both know counts once."""
    rng, s, of_seed, of_both, of_session = np.random.default_rng(0), 40, 0.1, 1.0, 0.7
    found = []
    for _ in range(3000):
        values = of_session * rng.normal(size=s) + of_seed * rng.normal(size=(k, 1))
        score = policy(values + of_both * rng.normal(size=(k, s)))
        found.append(score.stderr**2)
    expected = of_seed**2 / k + of_both**2 / (k * s) + of_session**2 / s
    assert np.mean(found) == pytest.approx(expected, rel=0.05)


def test_seeds_that_agree_leave_the_paired_test_over_sessions():
    a, b = np.random.default_rng(0).normal([[0.0], [0.4]], size=(2, 50))
    found = paired(policy([a, a, a]), policy([b, b]))
    expected = stats.ttest_rel(b, a)
    assert [found.t, found.p] == pytest.approx([expected.statistic, expected.pvalue])
    assert found.dof == pytest.approx(49) and found.sessions == 50


@pytest.mark.parametrize("seeds", [(3, 3), (2, 5)])
def test_sessions_that_all_agree_leave_welchs_test_of_the_runs(seeds):
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=seeds[0]), 1 + 3 * rng.normal(size=seeds[1])
    found = paired(*(policy(np.repeat(means[:, None], 20, 1)) for means in (a, b)))
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert [found.t, found.p] == pytest.approx([expected.statistic, expected.pvalue])
    assert found.dof == pytest.approx(expected.df)


def test_against_a_policy_that_draws_nothing_it_is_the_test_of_the_others_runs():
    means = np.array([0.3, 0.5, 0.7])
    found = paired(policy(np.full((1, 20), 0.2)), policy(np.repeat(means[:, None], 20, 1)))
    expected = stats.ttest_1samp(means, 0.2)
    assert found.p == pytest.approx(expected.pvalue) and found.dof == pytest.approx(2)


def test_one_run_each_is_a_test_over_sessions_alone():
    a, b = np.random.default_rng(1).normal(size=(2, 1, 30))
    found = paired(policy(a), policy(b))
    assert found.p == pytest.approx(stats.ttest_rel(b[0], a[0]).pvalue)


def test_equal_values_are_no_difference_however_they_are_averaged():
    one, three = policy([[0.1, 0.1]]), policy([[0.1, 0.1]] * 3)
    assert one.mean != three.mean  # by 1e-17
    found = paired(one, three)
    assert (found.t, found.p, found.stars) == (0, 1, "")


def test_no_variance_is_certainty_and_one_session_is_none():
    one, other = policy(np.full((2, 5), 0.25)), policy(np.full((2, 5), 0.5))
    assert (paired(one, other).t, paired(one, other).stars) == (math.inf, "***")
    alone = paired(policy([[0.25], [0.3]]), policy([[0.5]]))
    assert math.isnan(alone.p) and alone.stars == ""


@dataclass(frozen=True)
class World:
    """Standard deviations of random effects, and the seeds of policies; one seed draws nothing."""

    seed: float
    session_by_seed: float
    session_by_policy: float = 0.0
    seeds: tuple[int, ...] = (3, 3)
    sessions: int = 400

    def draw(self, rng, lift=0.0):
        """Policies on the same sessions; the last is better by ``lift``."""
        shared = rng.normal(size=self.sessions)
        found = []
        for number, k in enumerate(self.seeds, 1):
            values = shared + self.session_by_policy * rng.normal(size=self.sessions)
            noise = self.seed * rng.normal(size=(k, 1))
            noise = noise + self.session_by_seed * rng.normal(size=(k, self.sessions))
            last = number == len(self.seeds)
            found.append(policy(values + noise * (k > 1) + lift * last))
        return found


WORLDS = {
    "seeds": World(seed=0.05, session_by_seed=0.3),
    "sessions by seed": World(seed=0.0, session_by_seed=1.0, seeds=(5, 5)),
    "seeds and sessions by seed": World(seed=0.05, session_by_seed=0.7),
    "sessions": World(seed=0.001, session_by_seed=0.1, session_by_policy=0.5),
    "seeds and sessions": World(seed=0.05, session_by_seed=0.1, session_by_policy=0.7),
    "many seeds": World(seed=0.05, session_by_seed=0.5, session_by_policy=0.3, seeds=(9, 6)),
    "one policy draws nothing": World(seed=0.05, session_by_seed=0.3, seeds=(3, 1)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_false_alarms_are_as_many_as_they_say(name):
    rng = np.random.default_rng(0)
    p = np.array([paired(*WORLDS[name].draw(rng)).p for _ in range(2000)])
    assert 0.03 <= np.mean(p < 0.05) <= 0.07
    assert np.mean(p < 0.001) <= 0.004


@pytest.mark.parametrize("name", ["seeds", "seeds and sessions"])
def test_sessions_alone_would_star_policies_that_are_alike(name):
    """What became of it: runs of a policy averaged, and the average taken for the policy."""
    rng, p = np.random.default_rng(0), []
    for _ in range(500):
        averaged = [
            PolicyScore(np.array([score.mean]), score.count, score.clusters[None])
            for score in WORLDS[name].draw(rng)
        ]
        p.append(paired(*averaged).p)
    assert np.mean(np.array(p) < 0.05) > 0.09


@pytest.mark.parametrize("name", WORLDS)
def test_a_large_difference_is_found(name):
    rng = np.random.default_rng(0)
    found = [paired(*WORLDS[name].draw(rng, lift=0.4)).stars for _ in range(200)]
    assert np.mean([bool(star) for star in found]) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize(
    "world",
    [
        World(seed=0.05, session_by_seed=0.3, seeds=(3,) * 8, sessions=150),
        World(seed=0.0, session_by_seed=0.1, session_by_policy=0.5, seeds=(3,) * 8, sessions=150),
        World(seed=0.05, session_by_seed=0.3, seeds=(3, 3), sessions=150),
        World(seed=0.05, session_by_seed=0.3, session_by_policy=0.3, seeds=(3, 1, 5, 2, 3)),
    ],
    ids=["seeds", "sessions", "two", "of each kind"],
)
def test_the_best_of_many_alike_is_starred_in_5_percent_of_tables_at_most(world):
    rng, starred = np.random.default_rng(0), []
    for _ in range(1000):
        ranked = sorted(world.draw(rng), key=lambda score: score.mean, reverse=True)
        starred.append(against_all(ranked[0], ranked[1:]).p < 0.05)
    assert np.mean(starred) <= 0.06


def test_the_best_is_tested_by_the_policy_it_is_least_sure_to_beat():
    """Second by its mean, with seeds that agree; third, and with seeds far apart, perhaps best."""
    flat = np.zeros(20)
    best, second, third = (
        policy(np.add.outer(means, flat)) for means in ([0.5, 0.501], [0.4, 0.401], [0.1, 0.6])
    )
    found = against_all(best, [second, third])
    assert paired(second, best).stars == "***" and found == paired(third, best)
    assert found.stars == ""


def test_holms_correction_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert holm([0.6, 0.7]) == [1, 1] and holm([0.02]) == [0.02] and holm([]) == []


@pytest.mark.slow
def test_holms_correction_stars_some_of_many_that_are_alike_in_5_percent_of_tables():
    rng, world = np.random.default_rng(0), World(0.05, 0.3, 0.3, (3,) * 8, sessions=100)
    starred = []
    for _ in range(500):
        first, *others = world.draw(rng)
        adjusted = holm([paired(other, first).p for other in others])
        starred.append(any(stars(p) for p in adjusted))
    assert 0 < np.mean(starred) <= 0.07
