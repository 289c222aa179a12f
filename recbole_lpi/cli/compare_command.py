"""``recbole-lpi compare``: finished runs in one table, and as a figure."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import print_or_write, say, say_written
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    from recbole_lpi.experiments.comparison import Comparison

WIDTH = 160  # of a table for the terminal that goes to a file


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs")],
    format_: Annotated[
        Literal["rich", "markdown", "latex", "csv"], typer.Option("--format", help="Of the table")
    ] = "rich",
    metrics: Annotated[
        str, typer.Option(help="Names as in the setting metrics; one with a cut-off stands alone")
    ] = "purchase_hit,purchase_ndcg,click_hit,click_ndcg,js_divergence",
    topk: Annotated[str, typer.Option(help="Cut-offs; the figure takes the last")] = "5,10,20",
    figure: Annotated[
        Path | None, typer.Option(help="Draw purchases against clicks: a .png, .svg or .pdf")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the table there")] = None,
    against: Annotated[
        str | None, typer.Option(help="A policy to test against every other, by its name")
    ] = None,
    improvement: Annotated[
        bool,
        typer.Option(
            "--improvement",
            help="Estimate how much better each run is than its log, and whether that can be told",
        ),
    ] = False,
) -> None:
    """Finished runs in one table, purchases beside clicks, seeds of one policy pooled."""
    with one_line_errors():
        from recbole_lpi.experiments.comparison import differences

        cuts = cut_offs(topk.split(","))
        names = full_names(metrics.split(","), cuts)
        finished = _finished(runs)
        comparison = _compared(finished, names, cuts[-1], figure)
        shown = [comparison]
        if against is not None:
            tests = differences(comparison, against)
            shown = [tests] if format_ == "csv" else [comparison, tests]
        more = _improvement(finished, format_) if improvement else ""
        if output is None and format_ == "rich":
            _show(shown, names)
            sys.stdout.write(more)
        else:
            text = "\n".join(as_text(one, names, format_) for one in shown)
            print_or_write(text + more, output)
        say_written(figure, output)


def _improvement(runs: Sequence[Path], format_: str) -> str:
    """Return the table of improvements, in Markdown; SettingError where that does not fit."""
    if format_ in ("latex", "csv"):
        raise SettingError(f"--improvement is text, and --format is {format_}: leave one out")
    from recbole_lpi.experiments.improvement_table import improvement_table

    return f"\n{improvement_table(runs)}"


def _finished(runs: Sequence[Path]) -> Sequence[Path]:
    """Leave out the runs that did not finish, and name them; all stay if none has finished."""
    from recbole_lpi.training.run_folder import RunFolder

    unfinished = [run for run in runs if RunFolder(run).begun and not RunFolder(run).finished]
    if len(unfinished) == len(runs):
        return runs
    for run in unfinished:
        say(f"left out: {run} did not finish; go on with it by --resume={run}")
    return [run for run in runs if run not in unfinished]


def _compared(
    runs: Sequence[Path], names: Sequence[str], topk: int, figure: Path | None
) -> Comparison:
    """Compare ``runs``, and draw their trade-off at ``topk`` where there is to be a figure."""
    from recbole_lpi.experiments.comparison import compare

    if figure is None:
        return compare(runs, names)
    from recbole_lpi.experiments import figures  # matplotlib takes a second to import

    figures.check_suffix(figure)
    drawn = figures.trade_off_metrics(topk)
    comparison = compare(runs, list(dict.fromkeys([*names, *drawn])))
    figures.write(figures.trade_off(comparison, topk), figure)
    return comparison


def _show(shown: Sequence[Comparison], names: Sequence[str]) -> None:
    """Print tables for the terminal that this is."""
    from rich.console import Console

    from recbole_lpi.experiments import terminal

    for one in shown:
        terminal.show(one, names, Console())


def as_text(comparison: Comparison, names: Sequence[str], format_: str) -> str:
    """Spell a table in a format: ``rich`` (of fixed width), ``markdown``, ``latex`` or ``csv``."""
    from rich.console import Console

    from recbole_lpi.experiments import tables, terminal

    if format_ != "rich":
        return tables.TEXTS[format_](comparison, names)
    file = io.StringIO()
    terminal.show(comparison, names, Console(file=file, width=WIDTH))
    return file.getvalue()


def cut_offs(words: Sequence[str]) -> list[int]:
    """Read ``5,10,20`` as numbers; SettingError for anything else."""
    cuts = [int(word) for word in words if word.strip().isdigit() and int(word) > 0]
    if len(cuts) != len(words):
        raise SettingError(
            f"--topk must be whole numbers > 0, such as 5,10,20: got {','.join(words)}"
        )
    return list(dict.fromkeys(cuts))


def full_names(metrics: Sequence[str], cuts: Sequence[int]) -> list[str]:
    """Name metrics at each cut-off, or at their own (``ndcg@20``); SettingError for others."""
    from recbole_lpi.evaluation.metrics import Metric, names_at

    names: list[str] = []
    try:
        for metric in (word.strip().lower() for word in metrics):
            whole = "@" in metric
            names += [str(Metric.parse(metric))] if whole else names_at([metric], cuts)
    except ValueError as error:
        raise SettingError(f"--metrics: {error}") from None
    return list(dict.fromkeys(names))
