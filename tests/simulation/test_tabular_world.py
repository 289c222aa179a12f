"""Tabular worlds against plain loops, and the paper's bounds over random worlds and policies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recbole_lpi.simulation import TabularWorld, exact_lpi, random_policy, random_world

SEEDS = range(60)
BETAS = (0.01, 0.1, 0.5, 2.0)


def kl(policy, other):
    """KL(π ‖ μ) in each state, [n]."""
    ratio = np.where(policy > 0, policy, 1) / np.where(policy > 0, other, 1)
    return (policy * np.log(ratio)).sum(1)


def looped(world, policy, steps=2000):
    """J, and the discounted visits, by following the distribution of states step by step."""
    reached, visits, total = world.initial.copy(), np.zeros(world.n_states), 0.0
    for step in range(steps):
        visits += world.gamma**step * reached
        after = np.zeros(world.n_states)
        for x in range(world.n_states):
            for a in range(world.n_actions):
                weight = reached[x] * policy[x, a]
                total += world.gamma**step * weight * world.rewards[x, a]
                after += weight * (1 - world.ends[x, a]) * world.transitions[x, a]
        reached = after
    return total, visits


@pytest.mark.parametrize(("gamma", "ends"), [(0.9, 0.1), (1.0, 0.3), (0.0, 0.1), (0.9, 1.0)])
def test_values_are_those_of_a_loop_over_steps(gamma, ends):
    world = random_world(4, 3, seed=1, gamma=gamma, ends=ends)
    policy = random_policy(world, 2)
    total, visits = looped(world, policy, 200)
    assert world.value(policy) == pytest.approx(total, rel=1e-8)
    assert world.visits(policy) == pytest.approx(visits, rel=1e-8)
    assert (visits * (policy * world.rewards).sum(1)).sum() == pytest.approx(total)
    q, v = world.action_values(policy), world.state_values(policy)
    assert (policy * q).sum(1) == pytest.approx(v)
    for x in range(4):
        for a in range(3):
            later = (1 - ends) * world.transitions[x, a] @ v
            assert q[x, a] == pytest.approx(world.rewards[x, a] + gamma * later)


def test_two_states_by_hand():
    """State 0 goes to 1 by action 1, from which every action ends; staying is worth nothing."""
    world = TabularWorld(
        np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]),
        np.array([[0.0, 1.0], [4.0, 2.0]]),
        np.array([1.0, 0.0]),
        np.array([[0.0, 0.0], [1.0, 1.0]]),
        gamma=0.5,
    )
    policy = np.array([[0.5, 0.5], [0.25, 0.75]])
    v1 = 0.25 * 4 + 0.75 * 2
    v0 = 0.5 * (1 + 0.5 * v1) / (1 - 0.25)
    assert world.state_values(policy) == pytest.approx([v0, v1])
    assert world.visits(policy) == pytest.approx([4 / 3, 1 / 3])


def test_a_log_has_the_value_the_visits_and_the_propensities():
    world = replace(random_world(3, 4, seed=5, gamma=1.0, ends=0.25), noise=0.3)
    policy = random_policy(world, 6)
    found = world.log(policy, 20_000, seed=7)
    log = found.sessions
    returns = np.add.reduceat(log.rewards.astype(np.float64), log.offsets[:-1])
    error = returns.std() / len(log) ** 0.5
    assert len(log) == 20_000 and abs(returns.mean() - world.value(policy)) < 4 * error
    assert np.bincount(found.states) / 20_000 == pytest.approx(world.visits(policy), rel=0.05)
    np.testing.assert_array_equal(found.propensities, policy[found.states, log.items - 1])
    chosen = np.zeros((3, 4))
    np.add.at(chosen, (found.states, log.items - 1), 1)
    assert chosen / chosen.sum(1, keepdims=True) == pytest.approx(policy, abs=0.02)
    again = world.log(policy, 20_000, seed=7)
    np.testing.assert_array_equal(again.sessions.rewards, log.rewards)


def test_importance_weights_carry_the_value_of_another_policy_over():
    world = random_world(3, 3, seed=5, gamma=1.0, ends=0.4)
    mu, pi = random_policy(world, 6, 5.0), random_policy(world, 7, 5.0)
    found = world.log(mu, 40_000, seed=8)
    log, actions = found.sessions, found.sessions.items - 1
    ratio = np.log(pi[found.states, actions] / found.propensities)
    weight = np.exp(np.add.reduceat(ratio, log.offsets[:-1]))
    returns = weight * np.add.reduceat(log.rewards.astype(np.float64), log.offsets[:-1])
    error = returns.std() / len(log) ** 0.5
    assert abs(returns.mean() - world.value(pi)) < 4 * error < 0.1 * world.value(pi)
    assert abs(world.value(mu) - world.value(pi)) > 5 * error


# ------------------------------------------------------------------ contextual bandits, section 3.1


def bandit(seed):
    world = random_world(3, 4, seed, ends=1.0)
    return world, random_policy(world, seed + 1000), random_policy(world, seed + 2000)


def surrogate(world, mu, pi):
    """L_μ(π) of Eq. 4: E_d E_μ [r log π]."""
    return world.initial @ (mu * world.rewards * np.log(pi)).sum(1)


@pytest.mark.parametrize("seed", SEEDS)
def test_equation_4_is_a_lower_bound_that_touches_at_the_logging_policy(seed):
    world, mu, pi = bandit(seed)
    constant = world.value(mu) - surrogate(world, mu, mu)
    assert world.value(pi) >= surrogate(world, mu, pi) + constant
    for step in (1e-3, 1e-5):  # the gap is of second order
        near = (1 - step) * mu + step * pi
        gap = world.value(near) - surrogate(world, mu, near) - constant
        assert -1e-12 <= gap < 50 * step**2 / mu.min()


@pytest.mark.parametrize("seed", SEEDS)
def test_equation_5_maximises_the_bound_and_improves_on_the_logging_policy(seed):
    world, mu, pi = bandit(seed)
    best = mu * world.rewards
    best /= best.sum(1, keepdims=True)
    assert surrogate(world, mu, best) > max(surrogate(world, mu, pi), surrogate(world, mu, mu))
    assert world.value(best) >= world.value(mu)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("beta", BETAS)
def test_equation_7_is_maximised_by_lpi_whose_gain_is_at_least_the_penalty(seed, beta):
    world, mu, pi = bandit(seed)
    lpi = exact_lpi(world, mu, beta)
    tilted = mu * np.exp((world.rewards - world.rewards.max()) / beta)
    assert lpi == pytest.approx(tilted / tilted.sum(1, keepdims=True))  # whatever g(x)

    def bound(policy):
        return world.value(policy) - beta * world.initial @ kl(policy, mu)

    best = bound(lpi)
    assert best <= world.value(lpi) and best >= bound(mu) == pytest.approx(world.value(mu))
    assert best >= bound(pi)
    assert world.value(lpi) - world.value(mu) >= beta * world.initial @ kl(lpi, mu)


def test_equations_6_8_and_9_are_means_over_a_log():
    world, mu, pi = bandit(3)
    found = world.log(mu, 100_000, seed=1)
    x, a, r = found.states, found.sessions.items - 1, found.sessions.rewards.astype(np.float64)
    weight = pi[x, a] / found.propensities
    advantage, beta = world.advantages(mu), 0.3
    exact = world.initial @ (mu * np.exp(advantage / beta) * np.log(pi)).sum(1)
    for terms, expected in (
        (r * np.log(pi[x, a]), surrogate(world, mu, pi)),
        (np.exp(advantage[x, a] / beta) * np.log(pi[x, a]), exact),
        (weight * r * np.log(pi[x, a]), surrogate(world, pi, pi)),
    ):
        assert abs(terms.mean() - expected) < 4 * terms.std() / len(terms) ** 0.5
    fitted = np.zeros_like(mu)  # what maximises Eq. 8: shares of the weights, state by state
    np.add.at(fitted, (x, a), np.exp(advantage[x, a] / beta))
    fitted /= fitted.sum(1, keepdims=True)
    assert fitted == pytest.approx(exact_lpi(world, mu, beta), abs=0.01)


# ------------------------------------------------------------------ decision processes, section 3.2


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gain_is_the_advantage_where_the_new_policy_goes(seed):
    world = random_world(4, 3, seed, gamma=0.8, ends=0.05)
    mu, pi = random_policy(world, seed + 1000), random_policy(world, seed + 2000)
    gain = world.visits(pi) @ (pi * world.advantages(mu)).sum(1)
    assert world.value(pi) - world.value(mu) == pytest.approx(gain)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("beta", BETAS)
def test_lpi_gains_at_least_the_penalty_where_it_goes(seed, beta):
    world = random_world(5, 4, seed, gamma=0.95, ends=0.02)
    mu = random_policy(world, seed + 1000, 0.5)
    lpi = exact_lpi(world, mu, beta)
    gain = world.value(lpi) - world.value(mu)
    assert gain >= beta * world.visits(lpi) @ kl(lpi, mu) >= 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_bound_where_the_logging_policy_goes(seed):
    """Corollary 1 of Achiam et al. (2017), with the discount γ (1 − ends) of our episodes."""
    world = random_world(4, 3, seed, gamma=0.8, ends=0.05)
    discount, mu = 0.8 * 0.95, random_policy(world, seed + 1000, 3.0)
    near = 0.9 * mu + 0.1 * random_policy(world, seed + 2000)
    for pi in (random_policy(world, seed + 2000), exact_lpi(world, mu, 0.5), near):
        of_state = (pi * world.advantages(mu)).sum(1)
        distance = np.abs(pi - mu).sum(1) / 2
        penalty = 2 * discount * np.abs(of_state).max() / (1 - discount) * distance
        bound = world.visits(mu) @ (of_state - penalty)
        assert world.value(pi) - world.value(mu) >= bound - 1e-12


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"initial": np.ones(2)}, "initial must be distributions"),
        ({"initial": np.ones(3) / 3}, r"initial must have shape \(2,\)"),
        ({"ends": np.full((2, 2), 1.5)}, "ends must be probabilities"),
        ({"gamma": 1.1}, r"gamma must be in \[0, 1\]"),
        ({"noise": -1.0}, "noise must be >= 0"),
        ({"transitions": np.full((2, 2, 2), 0.4)}, "transitions must be distributions"),
    ],
)
def test_a_world_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(random_world(2, 2, 0), **change)


def test_an_episode_that_never_ends_has_no_value():
    world = random_world(2, 2, 0, gamma=1.0, ends=0.0)
    with pytest.raises(ValueError, match="may never end"):
        world.value(random_policy(world, 0))
    with pytest.raises(ValueError, match="policy must have shape"):
        world.value(np.ones((1, 2)) / 2)
    with pytest.raises(ValueError, match="beta must be > 0"):
        exact_lpi(world, random_policy(world, 0), 0.0)
