"""What the converters' command lines share: options, errors in one line, the printed table."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dataset_prep.atomic import Summary
from dataset_prep.inputs import printable as printable
from dataset_prep.once import Once
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError


def spellings(option: str) -> tuple[str, str]:
    """``--on_error`` and ``--on-error``: RecBole writes the one, most command lines the other."""
    return f"--{option}", f"--{option.replace('_', '-')}"


OnErrorOption = Annotated[
    OnError, typer.Option(*spellings("on_error"), help="At a row that does not parse")
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace the data set that is there")
]
MinInteractionsOption = Annotated[
    int, typer.Option(*spellings("min_interactions"), min=0, help="Drop sessions with fewer events")
]
MinItemInteractionsOption = Annotated[
    int,
    typer.Option(
        *spellings("min_item_interactions"), min=0, help="Then drop items with fewer events"
    ),
]


def run(main: Callable[..., None]) -> None:
    """Run ``main`` as a script. Its help is plain text: a table cuts long options short."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(cls=Once)(main)
    app()


def rewards_from(options: Sequence[str]) -> dict[str, float]:
    """``NAME=VALUE`` options as a dictionary."""
    rewards: dict[str, float] = {}
    for option in options:
        name, equals, value = option.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not (equals and name and math.isfinite(number)):
            raise InputError(f"--reward {option} is not NAME=VALUE with a finite number")
        if name in rewards:
            raise InputError(f"--reward names {name} twice: keep one")
        rewards[name] = number
    return rewards


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What the user can cure ends the script with one line on stderr and exit status 2."""
    try:
        yield
    except InputError as error:
        typer.echo(f"error: {printable(str(error))}", err=True)
        raise typer.Exit(2) from None


def report(summary: Summary, output: Path) -> None:
    """Print what the paper's Table 2 shows, raw and kept, and what was dropped."""
    console = Console()
    table = Table(title=Text(printable(output.resolve().name)))
    for heading in ("", *vars(summary.raw)):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in (("raw", summary.raw), ("kept", summary.kept)):
        table.add_row(name, *(f"{number:,}" for number in vars(row).values()))
    console.print(table)
    notes = {f"dropped: {rule.replace('_', ' ')}": n for rule, n in summary.dropped.items()}
    notes |= {f"bad rows skipped: {reason}": n for reason, n in summary.bad_rows.items()}
    notes |= {f"kept with reward {reward}": n for reward, n in summary.rewards.items()}
    notes["sequences of one event"] = summary.single_event_sequences
    notes["longest sequence"] = summary.longest_sequence
    notes["events that share their time with another of their session, in the log's order"] = (
        summary.tied_events
    )
    notes["rows that repeat another in session, item, time and event"] = summary.repeated_rows
    lines = [f"{note}: {number:,}" for note, number in notes.items()]
    for line in (*lines, *summary.notes, f"written to {output}"):
        console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
