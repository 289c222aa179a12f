"""Metrics as reductions of the event table, named as RecBole names metrics.

A metric is a mean over the events of a kind, or a ratio of two (``evaluation.measures``). Its
standard error treats the events of one session as one draw (cluster-robust): they share a history,
so they are not N independent trials.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.measures import (
    DIVERGENCE,
    KINDS,
    MEASURES,
    NOVELTY,
    Events,
    Kinds,
    Measure,
)

__all__ = [
    "KINDS", "NOVELTY", "Estimate", "Influence", "Kinds", "Metric", "by_novelty", "evaluate",
    "known_names", "names_at", "stderr_of_sum",
]  # fmt: skip

CUT_OFF = re.compile(r"[1-9]\d*", re.ASCII)


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error and the number of events it is over; NaN where there are none."""

    mean: float
    stderr: float
    count: int


@dataclass(frozen=True)
class Influence:
    """A metric of a table, and what each event does to it.

    Attributes:
        mean: its value; NaN where it is over nothing.
        pulls: of each event on the value, [N]; they sum to 0.
        count: the number of events that it is over.
    """

    mean: float
    pulls: np.ndarray
    count: int


@dataclass(frozen=True)
class Metric:
    """A measure over the events of a kind, at a cut-off: ``purchase_ndcg@20``.

    Attributes:
        measure: the row of MEASURES.
        kind: of the events, one of KINDS or of NOVELTY; None: of all.
        k: the cut-off; None for a measure that has none.
    """

    measure: Measure
    kind: str | None = None
    k: int | None = None

    @classmethod
    def parse(cls, text: str) -> Metric:
        """The metric of a full name in any case; ValueError, with the nearest, if there is none."""
        name, at, cut = text.lower().partition("@")
        measure, kind = _named(name)
        if not measure.at_k:
            if at:
                raise ValueError(f"there is no metric '{text.lower()}', but {name}")
            return cls(measure, kind)
        if not CUT_OFF.fullmatch(cut):
            raise ValueError(f"metric '{text.lower()}' needs a cut-off, such as {name}@20")
        return cls(measure, kind, int(cut))

    def __str__(self) -> str:
        name = _spelled(self.measure, self.kind)
        return name if self.k is None else f"{name}@{self.k}"

    @property
    def heading(self) -> str:
        """The heading of the metric's column in a table: ``purchase``, ``all``, ``divergence``."""
        return self.measure.heading or self.kind or "all"

    @property
    def label(self) -> str:
        """The name of the metric below that heading: ``nDCG@20``."""
        return self.measure.label if self.k is None else f"{self.measure.label}@{self.k}"

    @property
    def smaller_is_better(self) -> bool:
        """Whether less of the metric is better, where any amount of it is."""
        return self.measure.smaller_is_better

    @property
    def neutral(self) -> bool:
        """Whether neither less nor more is better: so it is with how far a policy has moved."""
        return self.measure.heading == DIVERGENCE

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the metric needs and not every event table has."""
        novel = ("seen",) if self.kind in NOVELTY else ()
        return (*self.measure.columns, *novel)

    def event_names(self, kinds: Kinds) -> tuple[str, ...] | None:
        """What a log calls the events that the metric is over; None: whatever they are called."""
        over = [kind for kind, _ in self._weights if kind in KINDS]
        return tuple(name for kind in over for name in kinds.names(kind)) if over else None

    def measured(self, table: EventTable) -> bool:
        """Whether the table has the columns that the metric needs, such as a logging policy's."""
        return all(table.has(column) for column in self.columns)

    def influence(self, table: EventTable, kinds: Kinds) -> Influence:
        """The metric's value on a table, and each event's pull; a sum over kinds is weighted.

        Where the value is exp of another, so are its pulls to first order: e^v · pull on v.
        """
        events, k = Events(table, kinds), self.k or 0
        numerator = np.asarray(self.measure.numerator(events, k), np.float64)
        denominator = np.asarray(self.measure.denominator(events, k), np.float64)
        ratios = [
            (weight, _ratio(numerator, denominator, events.of(kind)))
            for kind, weight in self._weights
        ]
        known = [(weight, ratio) for weight, ratio in ratios if ratio.count]
        if not known:
            return Influence(float("nan"), np.zeros(len(table)), 0)
        value = float(sum(weight * ratio.mean for weight, ratio in known))
        pulls = sum((weight * ratio.pulls for weight, ratio in known), np.zeros(len(table)))
        if self.measure.exponential:
            with np.errstate(over="ignore", invalid="ignore"):  # infinite, where v is above 709
                value = float(np.exp(value))
                pulls = value * pulls
        return Influence(value, pulls, sum(ratio.count for _, ratio in known))

    @property
    def _weights(self) -> tuple[tuple[str | None, float], ...]:
        """The kinds of event that the metric is a sum over, with their weights."""
        return self.measure.weights or ((self.kind, 1.0),)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, chosen: np.ndarray) -> Influence:
    """The ratio r = Σ n / Σ d over the chosen events, of N; an event pulls by (n − r d) / Σ d.

    That is how much r would change, to first order, with the event's weight (delta method); where
    every d is 1, r is the mean, and the pull exact.
    """
    parts = denominator[chosen]
    count, total = int(np.count_nonzero(parts)), float(parts.sum())
    if not count or not total:
        return Influence(float("nan"), np.zeros(len(numerator)), 0)
    ratio = float(numerator[chosen].sum() / total)
    return Influence(ratio, np.where(chosen, (numerator - ratio * denominator) / total, 0.0), count)


