"""Which offline number finds the better policy, where the truth is known.

P policies have true values, and one offline number each: a ranking metric, an estimate of the
value, a lower bound of it. A number is good if its order is that of the truth, and if the policy
that it picks is worth about as much as the best there is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

TWO_SIDED = float(stats.norm.ppf(0.975))


@dataclass(frozen=True)
class OfflineNumber:
    """One number of P policies, [P] each.

    Attributes:
        name: as tables print it.
        value: the larger, the better the policy is said to be.
        low, high: of its intervals; None where it has none, or is not an estimate of the truth.
        usable: whether its verdict lets it be used, bool; None: nothing refuses it.
        target: what the intervals are to hold; None: the truth by which policies are ordered.
        live: the number of the policy that is live; None: it has none.
        target_error: standard errors of the target, if that was measured itself; None: it is exact.
    """

    name: str
    value: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    usable: np.ndarray | None = None
    target: np.ndarray | None = None
    live: float | None = None
    target_error: np.ndarray | None = None

    def held(self, truth: np.ndarray) -> np.ndarray:
        """Whether each interval holds its target, 1 or 0, [P]; NaN where there is no interval.

        What is compared is the difference of two measurements, so half of an interval is widened by
        the target's own 95 %: √(half² + (1.96 error)²).
        """
        if self.low is None or self.high is None:
            return np.full(len(truth), np.nan)
        target = truth if self.target is None else self.target
        error = np.zeros(len(truth)) if self.target_error is None else self.target_error
        middle, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        held = np.abs(target - middle) <= np.hypot(half, TWO_SIDED * error)
        return np.where(np.isnan(self.low), np.nan, held.astype(float))


@dataclass(frozen=True)
class Selection:
    """What one offline number is worth as a guide.

    Attributes:
        name: of the number.
        rank_correlation: Spearman's, with the truth; NaN where the number is the same for all.
        regret: by how much the policy that it picks is below the best.
        careful_regret: the same, where only policies may be picked whose number is usable and
            above that of the live one, which stays where there is none.
        usable: how many policies have a usable number.
        held: the share of the intervals that hold their target, of all policies.
        held_usable: of those that are usable; NaN where there is none, or no interval.
    """

    name: str
    rank_correlation: float
    regret: float
    careful_regret: float
    usable: int
    held: float
    held_usable: float


def judge(number: OfflineNumber, truth: np.ndarray, live: float) -> Selection:
    """Return how well an offline number finds the better policy.

    Args:
        number: of P policies.
        truth: what they are worth, [P].
        live: what the policy is worth that made the log, and stays where nothing better is found.
    """
    value, best = np.nan_to_num(number.value, nan=-np.inf), max(float(truth.max()), live)
    usable = np.ones(len(truth), bool) if number.usable is None else number.usable
    held = number.held(truth)
    careful, above = live, usable & (value > (-np.inf if number.live is None else number.live))
    if above.any():
        careful = float(truth[np.flatnonzero(above)[value[above].argmax()]])
    return Selection(
        number.name,
        rank_correlation(number.value, truth),
        best - float(truth[value.argmax()]),
        best - careful,
        int(usable.sum()),
        _mean(held),
        _mean(held[usable]),
    )


def rank_correlation(value: np.ndarray, truth: np.ndarray) -> float:
    """Return Spearman's rank correlation, over the policies that have a value, ties averaged."""
    known = np.isfinite(value)
    value, truth = value[known], truth[known]
    if len(value) < 2 or np.ptp(value) == 0 or np.ptp(truth) == 0:
        return float("nan")
    return float(stats.spearmanr(value, truth).statistic)


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
