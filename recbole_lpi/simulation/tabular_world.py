"""Markov decision processes and contextual bandits with a few states, solved exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recbole_lpi.data.sessions import Sessions, flat_sessions

TOLERANCE = 1e-9  # by how much the sum of a distribution may differ from 1
WORST_CONDITION = 1e12  # of the system of equations; beyond it no digit of the solution is known
LONGEST = 100_000  # steps of a logged episode; more of them means that episodes hardly end


class TabularLog(NamedTuple):
    """Episodes that a policy made in a ``TabularWorld``, E events.

    Attributes:
        sessions: item a + 1 is action a; timestamps are steps; all events are of kind ``step``.
        states: x of each event, int64 [E].
        propensities: π(a | x) of each event, float64 [E].
    """

    sessions: Sessions
    states: np.ndarray
    propensities: np.ndarray


@dataclass(frozen=True)
class TabularWorld:
    """An MDP with n states and m actions, or a contextual bandit, in float64.

    After action a in state x the episode ends with probability ``ends[x, a]``, and goes on to
    state y with (1 − ends[x, a]) ``transitions[x, a, y]``. Policies are matrices [n, m] whose rows
    are distributions. J, Q, V and the visitation are as in section 3.2 of Liang & Vlassis, with
    rewards after the end being 0.

    Attributes:
        transitions: P(y | x, a), [n, m, n].
        rewards: r(x, a), the mean reward, [n, m].
        initial: d₀(x), [n].
        ends: the chance that the episode ends, [n, m]; 1 everywhere: a contextual bandit.
        gamma: γ in [0, 1]; 1 needs that episodes end whatever is done.
        noise: standard deviation of logged rewards around their mean, normal.

    Raises:
        ValueError: a shape does not fit, a row is no distribution, or a value does not exist.
    """

    transitions: np.ndarray
    rewards: np.ndarray
    initial: np.ndarray
    ends: np.ndarray
    gamma: float = 1.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        n, m = self.rewards.shape
        for name, shape in (("transitions", (n, m, n)), ("initial", (n,)), ("ends", (n, m))):
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"{name} must have shape {shape}, got {found}")
        _check_distributions("transitions", self.transitions)
        _check_distributions("initial", self.initial)
        if not ((self.ends >= 0) & (self.ends <= 1)).all():
            raise ValueError("ends must be probabilities, in [0, 1]")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be in [0, 1], got {self.gamma}")
        if not 0 <= self.noise < np.inf:
            raise ValueError(f"noise must be >= 0 and finite, got {self.noise}")

    @property
    def n_states(self) -> int:
        """n."""
        return int(self.rewards.shape[0])

    @property
    def n_actions(self) -> int:
        """m."""
        return int(self.rewards.shape[1])

    def state_values(self, policy: np.ndarray) -> np.ndarray:
        """Return V_π, [n]: the solution of V = r_π + γ P_π V."""
        return self._solve(policy, np.asarray((policy * self.rewards).sum(1)), transposed=False)

    def action_values(self, policy: np.ndarray) -> np.ndarray:
        """Return Q_π, [n, m]: r + γ (1 − ends) P V_π."""
        later = self.transitions @ self.state_values(policy)
        return np.asarray(self.rewards + self.gamma * (1 - self.ends) * later)

    def advantages(self, policy: np.ndarray) -> np.ndarray:
        """Return A_π = Q_π − V_π, [n, m]."""
        return np.asarray(self.action_values(policy) - self.state_values(policy)[:, None])

    def visits(self, policy: np.ndarray) -> np.ndarray:
        """Return Σ_t γᵗ P(x_t = x | π), [n]: the discounted visitation, which is not normalised."""
        return self._solve(policy, self.initial, transposed=True)

    def value(self, policy: np.ndarray) -> float:
        """Return J(π) = Σ_x d₀(x) V_π(x), the expected discounted reward of an episode."""
        return float(self.initial @ self.state_values(policy))

    def log(self, policy: np.ndarray, n_sessions: int, seed: int) -> TabularLog:
        """Log episodes of a policy, all at once, step by step.

        Args:
            policy: [n, m].
            n_sessions: S, >= 1.
            seed: of all draws.

        Raises:
            ValueError: an episode is longer than ``LONGEST``.
        """
        self._check(policy)
        rng, columns = np.random.default_rng(seed), []
        going = np.arange(n_sessions)
        state = _drawn(np.broadcast_to(self.initial, (n_sessions, self.n_states)), rng)
        for step in range(LONGEST):
            action = _drawn(policy[state], rng)
            reward = self.rewards[state, action] + self.noise * rng.standard_normal(len(state))
            columns.append((going, action, np.full(len(going), float(step)), reward, state))
            goes_on = rng.random(len(state)) >= self.ends[state, action]
            going, following = going[goes_on], self.transitions[state, action][goes_on]
            if not len(going):
                break
            state = _drawn(following, rng)
        else:
            raise ValueError(f"an episode is longer than {LONGEST} steps: raise ends")
        session, action, time, reward, state = (
            np.concatenate(column) for column in zip(*columns, strict=True)
        )
        order = np.lexsort((time, session))
        session, action, time, reward, state = (
            column[order] for column in (session, action, time, reward, state)
        )
        kind = np.zeros(len(session), np.uint8)
        sessions = flat_sessions(session, action + 1, time, reward, kind, ("step",))
        return TabularLog(sessions, state, policy[state, action])

    def _solve(self, policy: np.ndarray, right: np.ndarray, transposed: bool) -> np.ndarray:
        """Solve (I − γ P_π) v = right, or the transposed system."""
        self._check(policy)
        going = ((1 - self.ends) * policy)[:, :, None] * self.transitions
        matrix = np.eye(self.n_states) - self.gamma * going.sum(1)
        if np.linalg.cond(matrix) > WORST_CONDITION:
            raise ValueError("under this policy an episode may never end: lower gamma, raise ends")
        return np.asarray(np.linalg.solve(matrix.T if transposed else matrix, right))

    def _check(self, policy: np.ndarray) -> None:
        if policy.shape != self.rewards.shape:
            raise ValueError(f"policy must have shape {self.rewards.shape}, got {policy.shape}")
        _check_distributions("policy", policy)


def random_world(
    n_states: int, n_actions: int, seed: int, *, gamma: float = 0.9, ends: float = 0.1
) -> TabularWorld:
    """Draw an MDP: P and d₀ from flat Dirichlet distributions, r uniform in [0, 1).

    Args:
        n_states, n_actions: n and m, >= 1.
        seed: of all draws.
        gamma: γ.
        ends: the chance to end after any action; 1: a contextual bandit.
    """
    rng = np.random.default_rng(seed)
    return TabularWorld(
        rng.dirichlet(np.ones(n_states), (n_states, n_actions)),
        rng.random((n_states, n_actions)),
        rng.dirichlet(np.ones(n_states)),
        np.full((n_states, n_actions), float(ends)),
        gamma,
    )


def random_policy(world: TabularWorld, seed: int, concentration: float = 1.0) -> np.ndarray:
    """Draw a policy [n, m] whose rows are from a Dirichlet distribution, all actions > 0."""
    rng = np.random.default_rng(seed)
    rows = rng.dirichlet(np.full(world.n_actions, concentration), world.n_states)
    rows = np.maximum(rows, 1e-12)
    return np.asarray(rows / rows.sum(1, keepdims=True))


def exact_lpi(world: TabularWorld, policy: np.ndarray, beta: float) -> np.ndarray:
    """Return π(a | x) ∝ μ(a | x) exp(A_μ(x, a) / β), [n, m], with the exact A_μ.

    It is what the LPI objective (Eq. 8, Liang & Vlassis) has for its optimum when it is given the
    advantage and all data. ``beta`` is > 0.
    """
    if not beta > 0:
        raise ValueError(f"beta must be > 0, got {beta}")
    exponent = world.advantages(policy) / beta
    weights = policy * np.exp(exponent - exponent.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def _drawn(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a column of each row, which is a distribution."""
    until = rows.cumsum(1)
    sought = rng.random((len(rows), 1)) * until[:, -1:]
    last = (until < until[:, -1:]).sum(1)
    return np.asarray(np.minimum((until <= sought).sum(1), last))


def _check_distributions(name: str, rows: np.ndarray) -> None:
    if not (rows >= 0).all() or not np.allclose(rows.sum(-1), 1, rtol=0, atol=TOLERANCE):
        raise ValueError(f"{name} must be distributions: >= 0, with a sum of 1")
