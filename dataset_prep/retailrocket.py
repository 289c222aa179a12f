"""RetailRocket: a visitor's whole history is one session."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    # Run by its path: this folder, where csv.py would hide the standard library's csv, leaves the
    # search path before anything else is imported.
    import os
    import sys

    here = os.path.dirname(os.path.realpath(__file__))
    others = [path for path in sys.path if os.path.realpath(path) != here]
    sys.path[:] = [os.path.dirname(here), *others]

from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import typer

from dataset_prep import atomic, command, logs, rows, sources, times
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError, Source

PurchaseEvent = Literal["addtocart", "transaction", "both"]
PURCHASES = {
    "addtocart": ["addtocart"],
    "transaction": ["transaction"],
    "both": ["addtocart", "transaction"],
}
EVENTS = pl.Enum(["view", "addtocart", "transaction"])
COLUMNS = {"session": "visitorid", "item": "itemid", "time": "timestamp", "name": "event"}


def convert(
    events: Path,
    output: Path,
    *,
    purchase_event: PurchaseEvent = "addtocart",
    min_interactions: int = 3,
    min_item_interactions: int = 3,
    on_error: OnError = "stop",
    overwrite: bool = False,
) -> atomic.Summary:
    """Write the data set ``output`` as Xin et al. (2020) did: one pass over visitors, then items.

    Events named in ``purchase_event`` become purchases, views clicks, others are dropped first.
    After the item pass a visitor may have fewer than ``min_interactions`` events: they stay.
    Raises InputError for what the user can cure.
    """
    if purchase_event not in PURCHASES:
        choices = ", ".join(PURCHASES)
        raise InputError(f"purchase_event is {purchase_event!r}: pass one of {choices}")
    settings = {
        "purchase_event": purchase_event,
        "min_interactions": min_interactions,
        "min_item_interactions": min_item_interactions,
        "on_error": on_error,
        "rewards": logs.REWARDS,
    }
    with atomic.staged(output, overwrite) as folder:
        source = sources.unpack(events, "events.csv", folder.parent)
        everything, bad_rows = read(source, on_error, folder.parent)
        used = everything.filter(pl.col("name").is_in(["view", *PURCHASES[purchase_event]]))
        event = pl.when(pl.col("name") == "view").then(pl.lit(logs.CLICK))
        used = used.with_columns(event=event.otherwise(pl.lit(logs.PURCHASE)).cast(logs.EVENTS))
        visitors = logs.at_least(used, "session", min_interactions)
        log = logs.at_least(visitors, "item", min_item_interactions)
        single, longest = logs.lengths(log)
        purchase, click = pl.col("name").is_in(PURCHASES[purchase_event]), pl.col("name") == "view"
        summary = atomic.Summary(
            converter="retailrocket",
            raw=logs.counts(everything, purchase, click),
            kept=logs.counts(log, purchase, click),
            raw_events=logs.events(everything, "name"),
            dropped={
                "events_not_used": len(everything) - len(used),
                "events_of_short_sessions": len(used) - len(visitors),
                "events_of_rare_items": len(visitors) - len(log),
            },
            bad_rows=bad_rows,
            single_event_sequences=single,
            longest_sequence=longest,
            settings=settings,
            inputs=(source,),
        )
        return atomic.write(log, logs.binary_reward(), summary, folder)


def read(source: Source, on_error: OnError, scratch: Path) -> tuple[pl.DataFrame, dict[str, int]]:
    """All rows of events.csv with the raw event in ``name``, and how many were bad and why."""
    names = rows.header(source, ",")
    places = rows.columns(source, names, COLUMNS)
    places = {f"{ours}_text": place for ours, place in places.items()}
    lines = rows.one_line_each(source, ",", len(names), scratch)
    raw = rows.split(lines, ",", len(names), places).filter(pl.col("row") > 0)
    milliseconds = pl.col("time_text").cast(pl.Int64, strict=False)
    values = {
        "session": pl.col("session_text").cast(pl.Int64, strict=False),
        "item": pl.col("item_text").cast(pl.Int64, strict=False),
        "timestamp": times.tick_seconds(milliseconds, 1000),
        "name": pl.col("name_text").cast(EVENTS, strict=False),
    }
    problems = {
        rows.STRAY: pl.col("stray"),
        f"not {len(names)} fields": pl.col("torn"),
        "the visitor is not a whole number": pl.col("session").is_null(),
        "the item is not a whole number": pl.col("item").is_null(),
        f"the timestamp is not Unix milliseconds {times.YEARS}": ~times.plausible(
            pl.col("timestamp")
        ),
        "the event is not view, addtocart or transaction": pl.col("name").is_null(),
    }
    return rows.sound(raw, values, problems, source, on_error)


def main(
    events: Annotated[Path, typer.Option(help="events.csv: plain, gz, zip or 7z")],
    output: Annotated[Path, typer.Option(help="The folder to write, e.g. dataset/retailrocket")],
    purchase_event: Annotated[
        PurchaseEvent,
        typer.Option(*command.spellings("purchase_event"), help="What counts as a purchase"),
    ] = "addtocart",
    min_interactions: command.MinInteractionsOption = 3,
    min_item_interactions: command.MinItemInteractionsOption = 3,
    on_error: command.OnErrorOption = "stop",
    overwrite: command.OverwriteOption = False,
) -> None:
    """Convert RetailRocket's events.csv to RecBole atomic files."""
    with command.one_line_errors():
        summary = convert(
            events,
            output,
            purchase_event=purchase_event,
            min_interactions=min_interactions,
            min_item_interactions=min_item_interactions,
            on_error=on_error,
            overwrite=overwrite,
        )
    command.report(summary, output)


if __name__ == "__main__":
    command.run(main)
