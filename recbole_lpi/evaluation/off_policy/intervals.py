"""Intervals around an estimate, two-sided and one-sided, from its sums over sessions.

Both kinds here hold approximately, the better the more sessions carry the error
(``SessionSums.effective_sessions``). Those that hold for any number are in ``bounds``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import pdtr, stdtrit

from recbole_lpi.evaluation.off_policy.session_sums import SessionSums

GROUPS = 100_000  # sessions that a bootstrap draws from; of more, it draws groups of them
CHUNK = 4096  # sessions whose weights are in memory at a time
_LEVELS = (np.arange(2**16) + 0.5) / 2**16
_POISSON = np.searchsorted(pdtr(np.arange(12), 1.0), _LEVELS).astype(np.float64)


@dataclass(frozen=True)
class Interval:
    """Where the truth lies, at a level.

    Attributes:
        low, high: the ends, two-sided.
        lower: the one-sided lower bound at the same level.
    """

    low: float
    high: float
    lower: float


def t_interval(sums: SessionSums, level: float = 0.95) -> Interval:
    """Return value ± t · stderr of Student's t with S − 1 degrees of freedom.

    The standard error is clustered by session. It holds where many sessions carry the error; for
    rewards ≥ 0 it errs on the high side before that. NaN of one session.
    """
    if len(sums) < 2:
        return Interval(*[float("nan")] * 3)
    two, one = (float(stdtrit(len(sums) - 1, p)) for p in ((1 + level) / 2, level))
    half = two * sums.stderr
    return Interval(sums.value - half, sums.value + half, sums.value - one * sums.stderr)


def bootstrap_interval(
    sums: SessionSums, level: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Interval:
    """Return percentiles of the estimate over resamples of sessions (Efron 1979).

    Each session is in a resample a Poisson(1) number of times (Hanley & MacGibbon 2006), which
    needs no pass over the events. It follows a skewed error where ``t_interval`` does not, and is
    a little narrow for few sessions. Of more than 100,000 sessions it draws groups. NaN of one
    session, and of an estimate that is NaN.
    """
    if len(sums) < 2 or np.isnan(sums.value):
        return Interval(*[float("nan")] * 3)
    values = resampled_values(sums.grouped(GROUPS), resamples, np.random.default_rng(seed))
    points = ((1 - level) / 2, (1 + level) / 2, 1 - level)
    return Interval(*map(float, np.nanquantile(values, points)))


def resampled_values(sums: SessionSums, resamples: int, draw: np.random.Generator) -> np.ndarray:
    """Return the estimate in each of ``resamples`` Poisson resamples of sessions, [B]."""
    parts = np.stack([*sums.numerators, *sums.denominators], 1)  # [S, 2K]
    totals = np.zeros((resamples, parts.shape[1]))
    for start in range(0, len(parts), CHUNK):
        piece = parts[start : start + CHUNK]
        totals += poisson_weights((resamples, len(piece)), draw) @ piece
    numerators, denominators = np.split(totals, 2, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((numerators / denominators).sum(1))


def poisson_weights(shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """Return independent Poisson(1) numbers, float64, from a table of 2^16 equally likely ones."""
    return _POISSON[draw.integers(2**16, size=shape, dtype=np.uint16)]
