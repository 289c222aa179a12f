"""Lower bounds that hold at their level for any number of sessions, however heavy the weights.

They hold for rewards ≥ 0, independent sessions and a right μ, with the mean number of events of a
session taken as known. Z_s = S/N Σ_s w r, whose mean over sessions is π's value, is ≥ 0 with no
bound above. So each looks at less than Z: cut off, or its logarithm.
"""

from __future__ import annotations

import math

import numpy as np

from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents

STRENGTHS = tuple(4.0**k for k in range(-2, 5))  # of λ, in units of 1/(largest reward · √S)


def session_values(events: LoggedEvents) -> np.ndarray:
    """Return Z_s = S/N Σ_s w r, [S]. ValueError where a reward is below 0."""
    _refuse_negative(events)
    sums = events.per_session(events.weight * events.reward)
    return sums * (len(sums) / len(events))


def mean_bound(weight: np.ndarray, session: np.ndarray, level: float = 0.95) -> float:
    """Return a lower bound on the mean of weights, by logarithmic smoothing.

    The mean is at most 1 if μ is right, whatever π is. A bound above 1 shows that μ is not.

    Args:
        weight: of events, [N].
        session: ids 0 … S − 1 of the events, [N].
        level: of the bound.
    """
    sums = np.bincount(session, weight)
    return logarithmic_smoothing_bound(sums * (len(sums) / len(weight)), 1.0, level)


def empirical_bernstein_bound(values: np.ndarray, largest: float, level: float = 0.95) -> float:
    """Return a lower bound on the mean of draws ≥ 0, from min(value, largest).

        mean − √(2 V log(2/δ) / S) − 7 b log(2/δ) / (3 (S − 1)),   δ = 1 − level

    V is the sample variance, b the largest value; cutting off only lowers a mean. Source: Theorem 4
    of Maurer & Pontil (2009); cut off as by Thomas et al. (2015). −inf of one draw.

    Args:
        values: independent draws, [S].
        largest: b > 0, chosen without a look at the draws.
        level: of the bound.
    """
    number = len(values)
    if number < 2:
        return -math.inf
    cut = np.minimum(values, largest)
    log = math.log(2 / (1 - level))
    spread = math.sqrt(2 * float(cut.var(ddof=1)) * log / number)
    return float(cut.mean()) - spread - 7 * largest * log / (3 * (number - 1))


def logarithmic_smoothing_bound(
    values: np.ndarray, largest_reward: float, level: float = 0.95
) -> float:
    """Return a lower bound on the mean of draws ≥ 0, the best over a grid of λ.

        (exp(1/S Σ log(1 + λ Z_s) − log(K/δ) / S) − 1) / λ,   δ = 1 − level

    For one λ it is Markov's inequality for Π (1 + λ Z_s), whose mean is (1 + λ V)^S; K is the
    number of λ tried (a union bound). Source: Sakhi et al. (2024), whose risk is −reward.

    Args:
        values: independent draws, [S].
        largest_reward: the unit that λ is measured in; any number > 0 gives a bound that holds.
        level: of the bound.
    """
    number = len(values)
    penalty = math.log(len(STRENGTHS) / (1 - level)) / number
    found = []
    for strength in STRENGTHS:
        lam = strength / (largest_reward * math.sqrt(number))
        found.append(math.expm1(float(np.log1p(lam * values).mean()) - penalty) / lam)
    return max(found)


def improvement_bound(events: LoggedEvents, largest_reward: float, level: float = 0.95) -> float:
    """Return a lower bound on V(π) − V(μ): high-confidence improvement.

    Each of the two values errs with half of 1 − level: π's by logarithmic smoothing, μ's from
    above, which is a mean of bounded draws, by empirical Bernstein. The longest session of the log
    is taken for the longest there is. Source: Thomas et al., "High Confidence Policy Improvement"
    (2015). ValueError where a reward is below 0, or above ``largest_reward``.
    """
    if events.reward.max() > largest_reward:
        raise ValueError(f"a reward is {events.reward.max()}: above the largest, {largest_reward}")
    half = (1 + level) / 2
    of_pi = logarithmic_smoothing_bound(session_values(events), largest_reward, half)
    sizes = events.session_sizes
    scale = len(sizes) / len(events)
    most = largest_reward * float(sizes.max()) * scale
    left = most - events.per_session(events.reward) * scale  # ≥ 0, at most ``most``
    return of_pi - (most - empirical_bernstein_bound(left, most, half))


def _refuse_negative(events: LoggedEvents) -> None:
    if events.reward.min() < 0:
        raise ValueError(f"a reward is {events.reward.min()}: these bounds are for rewards ≥ 0")
