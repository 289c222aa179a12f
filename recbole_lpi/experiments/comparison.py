"""Policies side by side: each metric over seeds, with its error, the best tested against all.

Errors and tests take both the sessions of the test part and the seeds of a policy for draws
(``evaluation.scores``, ``evaluation.significance``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recbole_lpi.evaluation.metrics import KINDS, Estimate, Metric
from recbole_lpi.evaluation.scores import PolicyScore
from recbole_lpi.evaluation.significance import PairedDifference, against_all, holm, paired
from recbole_lpi.experiments.grouping import (
    LoggingPolicies,
    Measured,
    grouped,
    label,
    set_apart,
)
from recbole_lpi.experiments.measured_runs import (
    compared_with_itself,
    measured,
    noise_floor,
    shared_events,
)
from recbole_lpi.experiments.runs import load_comparable
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.settings import SettingError
from recbole_lpi.text import one_line


@dataclass(frozen=True)
class Cell:
    """A metric of a policy, with its errors and tests: a cell of the table.

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
        """The stars of the tests against every other policy."""
        return self.against_others.stars if self.against_others else ""


@dataclass(frozen=True)
class ComparedPolicy:
    """A policy in a comparison, all its seeds together.

    Attributes:
        model: its name; differing: settings that set it apart from others of that name.
        seeds: of its runs.
        cells: by full name of a metric; divergences only where they were measured.
        name: what the caller calls it; empty: its model and what sets it apart.
        draws: whether another seed makes another policy of it.
        scores: by full name of a metric, what tests are made of.
        folders: of its runs, in the order of ``seeds``.
    """

    model: str
    differing: dict[str, Any]
    seeds: tuple[Any, ...]
    cells: dict[str, Cell]
    name: str = ""
    draws: bool = True
    scores: dict[str, PolicyScore] = field(default_factory=dict, repr=False, compare=False)
    folders: tuple[Path, ...] = ()

    @property
    def of_one_seed(self) -> bool:
        """Whether there is one seed, so that nothing is known of what others would make of it."""
        return self.draws and len(self.seeds) == 1

    @property
    def label(self) -> str:
        """The policy's name, or its model and settings: ``LPIRL (beta=0.3)``."""
        return one_line(self.name or label(self.model, self.differing))


@dataclass(frozen=True)
class Comparison:
    """Policies measured on the same events.

    Attributes:
        events: how many of the test part there are, by kind (``purchase``, ``click``) and name.
        logging_policies: by name, the labels of the policies whose divergence is from it.
        notes: what else is to be said of the numbers.
        noise_floor: by full name of a divergence, how far two seeds of the logging policy are
            apart; {}: no run knows.
    """

    dataset: str
    events: dict[str, dict[str, int]]
    policies: tuple[ComparedPolicy, ...]
    logging_policies: dict[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    noise_floor: dict[str, Estimate] = field(default_factory=dict)

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
    references: Collection[Path] = (),
) -> Comparison:
    """Compare the runs of ``paths`` by the metrics of these full names (``purchase_ndcg@20``).

    ``called`` names policies, by the folder of a run of theirs, something of the caller's own;
    ``drawless`` are runs of policies that draw nothing when they are trained; baselines that only
    count are known. ``references`` are runs of the logging policy that others are compared with:
    how far its seeds are apart is no divergence of a policy, but the noise floor of all. A
    ``LoggingPolicy`` that was compared with another seed of itself among the runs is one, too.

    Raises:
        SettingError: a folder holds no finished run, runs differ in data, split, protocol or test
            events, or two are one policy of one seed.
    """
    runs = load_comparable(paths)
    references = {*references, *compared_with_itself(runs)}
    frame, kinds, log_mus = shared_events(runs), runs[0].kinds, LoggingPolicies()
    groups = grouped(
        [measured(run, metrics, kinds, log_mus, run.folder.path in references) for run in runs]
    )
    policies, measured_against = [], dict[str, tuple[str, ...]]()
    pooled = _pooled(groups, metrics)
    for group, cells, own in zip(groups, _cells(pooled, metrics), pooled, strict=True):
        apart = set_apart(group, groups, log_mus)
        seeds = tuple(one.run.seed for one in group)
        folder, model = group[0].run.folder.path, group[0].run.model
        draws = model not in BASELINES and folder not in drawless
        own_name = (called or {}).get(folder, "")
        policies.append(
            ComparedPolicy(
                model, apart, seeds, cells, own_name, draws, own,
                tuple(one.run.folder.path for one in group),
            )
        )  # fmt: skip
        if (mu := group[0].settings["logging_policy"]) is not None:
            name = one_line(log_mus.name(mu))
            measured_against[name] = (*measured_against.get(name, ()), policies[-1].label)
    number = dict(frame["event"].value_counts().iter_rows())
    events = {
        kind: {one_line(name): number[name] for name in kinds.names(kind) if name in number}
        for kind in KINDS
    }
    dataset = one_line(runs[0].config["dataset"])
    floor = noise_floor(runs, references)
    return Comparison(dataset, events, tuple(policies), measured_against, noise_floor=floor)


def differences(comparison: Comparison, against: str) -> Comparison:
    """A comparison of differences: one policy minus each other one, with the tests of that.

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
    return replace(
        comparison, policies=policies, logging_policies={}, notes=(told,), noise_floor={}
    )


def _pooled(
    groups: Sequence[list[Measured]], metrics: Sequence[str]
) -> list[dict[str, PolicyScore]]:
    """Scores by metric for each group of runs, its seeds pooled."""
    return [
        {
            metric: PolicyScore.of([one.scores[metric] for one in group])
            for metric in metrics
            if all(metric in one.scores for one in group)
        }
        for group in groups
    ]


def _cells(
    pooled: Sequence[dict[str, PolicyScore]], metrics: Sequence[str]
) -> list[dict[str, Cell]]:
    """Cells by metric for each policy, the best of a metric marked and tested."""
    found: list[dict[str, Cell]] = [{} for _ in pooled]
    for metric in metrics:
        scores = {number: own[metric] for number, own in enumerate(pooled) if metric in own}
        parsed = Metric.parse(metric)
        ranked = sorted(
            (n for n in scores if scores[n].count),
            key=lambda n: scores[n].mean,
            reverse=not parsed.smaller_is_better,
        )
        contest = len(ranked) > 1 and not parsed.neutral
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
