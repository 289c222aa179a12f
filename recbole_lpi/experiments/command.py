"""``recbole-lpi compare``, ``sweep`` and ``table1``: from run folders to tables and figures."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from recbole_lpi.evaluation.metrics import Metric, names_at
from recbole_lpi.experiments import tables, terminal
from recbole_lpi.experiments.comparison import Comparison, compare, differences
from recbole_lpi.files import write_text
from recbole_lpi.settings import SettingError
from recbole_lpi.text import visible
from recbole_lpi.training.run_folder import RunFolder

if TYPE_CHECKING:
    from recbole_lpi.experiments.sweep import Sweep

WIDTH = 160  # of a table for the terminal that goes to a file


def compare_runs(
    runs: Sequence[Path],
    format_: str,
    metrics: Sequence[str],
    topk: Sequence[str],
    figure: Path | None,
    output: Path | None,
    against: str | None = None,
) -> None:
    """Print the table of ``runs``, or write it to ``output``; draw the trade-off in ``figure``.

    The policy ``against`` is tested against every other one, in a table of its own; CSV is that
    table alone. Runs that did not finish are left out, and named. SettingError for runs that cannot
    be compared, and for what there is no metric, format or policy of.
    """
    cuts = cut_offs(topk)
    names = full_names(metrics, cuts)
    unfinished = [run for run in runs if RunFolder(run).begun and not RunFolder(run).finished]
    if len(unfinished) < len(runs):
        runs = [run for run in runs if run not in unfinished]
        for run in unfinished:
            say = f"left out: {run} did not finish; go on with it by --resume={run}"
            _say(say)
    if figure is None:
        comparison = compare(runs, names)
    else:  # matplotlib takes a second to import
        from recbole_lpi.experiments import figures

        figures.check_suffix(figure)
        comparison = compare(
            runs, list(dict.fromkeys([*names, *figures.trade_off_metrics(cuts[-1])]))
        )
        figures.write(figures.trade_off(comparison, cuts[-1]), figure)
    shown = [comparison]
    if against is not None:
        tests = differences(comparison, against)
        shown = [tests] if format_ == "csv" else [comparison, tests]
    if output is not None:
        write_text(output, "\n".join(as_text(one, names, format_) for one in shown))
    elif format_ == "rich":
        for one in shown:
            terminal.show(one, names, Console())
    else:
        sys.stdout.write("\n".join(as_text(one, names, format_) for one in shown))
    for path in (figure, output):
        if path is not None:
            _say(f"wrote {path}")


def sweep(
    plan: str,
    dataset: str,
    runs: Path,
    seeds: int,
    only: Sequence[str],
    given: Mapping[str, Any],
    against: str | None,
    threads: int | None,
    output: Path | None,
    figure: Path | None,
    train: bool,
) -> None:
    """Run what a plan lacks, then print its report or write it to ``output``, and draw."""
    from recbole_lpi.experiments import report
    from recbole_lpi.experiments.sweep import Sweep, read_plan

    if figure is not None:
        from recbole_lpi.experiments import figures

        figures.check_suffix(figure)
    work = Sweep(read_plan(plan), dataset, runs / dataset, given, seeds, only)
    against = report.tested_row(work, against)
    if train:
        _work(work, threads)
    text = report.markdown(work, against)
    if output is None:
        sys.stdout.write(text)
    else:
        write_text(output, text)
    if figure is not None:
        figures.write(report.trade_off(work, against), figure)
    for path in (figure, output):
        if path is not None:
            _say(f"wrote {path}")


def table1(
    dataset: str,
    folder: Path,
    runs: Path,
    seeds: int,
    given: Mapping[str, Any],
    threads: int | None,
    train: bool,
) -> None:
    """Run what Table 1 lacks, then fill ``folder`` with the table and its figures."""
    from recbole_lpi.experiments import figures, table1
    from recbole_lpi.experiments.sweep import Sweep, read_plan

    work = Sweep(read_plan(table1.PLAN), dataset, runs / dataset, given, seeds)
    if train:
        _work(work, threads)
    comparison, fit = table1.table(work), table1.fit_of(work)
    drawn = {"curve": table1.curve(comparison), "imputation": table1.distribution(fit)}
    text = table1.markdown(work)
    write_text(folder / "table1.md", text)
    write_text(folder / "table1.csv", tables.to_csv(comparison, table1.COLUMNS))
    for name, figure in drawn.items():
        for suffix in (".png", ".svg"):
            figures.write(figure, folder / f"{name}{suffix}")
    sys.stdout.write(text)
    _say(f"wrote {folder}")


def _say(line: str) -> None:
    console = Console(stderr=True, highlight=False)
    console.print(visible(line), markup=False, soft_wrap=True)


def _work(sweep: Sweep, threads: int | None) -> None:
    import torch

    from recbole_lpi.training.memory import keep_freed_memory

    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    sweep.work()


def as_text(comparison: Comparison, names: Sequence[str], format_: str) -> str:
    """The table in a format."""
    if format_ != "rich":
        return tables.TEXTS[format_](comparison, names)
    file = io.StringIO()
    terminal.show(comparison, names, Console(file=file, width=WIDTH))
    return file.getvalue()


def cut_offs(words: Sequence[str]) -> list[int]:
    """``5,10,20`` as numbers; SettingError for anything else."""
    cuts = [int(word) for word in words if word.strip().isdigit() and int(word) > 0]
    if len(cuts) != len(words):
        raise SettingError(
            f"--topk must be whole numbers > 0, such as 5,10,20: got {','.join(words)}"
        )
    return list(dict.fromkeys(cuts))


def full_names(metrics: Sequence[str], cuts: Sequence[int]) -> list[str]:
    """Metrics at each cut-off, or at their own (``purchase_ndcg@20``); SettingError for others."""
    names: list[str] = []
    try:
        for metric in (word.strip().lower() for word in metrics):
            whole = "@" in metric
            names += [str(Metric.parse(metric))] if whole else names_at([metric], cuts)
    except ValueError as error:
        raise SettingError(f"--metrics: {error}") from None
    return list(dict.fromkeys(names))
