"""Paired comparison of two policies on the same held-out events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from recbole_lpi.evaluation.events import EventTable
from recbole_lpi.evaluation.metrics import Kinds, influence_of, stderr_of_sum


@dataclass(frozen=True)
class SessionScore:
    """A metric of one policy, with what each of the S sessions does to it.

    Attributes:
        mean: over the events that the metric counts; NaN where there are none.
        count: the number of those events.
        pulls: [S], of each session on the mean; they sum to 0.
        counted: [S], whether the session has an event that the metric counts.
    """

    mean: float
    count: int
    pulls: np.ndarray
    counted: np.ndarray

    @property
    def stderr(self) -> float:
        """Standard error over sessions, as ``evaluate`` gives it."""
        return stderr_of_sum(self.pulls) if self.count else float("nan")


@dataclass(frozen=True)
class PairedDifference:
    """B − A of a metric: the difference, its standard error, t, two-sided p, and stars.

    ``stars`` is one star below .05, two below .01, three below .001 (Figures 3 and 4 of the paper).
    """

    difference: float
    stderr: float
    t: float
    p: float
    sessions: int

    @property
    def stars(self) -> str:
        """Significance as the paper prints it."""
        return "*" * sum(self.p < level for level in (0.05, 0.01, 0.001))


def session_score(table: EventTable, metric: str, kinds: Kinds) -> SessionScore:
    """A metric of an event table, by session."""
    mean, pull, count = influence_of(table, metric, kinds)
    counted = np.bincount(table.session, _counted(table, metric, kinds)) > 0
    return SessionScore(mean, count, np.bincount(table.session, pull), counted)


def pooled(scores: Sequence[SessionScore]) -> SessionScore:
    """Several seeds of one policy on the same events as one score.

    Each event's value is averaged over the seeds first: a session stays one draw however many seeds
    there are, and two policies may have different numbers of them.
    """
    first = scores[0]
    mean = float(np.mean([score.mean for score in scores]))
    pulls = np.mean([score.pulls for score in scores], axis=0)
    return SessionScore(mean, first.count, pulls, first.counted)


def paired(a: SessionScore, b: SessionScore) -> PairedDifference:
    """Paired t-test over sessions of B − A; both scores are of one metric on the same events.

    Sessions without an event that the metric counts pull on nothing, and are no observations.
    """
    clusters = (b.pulls - a.pulls)[a.counted]
    difference, stderr = b.mean - a.mean, stderr_of_sum(clusters)
    if stderr == 0:
        t = 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
    else:
        t = difference / stderr
    p = float(2 * stats.t.sf(abs(t), max(len(clusters) - 1, 1)))
    return PairedDifference(difference, stderr, t, p, len(clusters))


def paired_difference(a: EventTable, b: EventTable, metric: str, kinds: Kinds) -> PairedDifference:
    """Paired t-test over sessions of ``metric`` under two policies.

    ValueError unless both tables hold the same events.
    """
    same = len(a) == len(b) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("session", "position", "event")
    )
    if not same:
        raise ValueError("the two event tables hold different events: use runs of one test part")
    return paired(session_score(a, metric, kinds), session_score(b, metric, kinds))


def _counted(table: EventTable, metric: str, kinds: Kinds) -> np.ndarray:
    kind = metric.partition("_")[0]
    if kind in ("purchase", "click"):
        return np.isin(table.event, getattr(kinds, kind)).astype(float)
    return np.ones(len(table))
