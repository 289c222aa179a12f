"""Paired comparison of two policies on the same held-out events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from recbole_lpi.evaluation.events import EventTable
from recbole_lpi.evaluation.metrics import Kinds, influence_of, stderr_of_sum


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


def paired_difference(a: EventTable, b: EventTable, metric: str, kinds: Kinds) -> PairedDifference:
    """Paired t-test over sessions of ``metric`` under two policies.

    ValueError unless both tables hold the same events. Sessions without an event that the metric
    counts pull on nothing, and are no observations.
    """
    same = len(a) == len(b) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("session", "position", "event")
    )
    if not same:
        raise ValueError("the two event tables hold different events: use runs of one test part")
    mean_a, pull_a, _ = influence_of(a, metric, kinds)
    mean_b, pull_b, _ = influence_of(b, metric, kinds)
    counted = np.bincount(a.session, _counted(a, metric, kinds)) > 0
    clusters = np.bincount(a.session, pull_b - pull_a)[counted]
    difference, stderr = mean_b - mean_a, stderr_of_sum(clusters)
    if stderr == 0:
        t = 0.0 if difference == 0 else float(np.copysign(np.inf, difference))
    else:
        t = difference / stderr
    p = float(2 * stats.t.sf(abs(t), max(len(clusters) - 1, 1)))
    return PairedDifference(difference, stderr, t, p, len(clusters))


def _counted(table: EventTable, metric: str, kinds: Kinds) -> np.ndarray:
    kind = metric.partition("_")[0]
    if kind in ("purchase", "click"):
        return np.isin(table.event, getattr(kinds, kind)).astype(float)
    return np.ones(len(table))
