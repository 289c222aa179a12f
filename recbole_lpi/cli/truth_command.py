"""``recbole-lpi truth``: what policies are worth in their world, and which number would know."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.estimate_command import fitted
from recbole_lpi.cli.output import progress_bar, say, say_written, work_through, write
from recbole_lpi.processes import refuse_several
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    from recbole_lpi.experiments.sweep import Sweep
    from recbole_lpi.experiments.truth import Judge, Worth
    from recbole_lpi.experiments.truth_report import KnownRun
    from recbole_lpi.training.run_folder import RunFolder


def truth(
    context: typer.Context,
    world: Annotated[Path, typer.Option(help="Folder that recbole-lpi simulate wrote")],
    output: Annotated[Path, typer.Option(help="Folder for the tables and figures")],
    plan: Annotated[str, typer.Option(help="A YAML file, or one of ours")] = "world",
    runs: Annotated[Path, typer.Option(help="Folder to keep the runs in")] = Path("runs/truth"),
    seeds: Annotated[int, typer.Option(min=1, help="Of each row")] = 3,
    only: Annotated[str, typer.Option(help="Rows of the plan, separated by commas")] = "",
    sessions: Annotated[int, typer.Option(min=80, help="That each policy is rolled out in")] = 8000,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch")] = None,
    train: Annotated[bool, typer.Option(help="Run what is missing before reporting")] = True,
    values: Annotated[
        bool, typer.Option("--values", help="Fit models of rewards and values to each run's log")
    ] = False,
) -> None:
    """Train every policy of a plan on a world's log, roll it out, and compare with what it seemed.

    Writes truth.md and figures: what policies are worth, over β with the bound of Eq. 7 beside it,
    and how well every offline number orders them. What has run is not run again. With --values
    estimates that need a model of rewards or values are among the numbers. Settings of all runs can
    follow as --setting=value.
    """
    with one_line_errors():
        given = {"data_path": str(world.resolve().parent), **settings_of(context.args)}
        refuse_several("truth")
        from recbole_lpi.experiments.plans import read_plan
        from recbole_lpi.experiments.sweep import Sweep
        from recbole_lpi.experiments.truth import Judge
        from recbole_lpi.simulation.saved_worlds import load_world

        judge = Judge(load_world(world), sessions)  # before anything is trained
        name = world.resolve().name
        chosen = [row for row in only.split(",") if row]
        work = Sweep(read_plan(plan), name, runs / name, given, seeds, chosen)
        if train:
            work_through(work, threads)
        _fill(output, name, *_known(work, judge, values))
        say_written(output)


def _known(work: Sweep, judge: Judge, values: bool) -> tuple[list[KnownRun], Worth]:
    """Roll out every finished run of the plan."""
    from recbole_lpi.experiments.truth_report import known_run

    folders = [(row.name, folder) for row in work.rows for folder in work.runs(row)]
    if not folders:
        raise SettingError(f"no run of the plan has finished in {work.root}: leave out --no-train")
    found = []
    with progress_bar(len(folders), "policies") as advance:
        for row, folder in folders:
            worth, truth = judge.truth_of(folder)
            models = _values_of(folder, judge.saved.folder) if values else None
            found.append(known_run(row, folder, truth, models))
            advance(1)
    return found, worth


def _values_of(folder: RunFolder, world: Path) -> Path | None:
    """Fit models of rewards and values to a run's log; None where there is nothing to compare."""
    from recbole_lpi.experiments.truth_report import HOW

    if folder.read_config()["logging_policy"] == "none":
        say(f"{folder.path} was compared with no logging policy: no models of values for it")
        return None
    return fitted(folder.path, HOW.terms.gamma, data_path=world.resolve().parent)


def _fill(folder: Path, name: str, runs: list[KnownRun], worth: Worth) -> None:
    """Write tables and figures into ``folder``, and print the tables."""
    from recbole_lpi.experiments import figures, truth_figure, truth_report

    text = truth_report.markdown(name, runs, worth)
    write(text, folder / "truth.md")
    drawn = {"numbers": truth_figure.numbers_against_truth(runs, worth)}
    if (curve := truth_figure.over_beta(runs, worth)) is not None:
        drawn["over-beta"] = curve
    for stem, figure in drawn.items():
        for suffix in (".png", ".svg"):
            figures.write(figure, folder / f"{stem}{suffix}")
    sys.stdout.write(text)
