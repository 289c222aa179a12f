"""Atomic files: counts, filters and order of a log, and the folder that RecBole reads.

A log is a polars frame with the columns ``row`` (place in the raw file or files), ``session``,
``item``, ``timestamp`` (Float64, Unix seconds), ``event``, and ``reward`` when it is written.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.table import Table

from .rows import OnError
from .sources import InputError, Source

SCHEMA = 1  # of summary.json
CLICK, PURCHASE = "click", "purchase"
REWARDS = {CLICK: 0.2, PURCHASE: 1.0}  # paper, section 4.1
EVENTS = pl.Enum([CLICK, PURCHASE])
COLUMNS = {
    "session": "session_id:token",
    "item": "item_id:token",
    "timestamp": "timestamp:float",
    "event": "event:token",
    "reward": "reward:float",
}


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


@dataclass(frozen=True)
class Counts:
    """One row of the paper's Table 2."""

    sequences: int
    items: int
    clicks: int
    purchases: int


@dataclass(frozen=True)
class Summary:
    """What a conversion read, dropped and wrote; ``summary.json`` holds it."""

    converter: str
    raw: Counts
    kept: Counts
    raw_events: Mapping[str, int]  # rows per event, by its name in the raw log
    dropped: Mapping[str, int]  # rows per filter
    bad_rows: Mapping[str, int]  # rows per reason, with on_error "skip"
    single_event_sequences: int
    longest_sequence: int
    settings: Mapping[str, Any]
    inputs: Sequence[Source]
    purchase_events: Sequence[str] = field(default=(PURCHASE,))
    click_events: Sequence[str] = field(default=(CLICK,))

    def as_json(self) -> dict[str, Any]:
        """Plain values only; of the inputs no more than base name and size in bytes."""
        plain = {name: value for name, value in vars(self).items() if name != "inputs"}
        plain |= {"raw": vars(self.raw), "kept": vars(self.kept)}
        inputs = [{"name": source.name, "bytes": source.size} for source in self.inputs]
        return {"schema": SCHEMA, **plain, "inputs": inputs}


def counts(log: pl.DataFrame, purchase: pl.Expr, click: pl.Expr) -> Counts:
    """The Table 2 row of a log; the two expressions say which rows are which."""
    row = log.lazy().select(
        sequences=pl.col("session").n_unique(),
        items=pl.col("item").n_unique(),
        clicks=click.sum(),
        purchases=purchase.sum(),
    )
    return Counts(**row.collect(engine="streaming").row(0, named=True))


def events(log: pl.DataFrame, column: str = "event") -> dict[str, int]:
    """Rows per event name, in the order of the names."""
    per_event = log.lazy().group_by(pl.col(column).cast(pl.String)).len().sort(column)
    return dict(per_event.collect(engine="streaming").iter_rows())


def at_least(
    log: pl.DataFrame, column: str, minimum: int, counted: pl.Expr | None = None
) -> pl.DataFrame:
    """The rows whose value in ``column`` occurs ``minimum`` times (among ``counted`` rows)."""
    if minimum <= 0:
        return log
    rows = log.lazy() if counted is None else log.lazy().filter(counted)
    often = rows.group_by(column).len().filter(pl.col("len") >= minimum)
    return log.lazy().join(often, on=column, how="semi").collect(engine="streaming")


def lengths(log: pl.DataFrame) -> tuple[int, int]:
    """How many sequences have one event only, and how many events the longest has."""
    per_session = log.lazy().group_by("session").len()
    row = per_session.select(single=(pl.col("len") == 1).sum(), longest=pl.col("len").max())
    single, longest = row.collect(engine="streaming").row(0)
    return single, longest or 0


def in_order(log: pl.DataFrame) -> pl.LazyFrame:
    """Sessions by first appearance in the raw log, each by time; equal times keep file order."""
    first = log.lazy().group_by("session").agg(first=pl.col("row").min())
    return log.lazy().join(first, on="session", how="left").sort("first", "timestamp", "row")


