"""Intervals and lower bounds of estimates, sessions as independent draws.

- ``t_interval``: the estimate ± t × its clustered error. Right where many sessions carry the error.
- ``bootstrap_interval``: percentiles over resampled sessions. Like it, but not symmetric.
- ``bernstein_bound``: of a mean of terms in a known range. Never too high, and far too low.
- ``log_smoothing_bound``: of importance weights and rewards ≥ 0. Never too high whatever the
  weights are, and much nearer.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from recbole_lpi.evaluation.off_policy.session_sums import SessionSums

GROUPS = 2000  # of sessions, that are resampled: joined, where there are more


class Interval(NamedTuple):
    """An interval of a given confidence, and a lower bound of the same confidence by itself."""

    low: float
    high: float
    lower_bound: float


def t_interval(sums: SessionSums, confidence: float) -> Interval:
    """Return the interval of Student's t, with as many degrees of freedom as sessions carry it.

    A few sessions of huge weight are a small sample, however long the log is
    (``SessionSums.effective_sessions``).
    """
    freedom = max(1.0, min(len(sums), sums.effective_sessions) - 1)
    two, one = stats.t.ppf([0.5 + confidence / 2, confidence], freedom) * sums.stderr
    return Interval(sums.value - two, sums.value + two, sums.value - one)


def bootstrap_interval(sums: SessionSums, confidence: float, resamples: int, seed: int) -> Interval:
    """Return percentiles of the estimate over resamples of sessions (Efron 1979).

    More than 2,000 sessions are first joined into that many groups, which are independent draws as
    well.
    """
    groups = sums.grouped(GROUPS)
    draws, size, found = np.random.default_rng(seed), len(groups), []
    for first in range(0, resamples, 100):
        times = draws.multinomial(size, np.full(size, 1 / size), min(100, resamples - first))
        found.append(groups.resampled(times.astype(np.float64)))
    values = np.concatenate(found)
    values = values[np.isfinite(values)]
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    outside = (1 - confidence) / 2
    return Interval(*np.quantile(values, [outside, 1 - outside, 1 - confidence]).tolist())


def bernstein_bound(terms: np.ndarray, span: float, confidence: float) -> float:
    """Return a lower bound of the mean of independent terms [S], all within a span.

    mean − √(2 V ln(2/δ) / S) − 7 span ln(2/δ) / (3 (S − 1)) (Maurer & Pontil 2009, Theorem 4).
    """
    number, log = len(terms), float(np.log(2 / (1 - confidence)))
    if number < 2:
        return float("-inf")
    spread = float(np.sqrt(2 * terms.var(ddof=1) * log / number))
    return float(terms.mean()) - spread - 7 * span * log / (3 * (number - 1))


def log_smoothing_bound(terms: np.ndarray, rate: float, confidence: float) -> float:
    """Return a lower bound of the mean of independent terms [S] ≥ 0 (Sakhi et al. 2024).

    E[1 + λ x] is at least exp(mean log(1 + λ x) − ln(1/δ) / S) with probability 1 − δ, whatever the
    tail of x; so that is the bound, less 1 and divided by λ.
    """
    mean = float(np.log1p(rate * terms).mean())
    return float(np.expm1(mean - np.log(1 / (1 - confidence)) / len(terms)) / rate)