def _spelled(measure: Measure, kind: str | None) -> str:
    """The name of a metric but for its cut-off."""
    return measure.name if kind is None else f"{kind}_{measure.name}"


def known_names() -> dict[str, tuple[Measure, str | None]]:
    """The measure and the kind of every name of a metric, which has no cut-off yet."""
    return {
        _spelled(measure, kind): (measure, kind)
        for kind in (None, *KINDS, *NOVELTY)
        for measure in MEASURES.values()
        if kind is None or measure.by_kind
    }


def _named(name: str) -> tuple[Measure, str | None]:
    """The measure and the kind of a name; ValueError, with the nearest, if there is none such."""
    known = known_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(known)}"
        raise ValueError(f"unknown metric '{name}'{hint}")
    return known[name]


def names_at(metrics: Iterable[str], topk: Iterable[int]) -> list[str]:
    """Full names of RecBole's ``metrics`` at its ``topk``: hit@5, purchase_ndcg@20, js_divergence.

    A mean reward is also taken of the first choice, as the paper's AR@1. ValueError for a metric
    this evaluation does not have, with the nearest it has.
    """
    cuts = list(topk)
    full: list[Metric] = []
    for text in metrics:
        measure, kind = _named(text.lower().partition("@")[0])
        at: list[int | None] = [*([1] if measure.of_first_choice else []), *cuts]
        full += [Metric(measure, kind, k) for k in (at if measure.at_k else [None])]
    return list(dict.fromkeys(map(str, full)))


def by_novelty(names: Iterable[str], table: EventTable) -> list[str]:
    """Those full names, and beside each metric by kind the same over repeated and new items.

    Kinds that no event of the table is of are left out.
    """
    metrics = [Metric.parse(name) for name in names]
    there = [kind for kind, seen in zip(NOVELTY, (True, False), strict=True)
             if table.seen is not None and seen in table.seen]  # fmt: skip
    more = [replace(m, kind=kind) for m in metrics if m.measure.by_kind for kind in there]
    return list(dict.fromkeys(map(str, [*metrics, *more])))


def evaluate(table: EventTable, names: Iterable[str], kinds: Kinds) -> dict[str, Estimate]:
    """Each metric of ``names`` (``purchase_ndcg@20``) with standard error and count.

    A metric is left out where the table has not what it needs: divergences where there is no
    logging policy, imputed rewards where there are none, ``repeat_`` and ``new_`` in older files.
    """
    results = {}
    for metric in map(Metric.parse, names):
        if not metric.measured(table):
            continue
        found = metric.influence(table, kinds)
        clusters = np.bincount(table.session, found.pulls)
        clusters = clusters[np.bincount(table.session) > 0]
        stderr = stderr_of_sum(clusters) if found.count else float("nan")
        results[str(metric)] = Estimate(found.mean, stderr, found.count)
    return results


def stderr_of_sum(clusters: np.ndarray) -> float:
    """Standard error of a mean from the summed pulls of each session [S]: √(S/(S−1) Σ pull²)."""
    number = len(clusters)
    if number < 2 or not clusters.any():
        return float("nan") if number < 2 else 0.0
    return float(np.sqrt(number / (number - 1) * np.square(clusters).sum()))