def binary_reward() -> pl.Expr:
    """The paper's rewards of a log whose events are clicks and purchases."""
    bought = pl.col("event") == PURCHASE
    return pl.when(bought).then(REWARDS[PURCHASE]).otherwise(REWARDS[CLICK]).alias("reward")


def write(log: pl.DataFrame, reward: pl.Expr, summary: Summary, folder: Path) -> None:
    """Fill ``folder`` with NAME.inter, NAME.yaml and summary.json, NAME being the folder's own."""
    if not len(log):
        raise InputError("no event is left: the log holds none, or lower the --min_ options")
    folder.mkdir()
    rows = in_order(log).with_columns(reward=reward)
    rows.select(pl.col(ours).alias(theirs) for ours, theirs in COLUMNS.items()).sink_csv(
        folder / f"{folder.name}.inter",
        separator="\t",
        quote_style="never",
        float_scientific=False,
        engine="streaming",
    )
    (folder / f"{folder.name}.yaml").write_text(properties(summary), encoding="utf-8")
    text = json.dumps(summary.as_json(), indent=2, ensure_ascii=False)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")


def properties(summary: Summary) -> str:
    """RecBole's property file for the data set; JSON lists are YAML and need no quoting rules."""
    return "\n".join(
        [
            f"# Written by the {summary.converter} converter; summary.json says from what.",
            "USER_ID_FIELD: session_id",
            "ITEM_ID_FIELD: item_id",
            "TIME_FIELD: timestamp",
            "load_col:",
            "  inter: [session_id, item_id, timestamp, event, reward]",
            "reward_field: reward",
            "event_field: event",
            f"purchase_events: {json.dumps(list(summary.purchase_events), ensure_ascii=False)}",
            f"click_events: {json.dumps(list(summary.click_events), ensure_ascii=False)}",
            "",
        ]
    )


@contextmanager
def staged(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to be filled, at a temporary place beside ``output``; moved there on success.

    Yields the folder's path; its parent is scratch space on the same disk. On any error nothing is
    left behind. Raises InputError for an ``output`` that exists, unless ``overwrite`` is set and
    it holds nothing but a converter's files.
    """
    output = output.resolve()
    check_output(output, overwrite)
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
        folder = Path(scratch, output.name)
        yield folder
        if not output.exists():
            folder.rename(output)
            return
        old = output.rename(Path(scratch, "replaced"))
        try:
            folder.rename(output)
        except OSError:
            old.rename(output)
            raise


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse a folder that exists; with ``overwrite`` one that holds more than a data set."""
    if not output.name:
        raise InputError(f"{output} has no name: the output folder's name is the data set's")
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"{output} is a file: name a folder")
    if not overwrite:
        raise InputError(f"{output} exists: pass --overwrite or name another folder")
    ours = {f"{output.name}.inter", f"{output.name}.yaml", "summary.json"}
    others = sorted(path.name for path in output.iterdir() if path.name not in ours)
    if others:
        raise InputError(f"{output} holds {others[0]} too: move it or name another folder")


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What the user can cure ends the script with one line on stderr and exit status 2."""
    try:
        yield
    except (InputError, OSError) as error:
        typer.echo(" ".join(str(error).split("\n")), err=True)
        raise typer.Exit(2) from None


def report(summary: Summary, output: Path) -> None:
    """Print what the paper's Table 2 shows, raw and kept, and what was dropped."""
    console = Console()
    table = Table(title=output.resolve().name)
    for heading in ("", "sequences", "items", "clicks", "purchases"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in (("raw", summary.raw), ("kept", summary.kept)):
        table.add_row(name, *(f"{number:,}" for number in vars(row).values()))
    console.print(table)
    notes = {f"dropped: {rule.replace('_', ' ')}": n for rule, n in summary.dropped.items()}
    notes |= {f"bad rows skipped: {reason}": n for reason, n in summary.bad_rows.items()}
    notes["sequences of one event"] = summary.single_event_sequences
    notes["longest sequence"] = summary.longest_sequence
    for note, number in notes.items():
        console.print(f"{note}: {number:,}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"written to {output}", markup=False, highlight=False, soft_wrap=True)
