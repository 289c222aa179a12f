"""The runs of what policies are compared with, measured where they were not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from recbole_lpi.data.session_data import event_counts
from recbole_lpi.evaluation.event_ranking import EvaluationPass, rank_policy
from recbole_lpi.experiments.decision.source import Source
from recbole_lpi.experiments.runs import FinishedRun, load
from recbole_lpi.plugin.logging_policy.identities import identity
from recbole_lpi.plugin.logging_policy.loading import load as load_logging_policy
from recbole_lpi.plugin.logging_policy.making import Places, own_config
from recbole_lpi.plugin.logging_policy.searching import finished_run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder


@dataclass(frozen=True)
class Baseline:
    """What policies are compared with.

    Attributes:
        runs: of it that were measured, one a seed; none where it was not.
        is_log: whether it is what made the log, so that values are compared with the log's own.
        missing: why there is no run, a clause; empty if there is one.
    """

    runs: tuple[Path, ...]
    is_log: bool
    missing: str = ""


def baseline(
    runs: Sequence[FinishedRun],
    against: Sequence[Path],
    source: Source | None,
    say: Callable[[str], None],
) -> Baseline:
    """Find what ``runs`` are compared with: ``against``, or else their logging policy.

    A logging policy that was never measured on the test part is measured now, and that is kept.
    """
    if against:
        return Baseline(tuple(against), is_log=False)
    own = tuple(run.folder.path for run in runs if run.model == "LoggingPolicy")
    if own and len(own) < len(runs):
        return Baseline(own, is_log=True)
    try:
        folder = _logging_policy(runs[0], source)
        if not folder.events.is_file():
            _measure(folder, source, say)
        return Baseline((load(folder.path).folder.path,), is_log=True)
    except (SettingError, OSError) as error:
        return Baseline((), is_log=True, missing=str(error))


def _logging_policy(run: FinishedRun, source: Source | None) -> RunFolder:
    """Return the folder of a run's logging policy; SettingError where there is none."""
    named = str(run.config.get("logging_policy"))
    if named in ("none", "None"):
        raise SettingError("the run has no logging policy")
    if named != "auto":
        path = Path(named)
        return RunFolder(path if path.is_dir() else path.parent)
    if source is None:
        raise SettingError("which logging policy the run had cannot be told without its data")
    own = own_config(source.config, source.train)
    wanted, places = (
        identity(own, source.train, source.valid),
        Places.of(source.config, run.folder.path.parent),
    )
    found = finished_run(wanted, places.beside, source.train, source.valid)
    return RunFolder(found or places.own / wanted)


def _measure(folder: RunFolder, source: Source | None, say: Callable[[str], None]) -> None:
    """Measure a logging policy on the test part, and keep that in its folder."""
    if not folder.model.is_file():
        raise SettingError(f"its logging policy is not in {folder.path} any more")
    if source is None:
        raise SettingError(f"{folder.path} was never measured on the test part")
    say(f"measuring {folder.path} on the test part, once")
    policy = load_logging_policy(folder.path, source.train, source.valid).eval()
    how = EvaluationPass(1024, torch.device("cpu"), item_counts=event_counts(source.train))
    table = rank_policy(policy, source.test, how)
    with folder.exclusive():
        table.write(folder.events, source.test.session_tokens, source.test.item_tokens)
