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

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from dataset_prep import atomic, command, logs, sources
from dataset_prep.command import rewards_from
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError
from dataset_prep.tables import Columns, Rewards, check, read


def convert(
    input: Path,
    output: Path,
    columns: Columns,
    rewards: Rewards,
    *,
    purchases: Sequence[str] = (),
    separator: str | None = None,
    min_interactions: int = 1,
    min_item_interactions: int = 1,
    on_error: OnError = "stop",
    overwrite: bool = False,
) -> atomic.Summary:
    """Write the data set ``output`` from any log with one row per event.

    Times are Unix seconds or milliseconds, or ISO 8601 (UTC where no offset is given). Without an
    event column every event is a click. ``purchases`` defaults to the events of highest reward.
    The filters are one pass over sessions, then one over items; by default they drop nothing.
    Raises InputError for what the user can cure.
    """
    rewards = check(columns, rewards)
    settings = {
        "columns": columns.named(),
        "rewards": dict(rewards.by_event),
        "default_reward": rewards.default,
        "separator": separator,
        "min_interactions": min_interactions,
        "min_item_interactions": min_item_interactions,
        "on_error": on_error,
    }
    with atomic.staged(output, overwrite) as folder:
        source = sources.unpack(input, None, folder.parent)
        everything, bad_rows = read(source, columns, rewards, separator, on_error)
        bought = purchase_events(everything, columns, rewards, purchases)
        sessions = logs.at_least(everything, "session", min_interactions)
        log = logs.at_least(sessions, "item", min_item_interactions)
        single, longest = logs.lengths(log)
        purchase = pl.col("event").is_in(bought)
        raw_events = logs.events(everything)
        known = sorted({*rewards.by_event, *raw_events}) if columns.reward is None else raw_events
        summary = atomic.Summary(
            converter="csv",
            raw=logs.counts(everything, purchase, ~purchase),
            kept=logs.counts(log, purchase, ~purchase),
            raw_events=raw_events,
            dropped={
                "events_of_short_sessions": len(everything) - len(sessions),
                "events_of_rare_items": len(sessions) - len(log),
            },
            bad_rows=bad_rows,
            single_event_sequences=single,
            longest_sequence=longest,
            settings=settings,
            inputs=(source,),
            purchase_events=bought,
            click_events=[name for name in known if name not in bought],
        )
        atomic.write(log, pl.col("reward"), summary, folder)
    return summary


def purchase_events(
    log: pl.DataFrame, columns: Columns, rewards: Rewards, asked: Sequence[str]
) -> list[str]:
    """Which events are purchases: those asked for, or else those with the highest reward."""
    seen = logs.events(log)
    for name in asked:
        if name not in seen and name not in rewards.by_event:
            held = ", ".join(seen)
            raise InputError(f"no event is named {name!r}: pass --purchase with one of {held}")
    if asked or columns.event is None:
        return list(asked)
    if columns.reward is None:
        means = {**dict.fromkeys(seen, rewards.default or 0.0), **rewards.by_event}
    else:
        means = dict(log.group_by("event").agg(pl.col("reward").mean()).sort("event").iter_rows())
    return [name for name, reward in means.items() if reward == max(means.values())]


def separator_from(option: str | None) -> str | None:
    """The separator's character; a tab may be written as ``tab`` or ``\\t``."""
    character = "\t" if option in ("tab", "\\t") else option
    if character is not None and (len(character) != 1 or character in '"\r\n'):
        raise InputError(f"--separator {option!r} is not one character such as ; or tab")
    return character


def main(
    input: Annotated[Path, typer.Option(help="CSV (plain, gz, zip or 7z) or Parquet")],
    session: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the session or user")],
    item: Annotated[str, typer.Option(metavar="COLUMN", help="Column of the item")],
    time: Annotated[
        str, typer.Option(metavar="COLUMN", help="Column of the time: Unix s or ms, or ISO 8601")
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, e.g. dataset/NAME")],
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
    purchase: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="A purchase event; repeat it. Default: those of highest reward"
        ),
    ] = None,
    separator: Annotated[
        str | None, typer.Option(help="One character, or tab; found from the header if not given")
    ] = None,
    min_interactions: command.MinInteractionsOption = 1,
    min_item_interactions: command.MinItemInteractionsOption = 1,
    on_error: command.OnErrorOption = "stop",
    overwrite: command.OverwriteOption = False,
) -> None:
    """Convert any log with one row per event to RecBole atomic files."""
    with command.one_line_errors():
        summary = convert(
            input,
            output,
            Columns(session, item, time, event, reward_column),
            Rewards(rewards_from(reward or []), default_reward),
            purchases=purchase or [],
            separator=separator_from(separator),
            min_interactions=min_interactions,
            min_item_interactions=min_item_interactions,
            on_error=on_error,
            overwrite=overwrite,
        )
    command.report(summary, output)
    for name in summary.settings["rewards"]:
        if name not in summary.raw_events:
            held = ", ".join(summary.raw_events)
            typer.echo(
                f"note: --reward names {name!r}, and no event is; there are {held}", err=True
            )


if __name__ == "__main__":
    command.run(main)
