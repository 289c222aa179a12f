"""A metric of a policy over its runs, and how sure its mean is: sessions and seeds are both draws.

The score of a run is what the policy is worth, plus what the test sessions, the seed, and each
session under that seed happened to add (crossed random effects). Runs that differ in seed alone
tell the seeds' part and, by session, the last one; the sum over sessions tells the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.measures import Events
from recbole_lpi.evaluation.metrics import Kinds, Metric, stderr_of_sum


@dataclass(frozen=True)
class SessionScore:
    """A metric of one run, with what each session of the test part does to it.

    Attributes:
        mean: over the events that the metric counts; NaN where there are none.
        count: the number of those events.
        pulls: [S], on the mean, of each session that has such an event; they sum to 0.
    """

    mean: float
    count: int
    pulls: np.ndarray


@dataclass(frozen=True)
class Estimated:
    """A variance that was estimated, with the degrees of freedom of the estimate."""

    variance: float
    dof: float

    @classmethod
    def sum_of(cls, parts: Sequence[Estimated], less: Sequence[Estimated] = ()) -> Estimated:
        """Add independent estimates up, and take some off (Satterthwaite 1946)."""
        total = sum(part.variance for part in parts) - sum(part.variance for part in less)
        noise = sum(part.variance**2 / part.dof for part in (*parts, *less) if part.variance)
        return cls(total, total**2 / noise if noise else float("inf"))


@dataclass(frozen=True)
class PolicyScore:
    """A metric of one policy: K runs that differ in seed alone, measured on the same events.

    Attributes:
        means: [K], of each run.
        count: the number of events that each mean is over; of a ratio, the fewest of any run.
        pulls: [K, S], of each session on the mean of each run.
    """

    means: np.ndarray
    count: int
    pulls: np.ndarray

    @classmethod
    def of(cls, runs: Sequence[SessionScore]) -> PolicyScore:
        """The score of a policy, from those of its runs."""
        means, pulls = [run.mean for run in runs], [run.pulls for run in runs]
        return cls(np.array(means), min(run.count for run in runs), np.stack(pulls))

    @property
    def mean(self) -> float:
        """The mean over events, then over runs."""
        return float(self.means.mean())

    @property
    def clusters(self) -> np.ndarray:
        """The pull of each session on the mean over runs, [S]: a session stays one draw."""
        return np.asarray(self.pulls.mean(0))

    @property
    def spread(self) -> float | None:
        """Standard deviation of the means of the runs; None where there is one run."""
        return float(self.means.std(ddof=1)) if len(self.means) > 1 else None

    @property
    def stderr(self) -> float:
        """Standard error of the mean over sessions and, with several runs, over seeds."""
        return float(np.sqrt(variance(self.clusters, [self]).variance))

    @property
    def of_seeds(self) -> Estimated:
        """Variance of the mean as other seeds would move it on the same sessions: s² / K, K ≥ 2."""
        k = len(self.means)
        return Estimated(float(self.means.var(ddof=1)) / k, k - 1)

    @property
    def of_sessions_by_seed(self) -> Estimated:
        """Variance of the mean by what a seed does to single sessions: S/(S−1) · Σ r² / (K (K−1)).

        r = pull of a session in a run, less its mean over the runs.
        """
        k, s = self.pulls.shape
        residuals = self.pulls - self.clusters
        of_one = float(np.square(residuals).sum()) * s / (s - 1) / (k - 1)
        return Estimated(of_one / k, (k - 1) * (s - 1))


def variance(clusters: np.ndarray, policies: Sequence[PolicyScore]) -> Estimated:
    """Variance over sessions and seeds, of the mean of a policy or of a difference of two.

    The variance over sessions of means over seeds holds what each session adds by seed, and so
    does the variance between seeds: it is taken off once. Nothing is known of the seeds of a policy
    with one run; they are left out.

    Args:
        clusters: [S], pulls of each session on that mean or difference, over all seeds.
        policies: those it is made of.
    """
    sessions = len(clusters)
    if sessions < 2:
        return Estimated(float("nan"), float("nan"))
    several = [policy for policy in policies if len(policy.means) > 1]
    over_sessions = Estimated.sum_of(
        [Estimated(stderr_of_sum(clusters) ** 2, sessions - 1)],
        less=[policy.of_sessions_by_seed for policy in several],
    )
    parts = [policy.of_seeds for policy in several]
    if over_sessions.variance > 0:
        parts.append(over_sessions)
    return Estimated.sum_of(parts)


def session_score(table: EventTable, name: str, kinds: Kinds) -> SessionScore:
    """The metric of that full name on an event table, by session.

    Sessions without an event of the metric's kind pull on nothing, and are no observations. Which
    they are is a matter of the log alone, so that scores of two policies can be paired.
    """
    metric = Metric.parse(name)
    found = metric.influence(table, kinds)
    counted = np.bincount(table.session, Events(table, kinds).of(metric.kind)) > 0
    return SessionScore(found.mean, found.count, np.bincount(table.session, found.pulls)[counted])
