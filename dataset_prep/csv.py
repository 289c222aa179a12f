"""Any session log: CSV in whatever column order and separator, or Parquet."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    # Run by its path: this folder, where csv.py would hide the standard library's csv, leaves the
    # search path before anything else is imported.
    import os
    import sys

    here = os.path.dirname(os.path.realpath(__file__))
    others = [path for path in sys.path if os.path.realpath(path) != here]
    sys.path[:] = [os.path.dirname(here), *others]

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
import typer

from dataset_prep import atomic, command, kinds, logs, order, sources, tables, times
from dataset_prep.command import rewards_from
from dataset_prep.headers import Format
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError, Source
from dataset_prep.tables import Columns, Reading, Rewards, check


@dataclass(frozen=True)
class Kept:
    """Which events are kept, and which of them are one session; by default all, as they are named.

    Attributes:
        session_gap: seconds without an event after which a session ends.
        drop_repeats: whether a row is left out that repeats another in session, item, time, event.
        min_interactions: sessions with fewer events are dropped, in one pass,
        min_item_interactions: and then, in one pass, items.
    """

    session_gap: float | None = None
    drop_repeats: bool = False
    min_interactions: int = 1
    min_item_interactions: int = 1


def convert(
    inputs: Path | Sequence[Path],
    output: Path,
    columns: Columns,
    rewards: Rewards,
    format: Format | None = None,
    kept: Kept | None = None,
    *,
    purchases: Sequence[str] = (),
    clicks: Sequence[str] = (),
    on_error: OnError = "stop",
    overwrite: bool = False,
) -> atomic.Summary:
    """Write the data set ``output`` from logs with one row per event, read in the order given.

    Without an event column every event is a click. ``purchases`` defaults to the events of highest
    reward, ``clicks`` to the kind that is left where there is but one. A kind of which every event
    has reward 0 is what was shown and not taken, and neither unless it is named. Raises InputError
    for what the user can cure.
    """
    rewards = check(columns, rewards)
    format, kept = format or Format(), kept or Kept()
    paths = [inputs] if isinstance(inputs, Path) else list(inputs)
    with atomic.staged(output, overwrite) as folder:
        read, opened = read_all(paths, columns, rewards, format, on_error, folder.parent)
        everything = read.log
        bought, clicked, said = kinds.of(everything, columns, rewards, purchases, clicks)
        sessions = (
            order.by_inactivity(everything, kept.session_gap) if kept.session_gap else everything
        )
        once = order.without_repeats(sessions) if kept.drop_repeats else sessions
        often = logs.at_least(once, "session", kept.min_interactions)
        log = logs.at_least(often, "item", kept.min_item_interactions)
        single, longest = logs.lengths(log)
        purchase, click = pl.col("event").is_in(bought), pl.col("event").is_in(clicked)
        summary = atomic.Summary(
            converter="csv",
            raw=logs.counts(sessions, purchase, click),
            kept=logs.counts(log, purchase, click),
            raw_events=logs.events(everything),
            dropped={
                **(
                    {"rows_that_repeat_another": len(sessions) - len(once)}
                    if kept.drop_repeats
                    else {}
                ),
                "events_of_short_sessions": len(once) - len(often),
                "events_of_rare_items": len(often) - len(log),
            },
            bad_rows=read.bad_rows,
            single_event_sequences=single,
            longest_sequence=longest,
            settings={
                "columns": columns.named(),
                "rewards": dict(rewards.by_event),
                "default_reward": rewards.default,
                **vars(format),
                **vars(kept),
                "on_error": on_error,
            },
            inputs=opened,
            purchase_events=bought,
            click_events=clicked,
            notes=[*read.notes, *said],
        )
        return atomic.write(log, pl.col("reward"), summary, folder)


def read_all(
    paths: Sequence[Path],
    columns: Columns,
    rewards: Rewards,
    format: Format,
    on_error: OnError,
    scratch: Path,
) -> tuple[Reading, list[Source]]:
    """One log of all files, the rows of each numbered after those of the one before."""
    read, opened, first = [], [], 0
    for place, path in enumerate(paths):
        opened.append(sources.unpack(path, None, scratch))
        if any(path.samefile(other) for other in paths[:place]):
            raise InputError(f"--input names {path} twice: its events would count twice")
        part = tables.read(opened[-1], columns, rewards, format, on_error, scratch)
        log = part.log.with_columns(pl.col("row").cast(pl.UInt32) + first)
        first += 1 + int(part.log.select(pl.col("row").max()).item() or 0)
        read.append(replace(part, log=log))
    bad_rows: Counter[str] = Counter()
    for part in read:
        bad_rows.update(part.bad_rows)
    notes = [note for part in read for note in part.notes]
    return Reading(pl.concat(part.log for part in read), dict(bad_rows), notes), opened


def separator_from(option: str | None) -> str | None:
    """The separator's character; a tab may be written as ``tab`` or ``\\t``."""
    character = "\t" if option in ("tab", "\\t") else option
    if character is not None and (len(character) != 1 or character in '"\r\n'):
        raise InputError(f"--separator {option!r} is not one character such as ; or tab")
    return character


