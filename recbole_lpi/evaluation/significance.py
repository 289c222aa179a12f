"""Tests of two policies on the same held-out events, over sessions and seeds, and of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.metrics import Kinds
from recbole_lpi.evaluation.scores import PolicyScore, session_score, variance

LEVELS = (0.05, 0.01, 0.001)
ROUNDING = 1e-12  # a mean of equal values is off by less


@dataclass(frozen=True)
class PairedDifference:
    """B − A of a metric, with its standard error, and the t-test of it.

    Attributes:
        t, dof, p: the statistic, its degrees of freedom, and the two-sided p-value.
        sessions: how many sessions have an event that the metric counts.
    """

    difference: float
    stderr: float
    t: float
    dof: float
    p: float
    sessions: int

    @property
    def stars(self) -> str:
        """The stars of the p-value, as the paper prints them."""
        return stars(self.p)


def stars(p: float) -> str:
    """The stars of a p-value: one below .05, two below .01, three below .001 (Figures 3 and 4)."""
    return "*" * sum(p < level for level in LEVELS)


def paired(a: PolicyScore, b: PolicyScore) -> PairedDifference:
    """The t-test of B − A, paired by session; both scores are of one metric on the same events.

    It asks whether policies B, of whatever seed, are on average better than policies A on other
    sessions of the same kind. Where the seeds decide it is Welch's t-test of the means of the runs,
    and where all runs of a policy agree, or there is one, the paired t-test over sessions.
    """
    difference = b.mean - a.mean
    found = variance(b.clusters - a.clusters, (a, b))
    stderr, sessions = float(np.sqrt(found.variance)), a.pulls.shape[1]
    if abs(difference) < ROUNDING:
        return PairedDifference(difference, stderr, 0.0, found.dof, 1.0, sessions)
    if stderr == 0:
        t = float(np.copysign(np.inf, difference))
        return PairedDifference(difference, stderr, t, found.dof, 0.0, sessions)
    t = difference / stderr
    p = float(2 * stats.t.sf(abs(t), found.dof))
    return PairedDifference(difference, stderr, t, found.dof, p, sessions)


def against_all(best: PolicyScore, others: Sequence[PolicyScore]) -> PairedDifference:
    """The test of the best of many policies: of the tests against each other one, the largest p.

    That the best was picked by looking needs no further correction: it is to beat every other one
    at the level, not one of them (intersection-union test; Gutmann & Maymin 1987, "Is the selected
    population the best?", Annals of Statistics 15).
    """
    return max((paired(other, best) for other in others), key=lambda test: test.p)


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values of one family so that any false star is as rare as one test's (Holm 1979).

    The smallest of n is multiplied by n, the next by n − 1, and so on; none is below one before it.
    """
    values = np.asarray(p, np.float64)
    order = np.argsort(values)
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def paired_difference(a: EventTable, b: EventTable, metric: str, kinds: Kinds) -> PairedDifference:
    """The t-test of ``metric`` over sessions, of two runs: it says nothing of other seeds.

    ValueError unless both tables hold the same events.
    """
    same = len(a) == len(b) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("session", "position", "event")
    )
    if not same:
        raise ValueError("the two event tables hold different events: use runs of one test part")
    one, other = (PolicyScore.of([session_score(table, metric, kinds)]) for table in (a, b))
    return paired(one, other)
