"""Finished runs as a comparison takes them: measured on the same events, with a score by metric."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.metrics import Estimate, Kinds, Metric
from recbole_lpi.evaluation.scores import session_score
from recbole_lpi.experiments.grouping import LoggingPolicies, Measured
from recbole_lpi.experiments.runs import FinishedRun
from recbole_lpi.settings import SettingError

DIVERGENCES = ("js_divergence", "kl_divergence")
EVENT = ["session_id", "position", "item_id", "event", "reward"]  # what an event of the test is


def shared_events(runs: Sequence[FinishedRun]) -> pl.DataFrame:
    """The test events of runs; SettingError unless all were measured on the same."""
    first, *others = runs
    frame = _events(first, EVENT)
    for run in others:
        if not _events(run, EVENT).equals(frame):
            raise SettingError(
                f"{run.folder.path} and {first.folder.path} were measured on different test "
                "events: the data changed between the runs; train one of them anew"
            )
    return frame


def measured(
    run: FinishedRun,
    metrics: Sequence[str],
    kinds: Kinds,
    log_mus: LoggingPolicies,
    reference: bool = False,
) -> Measured:
    """A run with those of the metrics that its event table has the columns for.

    ``reference``: whether it is of the logging policy of others, which diverges from nothing.
    """
    table = read_events(run.folder.events)
    if reference:
        nothing = np.full(len(table), np.nan)
        table = replace(table, log_mu=nothing, js=nothing, kl=nothing)
    names = [name for name in metrics if Metric.parse(name).measured(table)]
    scores = {name: session_score(table, name, kinds) for name in names}
    mu = log_mus.number(run, table.log_mu if table.has_logging_policy else None)
    return Measured(run, {**run.settings, "logging_policy": mu}, scores)


def noise_floor(
    runs: Sequence[FinishedRun], references: Collection[Path] = ()
) -> dict[str, Estimate]:
    """How far two seeds of the logging policy are apart, by divergence: the most that a run tells.

    Runs that share a logging policy tell the same, and those of ``references``, its other seeds,
    were measured against it. {} where none knows.
    """
    found: dict[str, Estimate] = {}
    for run in runs:
        if not run.folder.finished:
            continue
        told = run.folder.read_metrics()
        floor = told.get("noise_floor") or {}
        if run.folder.path in references:
            measures = {name: told.get("test", {}).get(name) for name in DIVERGENCES}
            floor = {name: estimate for name, estimate in measures.items() if estimate}
        for name, kept in floor.items():
            mean, stderr, count = (kept.get(key) for key in ("mean", "stderr", "count"))
            if mean is None or (name in found and found[name].mean >= mean):
                continue
            found[name] = Estimate(
                mean, float("nan") if stderr is None else stderr, int(count or 0)
            )
    return found


def compared_with_itself(runs: Sequence[FinishedRun]) -> set[Path]:
    """Runs of a LoggingPolicy compared with another seed of itself among ``runs``, and that one."""
    own = {run.folder.path.resolve(): run for run in runs if run.model == "LoggingPolicy"}
    found: set[Path] = set()
    for run in own.values():
        mu = own.get(Path(str(run.config["logging_policy"])).resolve())
        if mu is not None and mu is not run and _but_for(mu) == _but_for(run):
            found |= {run.folder.path, mu.folder.path}
    return found


def _but_for(run: FinishedRun) -> dict[str, Any]:
    """The settings of a run that make it another policy than another seed of it."""
    return {k: v for k, v in run.settings.items() if k != "logging_policy"}


def _events(run: FinishedRun, columns: list[str]) -> pl.DataFrame:
    """Columns of a run's event table; SettingError if its file is none."""
    try:
        return pl.read_parquet(run.folder.events, columns=columns)
    except (OSError, pl.exceptions.PolarsError):
        raise SettingError(f"{run.folder.events} is not the event table of a run") from None
