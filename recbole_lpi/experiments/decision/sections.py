"""The parts of a report beneath its first screen: segments, choices, settings, commands."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_lpi.evaluation.measures import Events
from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.evaluation.scores import PolicyScore, session_score
from recbole_lpi.experiments.decision.choices import Concentration, concentration
from recbole_lpi.experiments.decision.evidence import VALUE, Court, Measured, metric_words
from recbole_lpi.experiments.decision.rules import Rules
from recbole_lpi.experiments.decision.segments import (
    Score,
    Segment,
    cuts_of_moments,
    cuts_of_sessions,
    rows,
    segments,
)
from recbole_lpi.experiments.runs import FinishedRun
from recbole_lpi.text import one_line


@dataclass(frozen=True)
class SegmentTable:
    """Segments of a log, by one number of one policy, the worst first.

    Attributes:
        number: which.
        rows: the segments.
        usable: whether it may be used at all; else no segment is told to be worse.
    """

    number: str
    rows: list[Segment]
    usable: bool = True

    @property
    def worse(self) -> list[Segment]:
        """The segments where the policy is surely worse."""
        return [row for row in self.rows if self.usable and row.surely_worse]


@dataclass(frozen=True)
class Setting:
    """A setting in which policies differ, with the value of each, in their order."""

    name: str
    values: tuple[str, ...]


def segment_tables(own: Measured, court: Court) -> list[SegmentTable]:
    """Compare a policy with what runs now in segments, by what decides, and by clicks beside it.

    Nothing where the number is not known of both.
    """
    table = own.tables[0]
    if court.log.impressions:
        if court.value(own) is None:
            return []
        cuts = cuts_of_moments(table, court.kinds)
        every = np.ones(len(table), bool)
        found = segments(cuts, table.session, every, lambda chosen: court.value_scores(own, chosen))
        return [SegmentTable(VALUE, found, court.usable(own))]
    if court.base is None:
        return []
    cuts, found_tables = cuts_of_sessions(table, court.kinds), []
    k = Metric.parse(court.metric).k
    for metric in dict.fromkeys((court.metric, f"click_ndcg@{k}")):
        counts = Events(table, court.kinds).of(Metric.parse(metric).kind)
        if counts.any():
            found = segments(cuts, table.session, counts, _ranks(own, court.base, metric, court))
            found_tables.append(SegmentTable(metric_words(metric), found))
    return found_tables


def _ranks(own: Measured, base: Measured, metric: str, court: Court) -> Score:
    """Make what scores a metric of two policies on some of the events."""

    def of(one: Measured, chosen: np.ndarray) -> PolicyScore:
        scores = [session_score(rows(table, chosen), metric, court.kinds) for table in one.tables]
        return PolicyScore.of(scores)

    return lambda chosen: (of(base, chosen), of(own, chosen))


def concentrations(policies: Sequence[Measured]) -> list[Concentration]:
    """Measure first choices of the first run of each policy, beside what was logged."""
    table = policies[0].tables[0]
    return [
        concentration("the log", table.item_id, table),
        *(concentration(one.policy.label, one.tables[0].greedy_item, one.tables[0])
          for one in policies),
    ]  # fmt: skip


def settings_that_differ(policies: Sequence[Measured]) -> list[Setting]:
    """List the settings that not all policies share, but for the path of the logging policy."""
    own = [one.runs[0].settings for one in policies]
    names = sorted({name for settings in own for name in settings} - {"logging_policy"})
    found = [(name, [settings.get(name) for settings in own]) for name in names]
    return [
        Setting(name, tuple(_spelled(value) for value in values))
        for name, values in found
        if any(value != values[0] for value in values)
    ]


def commands(
    measured: Sequence[FinishedRun], runs: Sequence[Path], against: Sequence[Path], rules: Rules,
    output: Path,
) -> list[str]:  # fmt: skip
    """Spell the commands that train the runs again, and that make the report of them."""
    lines = [
        _command("run", f"--config_files={run.folder.config}", f"--run_dir=again/{number}")
        for number, run in enumerate(measured, 1)
    ]
    budget = "none" if rules.max_js is None else f"{rules.max_js:g}"
    lines.append(_command("compare", *map(str, runs), f"--topk={rules.k}"))
    return [
        *lines,
        _command(
            "report", *map(str, runs), *(f"--against={path}" for path in against),
            f"--max_js={budget}", f"--level={rules.level:g}", f"--topk={rules.k}",
            f"--output={output}",
        ),
    ]  # fmt: skip


def _command(name: str, *words: str) -> str:
    return shlex.join(["recbole-lpi", name, *words])


def _spelled(value: Any) -> str:
    return "–" if value is None else one_line(value)
