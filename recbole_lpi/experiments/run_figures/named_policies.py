"""The policies of a figure: finished runs on the same events, seeds together, each with a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recbole_lpi.experiments.grouping import LoggingPolicies, grouped, label, set_apart
from recbole_lpi.experiments.measured_runs import measured, shared_events
from recbole_lpi.experiments.runs import FinishedRun, load_comparable
from recbole_lpi.text import one_line


@dataclass(frozen=True)
class NamedPolicy:
    """A policy in a figure.

    Attributes:
        name: its model, and the settings that set it apart from others of that model.
        runs: of it, that differ in seed alone.
    """

    name: str
    runs: tuple[FinishedRun, ...]


def named_policies(paths: Sequence[str | Path]) -> list[NamedPolicy]:
    """Load finished runs, those of one policy together.

    Raises:
        SettingError: a folder holds no finished run, runs differ in data, split, protocol or test
            events, or two are one policy of one seed.
    """
    runs = load_comparable(paths)
    shared_events(runs)
    log_mus = LoggingPolicies()
    groups = grouped([measured(run, [], run.kinds, log_mus) for run in runs])
    named = []
    for group in groups:
        apart = set_apart(group, groups, log_mus)
        own = tuple(one.run for one in group)
        named.append(NamedPolicy(one_line(label(own[0].model, apart)), own))
    return named
