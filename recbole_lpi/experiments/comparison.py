"""Policies side by side: each metric over seeds, with its error, the best tested against all.

Errors and tests take both the sessions of the test part and the seeds of a policy for draws
(``evaluation.scores``, ``evaluation.significance``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.metrics import KINDS, Metric
from recbole_lpi.evaluation.scores import PolicyScore, session_score
from recbole_lpi.evaluation.significance import PairedDifference, against_all, holm, paired
from recbole_lpi.experiments.grouping import (
    LoggingPolicies,
    Measured,
    grouped,
    label,
    set_apart,
)
from recbole_lpi.experiments.runs import FinishedRun, load_comparable
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.settings import SettingError
from recbole_lpi.text import one_line

EVENT = ["session_id", "position", "item_id", "event", "reward"]  # what an event of the test is


@dataclass(frozen=True)
class Cell:
    """A metric of a policy.

    Attributes:
        mean: over events, then over seeds.
        stderr: of the mean, over sessions and, where there are several, seeds.
        spread: standard deviation over seeds; None with one seed.
        count: events it is over.
        best: whether no policy is better; never of a divergence, nor where there is one policy.
        against_others: where it is the best, of the tests against every other policy, the one with
            the largest p.
    """

    mean: float
    stderr: float
    spread: float | None
    count: int
    best: bool = False
    against_others: PairedDifference | None = None

    @property
    def stars(self) -> str:
        """Of the tests against every other policy."""
        return self.against_others.stars if self.against_others else ""


@dataclass(frozen=True)
class ComparedPolicy:
    """All seeds of one policy.

    Attributes:
        model: its name; differing: settings that set it apart from others of that name.
        seeds: of its runs.
        cells: by full name of a metric; divergences only where they were measured.
        name: what the caller calls it; empty: its model and what sets it apart.
        draws: whether another seed makes another policy of it.
        scores: by full name of a metric, what tests are made of.
    """

    model: str
    differing: dict[str, Any]
    seeds: tuple[Any, ...]
    cells: dict[str, Cell]
    name: str = ""
    draws: bool = True
    scores: dict[str, PolicyScore] = field(default_factory=dict, repr=False, compare=False)

    @property
    def of_one_seed(self) -> bool:
        """Whether nothing is known of what other seeds would make of it."""
        return self.draws and len(self.seeds) == 1

    @property
    def label(self) -> str:
        """Its name, or ``LPIRL (beta=0.3)``."""
        return one_line(self.name or label(self.model, self.differing))


@dataclass(frozen=True)
class Comparison:
    """Policies measured on the same events.

    Attributes:
        events: how many of the test part there are, by kind (``purchase``, ``click``) and name.
        logging_policies: by name, the labels of the policies whose divergence is from it.
        notes: what else is to be said of the numbers.
    """

    dataset: str
    events: dict[str, dict[str, int]]
    policies: tuple[ComparedPolicy, ...]
    logging_policies: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()

    @property
    def over(self) -> str:
        """What errors and tests take for draws, in words."""
        several = any(len(policy.seeds) > 1 for policy in self.policies)
        return "sessions and seeds" if several else "sessions"


def compare(
    paths: Sequence[str | Path],
    metrics: Sequence[str],
    called: Mapping[Path, str] | None = None,
    drawless: Collection[Path] = (),
) -> Comparison:
    """The runs of ``paths`` by the metrics of these full names (``purchase_ndcg@20``).

    ``called`` names policies, by the folder of a run of theirs, something of the caller's own;
    ``drawless`` are runs of policies that draw nothing when they are trained, beside the baselines
    that count.

    Raises:
        SettingError: a folder holds no finished run, runs differ in data, split, protocol or test
            events, or two are one policy of one seed.
    """
    runs = load_comparable(paths)
    frame = _events(runs[0], EVENT)
    kinds, found, log_mus = runs[0].kinds, list[Measured](), LoggingPolicies()
    for run in runs:
        if not _events(run, EVENT).equals(frame):
            raise SettingError(
                f"{run.folder.path} and {runs[0].folder.path} were measured on different test "
                "events: the data changed between the runs; train one of them anew"
            )
        table = read_events(run.folder.events)
        names = [name for name in metrics if Metric.parse(name).measured(table)]
        scores = {name: session_score(table, name, kinds) for name in names}
        mu = log_mus.number(run, table.log_mu if table.has_logging_policy else None)
        found.append(Measured(run, {**run.settings, "logging_policy": mu}, scores))
    groups = grouped(found)
    policies, measured_against = [], dict[str, tuple[str, ...]]()
    pooled = _pooled(groups, metrics)
    for group, cells, own in zip(groups, _cells(pooled, metrics), pooled, strict=True):
        apart = set_apart(group, groups)
        if "logging_policy" in apart:
            apart["logging_policy"] = log_mus.name(apart["logging_policy"])
        seeds = tuple(one.run.seed for one in group)
        folder, model = group[0].run.folder.path, group[0].run.model
        draws = model not in BASELINES and folder not in drawless
        own_name = (called or {}).get(folder, "")
        policies.append(ComparedPolicy(model, apart, seeds, cells, own_name, draws, own))
        if (mu := group[0].settings["logging_policy"]) is not None:
            name = one_line(log_mus.name(mu))
            measured_against[name] = (*measured_against.get(name, ()), policies[-1].label)
    number = dict(frame["event"].value_counts().iter_rows())
    events = {
        kind: {one_line(name): number[name] for name in kinds.names(kind) if name in number}
        for kind in KINDS
    }
    dataset = one_line(runs[0].config["dataset"])
    return Comparison(dataset, events, tuple(policies), measured_against)


def differences(comparison: Comparison, against: str) -> Comparison:
    """One policy minus each other one, with the tests of that, instead of the policies.

    ``against`` is the policy's label, or its model where there is one of it; else SettingError.
    Stars are of p-values adjusted for the number of other policies.
    """
    named = [p for p in comparison.policies if against == p.label]
    named = named or [p for p in comparison.policies if against == p.model]
    if len(named) != 1 or len(comparison.policies) < 2:
        labels = ", ".join(f"'{policy.label}'" for policy in comparison.policies)
        raise SettingError(f"--against={against}: give one of several policies, of {labels}")
    (own,) = named
    others = [policy for policy in comparison.policies if policy is not own]
    cells: list[dict[str, Cell]] = [{} for _ in others]
    for metric, score in own.scores.items():
        rows = [n for n, other in enumerate(others) if metric in other.scores and score.count]
        tests = [paired(others[n].scores[metric], score) for n in rows]
        for n, test, p in zip(rows, tests, holm([test.p for test in tests]), strict=True):
            adjusted = replace(test, p=p)
            cells[n][metric] = Cell(
                test.difference, test.stderr, None, score.count, against_others=adjusted
            )
    told = (
        f"{own.label} minus each other policy; * p < .05, ** p < .01, *** p < .001 (paired t-tests "
        f"over {comparison.over}, p adjusted for the number of rows by Holm's method)."
    )
    policies = tuple(replace(p, cells=found) for p, found in zip(others, cells, strict=True))
    return replace(comparison, policies=policies, logging_policies={}, notes=(told,))


def _events(run: FinishedRun, columns: list[str]) -> pl.DataFrame:
    try:
        return pl.read_parquet(run.folder.events, columns=columns)
    except (OSError, pl.exceptions.PolarsError):
        raise SettingError(f"{run.folder.events} is not the event table of a run") from None


def _pooled(
    groups: Sequence[list[Measured]], metrics: Sequence[str]
) -> list[dict[str, PolicyScore]]:
    """Scores by metric for each group, its seeds together."""
    return [
        {
            metric: PolicyScore.of([one.scores[metric] for one in group])
            for metric in metrics
            if metric in group[0].scores
        }
        for group in groups
    ]


def _cells(
    pooled: Sequence[dict[str, PolicyScore]], metrics: Sequence[str]
) -> list[dict[str, Cell]]:
    """Cells by metric for each policy."""
    found: list[dict[str, Cell]] = [{} for _ in pooled]
    for metric in metrics:
        scores = {number: own[metric] for number, own in enumerate(pooled) if metric in own}
        ranked = sorted(
            (n for n in scores if scores[n].count), key=lambda n: scores[n].mean, reverse=True
        )
        contest = len(ranked) > 1 and not Metric.parse(metric).smaller_is_better
        for number, score in scores.items():
            best = contest and score.mean == scores[ranked[0]].mean
            found[number][metric] = Cell(
                score.mean,
                score.stderr,
                score.spread,
                score.count,
                best,
                against_all(score, [scores[n] for n in ranked if n != number]) if best else None,
            )
    return found
