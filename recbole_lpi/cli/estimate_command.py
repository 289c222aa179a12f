"""``recbole-lpi estimate``: what policies are worth, from a log of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say, say_written
from recbole_lpi.settings import SettingError, read, suggest

if TYPE_CHECKING:
    from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport
    from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings


def estimate(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder to write to")],
    events: Annotated[
        list[Path] | None,
        typer.Option(help="A Parquet file of logged events, one for each policy; may be repeated"),
    ] = None,
) -> None:
    """What policies are worth, from logs of another: value, improvement, verdict.

    Each --events file is a policy, with columns session_id, position, reward, log_pi and log_mu.
    Thresholds and such follow as --setting=value: --level=0.9 --clip=100 --min_effective=50.
    """
    with one_line_errors():
        settings = report_settings(settings_of(context.args))
        policies = named(events or [])
        reports = estimate_policies(policies, settings, output)
        _show(reports)
        say_written(*(output / name for name in ("estimates.json", "weights.parquet")))
        say_written(output / "forest.svg")


def report_settings(given: Mapping[str, Any]) -> ReportSettings:
    """Read the settings of a report by their names, which are all in one list.

    SettingError for an unknown one, and for a value that is out of range.
    """
    from recbole_lpi.evaluation.off_policy.estimate_verdicts import VerdictSettings
    from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
    from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings

    parts = {"terms": EstimatorSettings, "verdicts": VerdictSettings}
    own = [field.name for field in fields(ReportSettings) if field.name not in parts]
    known = {name: None for name in own}
    for cls in parts.values():
        known |= {field.name: None for field in fields(cls)}
    for name in given:
        if name not in known:
            near = suggest(name, known)
            hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
            raise SettingError(f"unknown setting --{name}; {hint}")
    values: dict[str, Any] = {**known, **given}
    nested = {
        key: {field.name: values[field.name] for field in fields(cls)} for key, cls in parts.items()
    }
    return read(ReportSettings, {**{name: values[name] for name in own}, **nested})


def named(files: Sequence[Path]) -> dict[str, Path]:
    """Name a policy by its file, or by the folder where files have one name; SettingError else."""
    if not files:
        raise SettingError("--events=FILE.parquet is missing: give a file for each policy")
    for names in ([file.stem for file in files], [file.absolute().parent.name for file in files]):
        if len(set(names)) == len(files):
            return dict(zip(names, files, strict=True))
    raise SettingError("two --events files have the same name: rename one, or give it once")


def estimate_policies(
    policies: Mapping[str, Path], settings: ReportSettings, output: Path
) -> list[PolicyReport]:
    """Report on each policy of a file of events, and write what the folder ``output`` holds.

    One log is in memory at a time.
    """
    from recbole_lpi.evaluation.off_policy.event_files import read_logged_events
    from recbole_lpi.evaluation.off_policy.policy_report import report_on
    from recbole_lpi.experiments.estimate_files import WeightsFile, write_report

    if output.exists() and not output.is_dir():
        raise SettingError(f"--output: {output} is a file: give a folder")
    reports = []
    with WeightsFile(output / "weights.parquet") as weights:
        for name, path in policies.items():
            say(f"reading {path}")
            events = read_logged_events(path)
            reports.append(report_on(name, events, settings, say))
            weights.add(name, path, events)
            del events
    write_report(reports, settings, output)
    return reports


def _show(reports: Sequence[PolicyReport]) -> None:
    from rich.console import Console

    from recbole_lpi.experiments.estimate_tables import show

    for report in reports:
        show(report, Console())
