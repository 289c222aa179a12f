"""Whether estimated propensities μ̂ can be right, by what must hold of them if they are.

    E_{a ~ μ}[π(a | x) / μ̂(a | x)] = 1                       of every policy π, if μ̂ = μ
    P(the first choice is logged | μ̂ gives it p) = p          calibration

All are functions of columns of the event table. A mean's standard error takes the events of one
session for one draw, as that of a metric does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate, stderr_of_sum

LARGEST = 0.01  # the share of events whose weights are the largest
BOUND = 300.0  # of a log weight: squares of larger ones are no numbers
ROUNDING = 1e-3  # by which a mean may be off, however small its error
COLDEST, HOTTEST = 0.25, 4.0  # temperatures that are looked at


@dataclass(frozen=True)
class ImportanceWeights:
    """The weights π/μ̂ of held-out events.

    Attributes:
        mean: of the weights, with its standard error.
        of_largest: the share of their sum that the largest 1 % of them have.
        effective: (Σ w)² / Σ w², how many equally weighted events are as much.
    """

    mean: Estimate
    of_largest: float
    effective: float

    @property
    def average_one(self) -> bool:
        """Whether their mean is within two standard errors of 1."""
        return not differs(self.mean, 1.0)


@dataclass(frozen=True)
class Calibration:
    """How often first choices are logged, by the probability that they are given.

    Attributes:
        given, logged: the mean probability, and the share that was logged, of each bin [B].
        count: events of each bin, [B].
        error: Σ count/N |given − logged|, the expected calibration error.
        by_chance: about what ``error`` is where probabilities are right and events independent.
        excess: mean of given − logged, with its standard error; > 0: over-confident.
    """

    given: np.ndarray
    logged: np.ndarray
    count: np.ndarray
    error: float
    by_chance: float
    excess: Estimate

    @property
    def table(self) -> list[str]:
        """The bins as two lines of text, from the least probable first choices."""
        columns = (("given", self.given), ("logged", self.logged))
        return [
            f"  {name:<6} " + " ".join(f"{x:.3f}" for x in of_bins) for name, of_bins in columns
        ]


def differs(estimate: Estimate, value: float) -> bool:
    """Whether an estimate is more than two standard errors, and rounding, away from a value."""
    return abs(estimate.mean - value) > 2 * estimate.stderr + ROUNDING


def plus_minus(estimate: Estimate, sign: int = 1) -> str:
    """Spell an estimate, or what it is the negative of, to the first digit of its error."""
    mean, error = sign * estimate.mean, estimate.stderr
    if not abs(mean) < 1e4:
        return f"{mean:.1e} ± {error:.1e}"
    digits = -math.floor(math.log10(error)) if 0 < error < 1 else 2
    digits = min(max(digits, 2), 4)
    return f"{mean:.{digits}f} ± {error:.{digits}f}"


def mean_over_sessions(values: np.ndarray, session: np.ndarray) -> Estimate:
    """Return the mean of values [N] with a standard error clustered by ``session`` [N]."""
    mean = float(values.mean())
    dense = session.dtype.kind in "iu" and 0 <= session.min() <= session.max() < len(session)
    if not dense:  # else there is no need of a sort
        session = np.unique(session, return_inverse=True)[1]
    pulls = np.bincount(session, (values - mean) / len(values))[np.bincount(session) > 0]
    return Estimate(mean, stderr_of_sum(pulls), len(values))


def importance_weights(
    log_pi: np.ndarray, log_mu: np.ndarray, session: np.ndarray
) -> ImportanceWeights:
    """Return what the weights exp(log π − log μ̂) of logged items are like.

    Args: log-probabilities under the policy and under the estimate, and sessions; each [N], N ≥ 1.
    """
    return summary_of(weights_of(log_pi, log_mu), session)


def weights_of(log_pi: np.ndarray, log_mu: np.ndarray) -> np.ndarray:
    """Return importance weights exp(log π − log μ), float64 [N], none too large to be squared."""
    weight: np.ndarray = np.subtract(log_pi, log_mu, dtype=np.float64)
    np.minimum(weight, BOUND, out=weight)
    np.exp(weight, out=weight)
    return weight


def summary_of(weight: np.ndarray, session: np.ndarray) -> ImportanceWeights:
    """Return what importance weights [N] are like; ``session`` [N] of the events, N ≥ 1."""
    number = math.ceil(LARGEST * len(weight))
    total = float(weight.sum())
    if not total:  # π takes nothing that was logged
        return ImportanceWeights(mean_over_sessions(weight, session), float("nan"), 0.0)
    return ImportanceWeights(
        mean_over_sessions(weight, session),
        float(np.partition(weight, -number)[-number:].sum()) / total,
        total**2 / float(np.square(weight).sum()),
    )


def calibration(
    log_given: np.ndarray, is_logged: np.ndarray, session: np.ndarray, bins: int = 10
) -> Calibration:
    """Compare the probability of first choices with how often they were logged.

    Args:
        log_given: log-probability of the first choice, [N], N ≥ 1.
        is_logged: whether it is the logged item, bool [N].
        session: of the events, [N].
        bins: of as many events each as can be, by their probability.
    """
    given, hit = np.exp(np.asarray(log_given, np.float64)), np.asarray(is_logged, np.float64)
    parts = np.array_split(np.argsort(given, kind="stable"), min(bins, len(given)))
    count = np.array([len(part) for part in parts])
    means = np.array([(given[part].mean(), hit[part].mean()) for part in parts])
    variance = np.array([(given[part] * (1 - given[part])).sum() for part in parts])
    return Calibration(
        means[:, 0],
        means[:, 1],
        count,
        float((count * np.abs(means[:, 0] - means[:, 1])).sum() / len(given)),
        float(np.sqrt(2 / np.pi * variance).sum() / len(given)),  # of normal errors
        mean_over_sessions(given - hit, session),
    )


def best_temperature(nll: Callable[[float], float], tolerance: float = 1e-3) -> float:
    """Return the temperature T in [1/4, 4] by which logits are to be divided for the least NLL.

    It is found by Brent's method over log T, down to ``tolerance``: the NLL is convex in 1/T, so it
    has one valley.

    Args: ``nll`` gives the mean negative log-likelihood of validation events at a temperature.
    """
    from scipy.optimize import minimize_scalar  # a third of a second, for who fits a temperature

    found = minimize_scalar(
        lambda point: nll(math.exp(point)),
        bounds=(math.log(COLDEST), math.log(HOTTEST)),
        method="bounded",
        options={"xatol": tolerance},
    )
    return math.exp(found.x)
