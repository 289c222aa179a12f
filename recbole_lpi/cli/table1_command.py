"""``recbole-lpi table1``: the paper's Table 1, its tests and its figures, in a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say_written, work_through, write
from recbole_lpi.processes import refuse_several

if TYPE_CHECKING:
    from recbole_lpi.experiments.sweep import Sweep


def table1(
    context: typer.Context,
    dataset: Annotated[str, typer.Option(help="A data set with ratings: its folder's name")],
    output: Annotated[Path, typer.Option(help="Folder for the table and its figures")],
    runs: Annotated[Path, typer.Option(help="Folder to keep the runs in")] = Path("runs/table1"),
    seeds: Annotated[int, typer.Option(min=1, help="Of each row")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch")] = None,
    train: Annotated[bool, typer.Option(help="Run what is missing before reporting")] = True,
) -> None:
    """The paper's Table 1: LPI-CB over β, by logged and imputed reward and by divergence.

    Writes table1.md, table1.csv, the curve over β and the imputation's distribution. What has run
    is not run again. Settings of all runs can follow as --setting=value.
    """
    with one_line_errors():
        given = settings_of(context.args)
        refuse_several("table1")
        from recbole_lpi.experiments import table1 as paper
        from recbole_lpi.experiments.plans import read_plan
        from recbole_lpi.experiments.sweep import Sweep

        work = Sweep(read_plan(paper.PLAN), dataset, runs / dataset, given, seeds)
        if train:
            work_through(work, threads)
        _fill(output, work)
        say_written(output)


def _fill(folder: Path, work: Sweep) -> None:
    """Write the table and its figures into ``folder``, and print the table."""
    from recbole_lpi.experiments import figures, tables
    from recbole_lpi.experiments import table1 as paper

    comparison, fit = paper.table(work), paper.fit_of(work)
    drawn = {"curve": paper.curve(comparison), "imputation": paper.distribution(fit)}
    text = paper.markdown(work)
    write(text, folder / "table1.md")
    write(tables.to_csv(comparison, paper.COLUMNS), folder / "table1.csv")
    for name, figure in drawn.items():
        for suffix in (".png", ".svg"):
            figures.write(figure, folder / f"{name}{suffix}")
    sys.stdout.write(text)
