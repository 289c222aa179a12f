"""``recbole-lpi estimate``: what policies are worth, from a log of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say, say_written
from recbole_lpi.settings import SettingError, read, suggest

if TYPE_CHECKING:
    from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport
    from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings

EVENTS = "events.parquet"  # in the folder of a run


def estimate(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder to write to")],
    runs: Annotated[list[str] | None, typer.Argument(help="Folders of finished runs")] = None,
    events: Annotated[
        list[Path] | None,
        typer.Option(help="A Parquet file of logged events, one for each policy; may be repeated"),
    ] = None,
    propensity: Annotated[
        Literal["logged", "estimated"],
        typer.Option(help="Where μ is from, of runs whose log has propensities"),
    ] = "logged",
    values: Annotated[
        bool, typer.Option("--values", help="Fit models of rewards and values to each run's log")
    ] = False,
    data_path: Annotated[
        Path | None, typer.Option("--data-path", "--data_path", help="Of --values: where data are")
    ] = None,
) -> None:
    """What policies are worth, from logs of another: value, improvement, verdict.

    Each run or --events file is a policy; a file has columns session_id, position, reward, log_pi
    and log_mu. Of a run the test part is taken. With --values a model of the reward and two of Q
    are fitted to its training part, once, for the estimates that need one. Thresholds and such
    follow as --setting=value: --level=0.9 --clip=100 --min_effective=50.
    """
    with one_line_errors():
        # Settings of any name are taken for runs, which may be several.
        given = [word for word in runs or [] if word.startswith("--")]
        settings = report_settings(settings_of([*given, *context.args]))
        folders = [Path(word) for word in runs or [] if word not in given]
        policies, models = named(events or [], folders), {}
        if values:
            models = {str(run): fitted(run, settings.terms.gamma, data_path) for run in folders}
        reports = estimate_policies(policies, settings, output, models, propensity == "logged")
        _show(reports)
        if folders and not values:
            say("estimates with a model of rewards and values: add --values, which fits them once")
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


def fitted(run: Path, gamma: float, data_path: Path | None) -> Path:
    """Fit models of rewards and values to a run's log, unless that was done before."""
    from recbole_lpi.plugin.value_models import values_of
    from recbole_lpi.training.fitted_q import FitSettings
    from recbole_lpi.training.run_folder import RunFolder

    say(f"models of rewards and values for {run}")
    given: dict[str, Any] = {} if data_path is None else {"data_path": str(data_path)}
    return values_of(RunFolder(run), FitSettings(gamma=gamma), **given)


def named(files: Sequence[Path], runs: Sequence[Path] = ()) -> dict[str, Path]:
    """Name policies: runs by their folders; files by their names, or their folders where those are
    alike.

    Raises:
        SettingError: there is none, one is given twice, or a run has no events.
    """
    found = {str(run): _events_of(run) for run in runs}
    if len(found) < len(runs):
        raise SettingError("a run is given twice: give each once")
    return {**found, **_named(files)} if files or not runs else found


def _events_of(run: Path) -> Path:
    """Return the event table of a finished run; SettingError where there is none."""
    if not run.is_dir():
        raise SettingError(f"{run} is no run folder: name a table of events by --events")
    if not (run / EVENTS).is_file():
        raise SettingError(f"{run} has no {EVENTS}: it is no run, or did not finish")
    return run / EVENTS


def _named(files: Sequence[Path]) -> dict[str, Path]:
    """Name policies by their files; SettingError where that cannot be."""
    if not files:
        raise SettingError("no policy is given: name the folder of a run, or --events=FILE.parquet")
    for names in ([file.stem for file in files], [file.absolute().parent.name for file in files]):
        if len(set(names)) == len(files):
            return dict(zip(names, files, strict=True))
    raise SettingError("two --events files have the same name: rename one, or give it once")


def estimate_policies(
    policies: Mapping[str, Path],
    settings: ReportSettings,
    output: Path,
    models: Mapping[str, Path] | None = None,
    logged: bool = True,
) -> list[PolicyReport]:
    """Report on each policy of a file of events, and write what the folder ``output`` holds.

    One log is in memory at a time.

    Args:
        policies: files of events by name.
        settings: what is estimated, and how surely.
        output: the folder.
        models: by name, the file of values for the events of some policies.
        logged: take propensities as they were logged, where a file has them.
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
            events = read_logged_events(path, (models or {}).get(name), logged)
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
