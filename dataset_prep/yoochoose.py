"""YooChoose (RecSys Challenge 2015): clicks and buys, merged by session and time."""

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
from typing import Annotated

import polars as pl
import typer

from dataset_prep import atomic, command, logs, rows, sources, times
from dataset_prep.rows import OnError
from dataset_prep.sources import Source

CLICK_FIELDS = 4  # session, timestamp, item, category
BUY_FIELDS = 5  # session, timestamp, item, price, quantity
TIME = "%Y-%m-%dT%H:%M:%S%.fZ"


def convert(
    clicks: Path,
    buys: Path,
    output: Path,
    *,
    min_clicks: int = 3,
    on_error: OnError = "stop",
    overwrite: bool = False,
) -> atomic.Summary:
    """Write the data set ``output``: sessions with ``min_clicks`` clicks, and their buys.

    ``clicks`` and ``buys`` may be the same archive. At equal times clicks stand before buys.
    Raises InputError for what the user can cure.
    """
    settings = {"min_clicks": min_clicks, "on_error": on_error, "rewards": logs.REWARDS}
    with atomic.staged(output, overwrite) as folder:
        clicked = sources.unpack(clicks, "yoochoose-clicks.dat", folder.parent)
        bought = sources.unpack(buys, "yoochoose-buys.dat", folder.parent)
        log, bad_rows = read_both(clicked, bought, on_error, folder.parent)
        raw, raw_events = table_2(log), logs.events(log)
        log = logs.at_least(log, "session", min_clicks, pl.col("event") == logs.CLICK)
        kept = table_2(log)
        single, longest = logs.lengths(log)
        summary = atomic.Summary(
            converter="yoochoose",
            raw=raw,
            kept=kept,
            raw_events=raw_events,
            dropped={
                "clicks_of_short_sessions": raw.clicks - kept.clicks,
                "purchases_of_short_sessions": raw.purchases - kept.purchases,
            },
            bad_rows=bad_rows,
            single_event_sequences=single,
            longest_sequence=longest,
            settings=settings,
            inputs=(clicked, bought),
        )
        return atomic.write(log, logs.binary_reward(), summary, folder)


def table_2(log: pl.DataFrame) -> logs.Counts:
    """Sequences, items, clicks and purchases, as in the paper's Table 2."""
    event = pl.col("event")
    return logs.counts(log, purchase=event == logs.PURCHASE, click=event == logs.CLICK)


def read_both(
    clicks: Source, buys: Source, on_error: OnError, scratch: Path
) -> tuple[pl.DataFrame, dict[str, int]]:
    """One log, the buys' rows numbered after the clicks', and the bad rows of both by reason."""
    clicked, bad_clicks = read(clicks, CLICK_FIELDS, logs.CLICK, 0, on_error, scratch)
    after = clicked["row"].max() or 0
    assert isinstance(after, int)
    bought, bad_buys = read(buys, BUY_FIELDS, logs.PURCHASE, after + 1, on_error, scratch)
    bad_rows = {f"clicks, {reason}": number for reason, number in bad_clicks.items()}
    bad_rows |= {f"buys, {reason}": number for reason, number in bad_buys.items()}
    return pl.concat([clicked, bought]), bad_rows


def read(
    source: Source, width: int, event: str, first_row: int, on_error: OnError, scratch: Path
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows of one headerless file as a log, and how many were bad for which reason."""
    lines = rows.one_line_each(source, ",", width, scratch)
    raw = rows.split(lines, ",", width, {"session_text": 0, "time_text": 1, "item_text": 2})
    time = pl.col("time_text").str.to_datetime(TIME, strict=False, time_unit="ms")
    values = {
        "session": pl.col("session_text").cast(pl.Int64, strict=False),
        "item": pl.col("item_text").cast(pl.Int64, strict=False),
        "timestamp": times.tick_seconds(time.dt.epoch("ms"), 1000),
    }
    problems = {
        rows.STRAY: pl.col("stray"),
        f"not {width} fields": pl.col("torn"),
        "the session is not a whole number": pl.col("session").is_null(),
        f"the time is not like 2014-04-07T10:51:09.277Z, {times.YEARS}": ~times.plausible(
            pl.col("timestamp")
        ),
        "the item is not a whole number": pl.col("item").is_null(),
    }
    log, bad_rows = rows.sound(raw, values, problems, source, on_error)
    number = (pl.col("row") + first_row).cast(pl.UInt32)
    return log.with_columns(number, event=pl.lit(event, logs.EVENTS)), bad_rows


def main(
    clicks: Annotated[Path, typer.Option(help="yoochoose-clicks.dat: plain, gz, zip or 7z")],
    buys: Annotated[Path, typer.Option(help="yoochoose-buys.dat; may be the same archive")],
    output: Annotated[Path, typer.Option(help="The folder to write, e.g. dataset/yoochoose")],
    min_clicks: Annotated[
        int,
        typer.Option(
            *command.spellings("min_clicks"), min=0, help="Drop sessions with fewer clicks"
        ),
    ] = 3,
    on_error: command.OnErrorOption = "stop",
    overwrite: command.OverwriteOption = False,
) -> None:
    """Convert the YooChoose logs (RecSys Challenge 2015) to RecBole atomic files."""
    with command.one_line_errors():
        summary = convert(
            clicks,
            buys,
            output,
            min_clicks=min_clicks,
            on_error=on_error,
            overwrite=overwrite,
        )
    command.report(summary, output)


if __name__ == "__main__":
    command.run(main)
