"""Sequential estimators against brute force: every session of a small world, as likely as it is."""

from typing import NamedTuple

import numpy as np
import pytest

from recbole_lpi.evaluation.off_policy.sequential import (
    Trajectories,
    doubly_robust,
    first_order,
    fitted_q,
    logged_return,
    per_decision,
    weighted_per_decision,
)

GAMMA, STEPS, GOES_ON = 0.8, 3, 0.7
DRAWS = np.random.default_rng(5)
START = np.array([0.4, 0.6])
REWARD = DRAWS.normal(size=(2, 3))
NEXT = DRAWS.dirichlet(np.ones(2), size=(2, 3))  # of states, after an action in a state
MU, PI = DRAWS.dirichlet(np.ones(3), size=(2, 2))


class Session(NamedTuple):
    chance: float  # under μ
    path: tuple[tuple[int, int], ...]  # states and actions


def every_session(chance=1.0, path=(), states=START):
    for state, p in enumerate(states):
        for action in range(3):
            longer = (*path, (state, action))
            likely = chance * p * MU[state, action]
            last = len(longer) == STEPS
            yield Session(likely * (1.0 if last else 1 - GOES_ON), longer)
            if not last:
                yield from every_session(likely * GOES_ON, longer, NEXT[state, action])


def values(policy):
    """Q[t, s, a] and V[t, s] of a policy by recursion from the last step."""
    q, v = np.zeros((STEPS, 2, 3)), np.zeros((STEPS + 1, 2))
    for t in reversed(range(STEPS)):
        goes_on = GOES_ON if t < STEPS - 1 else 0.0
        q[t] = REWARD + GAMMA * goes_on * NEXT @ v[t + 1]
        v[t] = (policy * q[t]).sum(-1)
    return q, v[:STEPS]


SESSIONS = list(every_session())
CHANCE = np.array([s.chance for s in SESSIONS])
STATE, ACTION = np.array([place for s in SESSIONS for place in s.path]).T
LENGTHS = np.array([len(s.path) for s in SESSIONS])
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
STEP = np.concatenate([np.arange(n) for n in LENGTHS])


def log_under(policy):
    weight = np.log(policy[STATE, ACTION]) - np.log(MU[STATE, ACTION])
    return Trajectories(REWARD[STATE, ACTION], weight, OFFSETS, GAMMA)


def terms(found):
    """What each session gave."""
    return found.pulls * found.count + found.mean


def expected(found):
    return float((CHANCE * terms(found)).sum())


def truth(policy):
    return float(START @ values(policy)[1][0])


def test_every_session_is_there_once():
    assert CHANCE.sum() == pytest.approx(1, abs=1e-12)
    assert len({s.path for s in SESSIONS}) == len(SESSIONS) == 6 + 36 + 216


def test_what_was_logged_is_worth_what_mu_is():
    assert expected(logged_return(log_under(PI))) == pytest.approx(truth(MU), abs=1e-12)


def test_per_decision_weights_give_the_value_of_the_other_policy():
    assert expected(per_decision(log_under(PI))) == pytest.approx(truth(PI), abs=1e-12)


def test_doubly_robust_gives_it_whatever_q_is():
    q = np.random.default_rng(2).normal(size=(2, 3))
    found = doubly_robust(log_under(PI), q[STATE, ACTION], (PI * q).sum(-1)[STATE])
    assert expected(found) == pytest.approx(truth(PI), abs=1e-12)


def test_with_the_true_q_doubly_robust_varies_by_chance_alone_and_fitted_q_is_exact():
    q, v = values(PI)
    log, q_of, v_of = log_under(PI), q[STEP, STATE, ACTION], v[STEP, STATE]
    assert expected(fitted_q(log, v_of)) == pytest.approx(truth(PI), abs=1e-12)

    def variance(found):
        return float((CHANCE * np.square(terms(found) - truth(PI))).sum())

    assert variance(doubly_robust(log, q_of, v_of)) < 0.6 * variance(per_decision(log))


def test_a_next_state_that_is_off_by_one_is_caught():
    q = np.random.default_rng(2).normal(size=(2, 3))
    v_of = (PI * q).sum(-1)[STATE]
    off = doubly_robust(log_under(PI), q[STATE, ACTION], np.roll(v_of, 1))
    assert abs(expected(off) - truth(PI)) > 0.01


def test_the_first_order_is_off_by_the_square_of_how_far_a_policy_has_moved():
    def error(share):
        policy = (1 - share) * MU + share * PI
        q, _ = values(MU)
        advantage = ((policy - MU) * q).sum(-1)[STEP, STATE]
        return expected(first_order(log_under(policy), advantage)) - truth(policy)

    assert error(0.0) == pytest.approx(0, abs=1e-12)
    assert abs(error(0.2)) > 1e-4
    assert error(0.2) / error(0.1) == pytest.approx(4, rel=0.15)


def drawn(number, seed):
    """Sessions as they are drawn, each as often as it is."""
    rows = np.random.default_rng(seed).choice(len(SESSIONS), number, p=CHANCE / CHANCE.sum())
    events = np.concatenate([np.arange(OFFSETS[row], OFFSETS[row + 1]) for row in rows])
    whole = log_under(PI)
    offsets = np.concatenate([[0], np.cumsum(LENGTHS[rows])])
    return Trajectories(whole.reward[events], whole.log_weight[events], offsets, GAMMA)


def weighted_by_loops(log):
    """Of each step: weighted mean reward, where a session that has ended keeps its last weight."""
    sessions = [
        [(log.reward[i], log.log_weight[i]) for i in range(*log.offsets[s : s + 2])]
        for s in range(len(log))
    ]
    value = 0.0
    for t in range(max(map(len, sessions))):
        weighted = total = 0.0
        for session in sessions:
            ratio = np.exp(sum(weight for _, weight in session[: t + 1]))
            total += ratio
            weighted += ratio * session[t][0] if t < len(session) else 0.0
        value += GAMMA**t * weighted / total
    return value


def test_the_weighted_form_equals_plain_loops():
    log = drawn(40, seed=1)
    found = weighted_per_decision(log)
    assert found.mean == pytest.approx(weighted_by_loops(log), abs=1e-12)
    assert found.pulls.sum() == pytest.approx(0, abs=1e-12)


def test_a_session_pulls_on_the_weighted_form_as_its_absence_shows():
    log = drawn(400, seed=3)
    found = weighted_per_decision(log)
    for left_out in (0, 7, 399):
        keep = log.session != left_out
        offsets = np.delete(log.offsets, left_out)
        offsets[left_out:] -= np.diff(log.offsets)[left_out]
        without = Trajectories(log.reward[keep], log.log_weight[keep], offsets, GAMMA)
        change = found.mean - weighted_per_decision(without).mean
        assert change == pytest.approx(found.pulls[left_out], rel=0.1, abs=1e-4)


def test_the_weighted_form_finds_the_value_and_its_error_is_of_the_right_size():
    found = [weighted_per_decision(drawn(2000, seed)) for seed in range(60)]
    means = np.array([one.mean for one in found])
    stderr = np.sqrt(np.mean([np.square(one.pulls).sum() for one in found]))
    assert means.mean() == pytest.approx(truth(PI), abs=4 * means.std() / 60**0.5)
    assert means.std(ddof=1) == pytest.approx(stderr, rel=0.25)


def test_a_weight_beyond_all_numbers_is_finite():
    log = Trajectories(np.ones(3), np.full(3, 400.0), np.array([0, 3]))
    assert np.isfinite(per_decision(log).mean)
