"""``recbole-lpi sweep``: a plan tuned, trained and reported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import print_or_write, say_written, work_through
from recbole_lpi.processes import refuse_several


def sweep(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="A YAML file, or one of ours: policies")],
    dataset: Annotated[str, typer.Option(help="A data set: its folder's name")],
    runs: Annotated[Path, typer.Option(help="Folder to keep the runs in")] = Path("runs/sweep"),
    seeds: Annotated[int, typer.Option(min=1, help="Of the best settings of each row")] = 3,
    only: Annotated[str, typer.Option(help="Rows of the plan, separated by commas")] = "",
    against: Annotated[
        str | None,
        typer.Option(help="Row to test every other against: LPIRL, or else the plan's reference"),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="URL of a database that workers on several machines share the runs by"),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the report there: Markdown")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw purchases against clicks: a .png, .svg or .pdf")
    ] = None,
    divergence_figure: Annotated[
        Path | None, typer.Option(help="Draw the divergence over β: a .png, .svg or .pdf")
    ] = None,
    train: Annotated[bool, typer.Option(help="Run what is missing before reporting")] = True,
) -> None:
    """Tune every row of a plan on validation, train more seeds of the best, report.

    What has run is not run again: stopped, it goes on; started twice, it shares the work. Settings
    of all runs can follow as --setting=value; what a row of the plan says of itself stays.
    """
    with one_line_errors():
        given = settings_of(context.args)
        refuse_several("sweep")
        from recbole_lpi.experiments import report
        from recbole_lpi.experiments.plans import read_plan
        from recbole_lpi.experiments.sweep import Sweep

        for drawn in (figure, divergence_figure):
            if drawn is not None:
                from recbole_lpi.experiments import figures

                figures.check_suffix(drawn)
        chosen = [row for row in only.split(",") if row]
        work = Sweep(read_plan(plan), dataset, runs / dataset, given, seeds, chosen, storage)
        tested = report.tested_row(work, against)
        if train:
            work_through(work, threads)
        print_or_write(report.markdown(work, tested), output)
        if figure is not None:
            figures.write(report.trade_off(work, tested), figure)
        if divergence_figure is not None:
            figures.write(report.divergence(work), divergence_figure)
        say_written(figure, divergence_figure, output)
