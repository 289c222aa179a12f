"""What a whole session would be worth under another policy, step by step.

A session is x₀, a₀, r₀, x₁, a₁, r₁, … of the logged events that count; its value is Σ γᵗ r_t. The
items were drawn by μ, and the weights are wᵗ = π(a_t | x_t) / μ(a_t | x_t). What happened up to a
step is as likely under π as ρ_t = w₀ w₁ … w_t says. Unlike an estimate per event, these count what
a recommendation does to the rest of the session, and pay for it: ρ_t spreads with every step.

Every function returns the value of a session under π, and how each session pulls on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recbole_lpi.evaluation.metrics import Influence

LARGEST = 700.0  # of a log weight: exp of more is no float64


@dataclass(frozen=True)
class Trajectories:
    """The N events of S sessions, in their order.

    Attributes:
        reward: float64 [N].
        log_weight: log π − log μ of the logged items, float64 [N].
        offsets: int64 [S + 1]; session s is events offsets[s] … offsets[s + 1] − 1, at least one.
        gamma: the discount γ of a step, in [0, 1].
    """

    reward: np.ndarray
    log_weight: np.ndarray
    offsets: np.ndarray
    gamma: float = 1.0

    @cached_property
    def session(self) -> np.ndarray:
        """The session of each event, 0 … S − 1, int64 [N]."""
        return np.asarray(np.repeat(np.arange(len(self)), np.diff(self.offsets)))

    @cached_property
    def step(self) -> np.ndarray:
        """t of each event, from 0 in every session, int64 [N]."""
        return np.asarray(np.arange(len(self.reward)) - self.offsets[self.session])

    @cached_property
    def discount(self) -> np.ndarray:
        """γᵗ of each event, [N]."""
        return np.asarray(self.gamma ** self.step.astype(np.float64))

    @cached_property
    def ratio(self) -> np.ndarray:
        """ρ_t of each event, its own weight included, [N]."""
        total = np.cumsum(self.log_weight)
        before = (total - self.log_weight)[self.offsets[:-1]]
        return np.asarray(np.exp(np.minimum(total - before[self.session], LARGEST)))

    @cached_property
    def ratio_before(self) -> np.ndarray:
        """ρ_{t−1} of each event, 1 at the first of a session, [N]."""
        before = np.roll(self.ratio, 1)
        before[self.offsets[:-1]] = 1.0
        return before

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def summed(self, values: np.ndarray) -> np.ndarray:
        """Σ γᵗ of values [N] over each session, [S]."""
        return np.bincount(self.session, self.discount * values, len(self))


def logged_return(log: Trajectories) -> Influence:
    """Σ γᵗ r_t: what sessions were worth under μ itself."""
    return _mean(log.summed(log.reward))


def per_decision(log: Trajectories) -> Influence:
    """Σ γᵗ ρ_t r_t: per-decision importance sampling (Precup, Sutton & Singh 2000).

    Unbiased where μ is right and gives whatever π does a chance; its variance may be without bound.
    """
    return _mean(log.summed(log.ratio * log.reward))


def weighted_per_decision(log: Trajectories) -> Influence:
    """Σ_t γᵗ Σ_s ρ_{s,t} r_{s,t} / Σ_s ρ_{s,t}: the weighted form (Thomas 2015, section 3.8).

    The weights of a step sum to one over all sessions. One that has ended is still counted, with
    its last ρ and no reward. It is biased, less so the more sessions there are, and never above
    the largest return there can be.
    """
    n_steps = int(log.step.max()) + 1
    last = log.ratio[log.offsets[1:] - 1]
    # What sessions that ended before step t add to the weights of t.
    ended = np.cumsum(np.bincount(np.diff(log.offsets), last, n_steps + 1))[:n_steps]
    total = np.bincount(log.step, log.ratio, n_steps) + ended
    mean = np.bincount(log.step, log.ratio * log.reward, n_steps) / total
    per_step = log.gamma ** np.arange(n_steps) / total
    pulls = np.bincount(
        log.session, per_step[log.step] * log.ratio * (log.reward - mean[log.step]), len(log)
    )
    # After its end a session pulls every step's mean down, with its last weight and a reward of 0.
    later = np.append(np.cumsum((per_step * mean)[::-1])[::-1], 0.0)
    pulls -= last * later[np.diff(log.offsets)]
    return Influence(float((per_step * total * mean).sum()), pulls, len(log))


def doubly_robust(
    log: Trajectories, action_value: np.ndarray, state_value: np.ndarray
) -> Influence:
    """Σ γᵗ [ρ_{t−1} V(x_t) + ρ_t (r_t − Q(x_t, a_t))] (Jiang & Li 2016, Eq. 10, unrolled).

    Unbiased where μ is right, whatever Q is; the nearer Q is to that of π, the less it varies.

    Args:
        log: the sessions.
        action_value: an estimate of Q^π(x_t, a_t), [N].
        state_value: E_{a~π} of it at x_t, [N].
    """
    residual = log.ratio * (log.reward - action_value)
    return _mean(log.summed(log.ratio_before * state_value + residual))


def fitted_q(log: Trajectories, state_value: np.ndarray) -> Influence:
    """V(x₀) = E_{a~π} Q^π(x₀, a) of the first event that counts: no weights, all is the model's.

    Le, Voloshin & Yue 2019, "Batch policy learning under constraints". Its error is that of the
    sessions alone, not of the model, so that its interval is too narrow wherever Q is wrong.

    Args: as of ``doubly_robust``.
    """
    return _mean(state_value[log.offsets[:-1]])


def first_order(log: Trajectories, expected_advantage: np.ndarray) -> Influence:
    """Σ γᵗ (r_t + E_{a~π} A_μ(x_t, a)): what local policy improvement raises (paper, section 3.2).

    The states are those that μ visits, so that it is off by what π's other states change; of
    policies near μ that is of second order (Kakade & Langford 2002; Schulman et al. 2015).

    Args:
        log: the sessions.
        expected_advantage: E_{a~π} Q^μ(x_t, a) − E_{a~μ} Q^μ(x_t, a), [N].
    """
    return _mean(log.summed(log.reward + expected_advantage))


def _mean(terms: np.ndarray) -> Influence:
    """The mean of terms [S], one of each session."""
    mean = float(terms.mean())
    return Influence(mean, (terms - mean) / len(terms), len(terms))