def main(
    inputs: Annotated[
        list[Path],
        typer.Option(
            "--input",
            help="CSV (plain, compressed or in an archive) or Parquet; repeat it for several files",
        ),
    ],
    session: Annotated[
        list[str],
        typer.Option(
            metavar="COLUMN", help="Column of the session or user; several name it together"
        ),
    ],
    item: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the item")],
    time: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the time: ISO 8601, or a number")
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, e.g. dataset/NAME")],
    time_of_day: Annotated[
        str | None,
        typer.Option(
            *command.spellings("time_of_day"),
            metavar="COLUMN",
            help="Column of the clock, where --time has dates only: 14:05:59, or a number since "
            "midnight in --time_unit",
        ),
    ] = None,
    time_unit: Annotated[
        times.Unit | None,
        typer.Option(
            *command.spellings("time_unit"),
            help="What times that are numbers are; date is 20260105 or 202601051230. If not given "
            "it is found from the file, and times must be of 1990 to 2100",
        ),
    ] = None,
    event: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Column of the event; without it all are clicks"),
    ] = None,
    reward: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="An event's reward; repeat it")
    ] = None,
    default_reward: Annotated[
        float | None,
        typer.Option(
            *command.spellings("default_reward"),
            help="Reward of events not named; 1.0 without --event",
        ),
    ] = None,
    reward_column: Annotated[
        str | None,
        typer.Option(
            *command.spellings("reward_column"),
            metavar="COLUMN",
            help="Take rewards from here instead",
        ),
    ] = None,
    propensity: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the probability with which the item was shown, above 0 and at most 1",
        ),
    ] = None,
    purchase: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A purchase event; repeat it. Default: those of highest reward"
        ),
    ] = None,
    click: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A click event; repeat it. Default: the other one, where there are two kinds "
            "with rewards. Events that are neither are kept, such as those of reward 0: what was "
            "shown and not taken",
        ),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="One character, or tab; found from the header if not given")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", help="Names for the columns of files that have no header"),
    ] = None,
    quote: Annotated[
        Literal["double", "none"],
        typer.Option(help="double: fields may be quoted as in RFC 4180; none: quotes are letters"),
    ] = "double",
    session_gap: Annotated[
        str | None,
        typer.Option(
            *command.spellings("session_gap"),
            metavar="TIME",
            help="End a session where so long nothing happens: 30m, 12h, 1d",
        ),
    ] = None,
    drop_repeats: Annotated[
        bool,
        typer.Option(
            *command.spellings("drop_repeats"),
            help="Drop rows that repeat another in session, item, time and event",
        ),
    ] = False,
    min_interactions: command.MinInteractionsOption = 1,
    min_item_interactions: command.MinItemInteractionsOption = 1,
    on_error: command.OnErrorOption = "stop",
    overwrite: command.OverwriteOption = False,
) -> None:
    """Convert any logs with one row per event to RecBole atomic files."""
    with command.one_line_errors():
        summary = convert(
            inputs,
            output,
            Columns(session, item, time, event, reward_column, time_of_day, propensity),
            Rewards(rewards_from(reward or []), default_reward),
            Format(
                separator_from(separator),
                columns.split(",") if columns else [],
                quote == "double",
                time_unit,
            ),
            Kept(
                order.gap_from(session_gap), drop_repeats, min_interactions, min_item_interactions
            ),
            purchases=purchase or [],
            clicks=click or [],
            on_error=on_error,
            overwrite=overwrite,
        )
    command.report(summary, output)
    for name in summary.settings["rewards"]:
        if name not in summary.raw_events:
            held = command.printable(", ".join(summary.raw_events))
            typer.echo(
                f"note: --reward names {name!r}, and no event is; there are {held}", err=True
            )


if __name__ == "__main__":
    command.run(main)
