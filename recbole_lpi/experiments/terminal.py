"""A comparison as tables for the terminal, as wide as it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recbole_lpi.evaluation.metrics import KINDS, NOVELTY, Metric
from recbole_lpi.experiments.comparison import Cell, Comparison
from recbole_lpi.experiments.tables import caption, heading, plain
from recbole_lpi.text import visible

OF_EVENTS = (*KINDS, *NOVELTY, "all")  # headings
GAP = 2  # characters between columns


def show(comparison: Comparison, metrics: Sequence[str], console: Console) -> None:
    """Print a table, or as many below one another as the width of ``console`` asks for.

    Where one is not enough, errors stand below their means, and a table holds twice as much.
    """
    policies = comparison.policies
    stars = max(
        (len(cell.stars) for policy in policies for cell in policy.cells.values()), default=0
    )
    texts = {m: [plain(policy.cells.get(m), stars) for policy in policies] for m in metrics}
    widths = {m: max(map(len, [*texts[m], *heading(m)])) + GAP for m in metrics}
    several = len({len(policy.seeds) for policy in policies}) > 1  # else the caption tells
    label = min(max(len(policy.label) for policy in policies), max(18, console.width // 4))
    left = console.width - label - several * (len("seeds") + GAP)
    gap = GAP
    if sum(widths.values()) > left:
        gap = GAP - 1
        texts = {m: _two_lines([policy.cells.get(m) for policy in policies]) for m in metrics}
        widths = {
            m: max(len(line) for text in [*texts[m], *heading(m)] for line in text.split("\n"))
            + gap
            for m in metrics
        }
    for columns in stacked(metrics, widths, left):
        table = Table(box=SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False)
        table.add_column("\npolicy", overflow="fold")
        if several:
            table.add_column("\nseeds", justify="right", no_wrap=True)
        for metric in columns:
            table.add_column("\n".join(heading(metric)), justify="right", no_wrap=True)
        for row, policy in enumerate(policies):
            cells = [(policy.cells.get(m), texts[m][row]) for m in columns]
            marked = [Text(t, style="bold" if cell and cell.best else "") for cell, t in cells]
            count = [str(len(policy.seeds))] if several else []
            table.add_row(Text(policy.label), *count, *marked)
        console.print(table, "")
    for line in caption(comparison, metrics):
        console.print(visible(line), style="dim", markup=False, highlight=False)


def _two_lines(cells: Sequence[Cell | None]) -> list[str]:
    """Cells of a column, each error below its mean, with room for the stars there are."""
    room = max((len(cell.stars) for cell in cells if cell), default=0)

    def text(cell: Cell | None) -> str:
        mean, _, error = plain(cell).partition(" ± ")
        stars = cell.stars if cell else ""
        return f"{mean}{stars.ljust(room)}" + (f"\n±{error}{' ' * room}" if error else "")

    return [text(cell) for cell in cells]


def stacked(metrics: Sequence[str], widths: dict[str, int], left: int) -> Iterator[list[str]]:
    """Columns of each table: all in one if they fit in ``left`` characters, else purchases apart
    from clicks, and no more of either than fit, the cut-offs of a measure together if they do."""
    if sum(widths.values()) <= left:
        yield list(metrics)
        return
    table: list[str] = []

    def family_of(metric: str) -> tuple[str, str]:
        parsed = Metric.parse(metric)
        return parsed.heading, parsed.measure.name

    for (kind, _), family in groupby(metrics, family_of):
        columns = list(family)
        fits = sum(widths[m] for m in columns) <= left
        for piece in [columns] if fits else [[column] for column in columns]:
            other_kind = bool(table) and kind in OF_EVENTS and heading(table[0])[0] != kind
            if table and (other_kind or sum(widths[m] for m in [*table, *piece]) > left):
                yield table
                table = []
            table = [*table, *piece]
    yield table
