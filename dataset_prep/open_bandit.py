"""Open Bandit Dataset (ZOZO): impressions with the probability of each, clicked or not.

It has no sessions and no users, but four hashed features of the user at each impression. So either
every impression is a session of its own, as in a bandit without memory; or the impressions of all
users alike in the four features are one, and its past is that of a segment, not of a person.
"""

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

from dataset_prep import atomic, command, logs, rows, sources, times, tokens
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError, Source
from dataset_prep.tables import NO_PROPENSITY, probability

SessionsOf = Literal["impressions", "features"]
FEATURES = [f"user_feature_{number}" for number in range(4)]
COLUMNS = {
    "item": "item_id", "time": "timestamp", "position": "position", "click": "click",
    "propensity": "propensity_score", **{name: name for name in FEATURES},
}  # fmt: skip
POSITIONS = (1, 2, 3)  # of the banner: an impression is of one of its slots
IGNORED = "ignored"  # an impression that was not clicked
EVENTS = pl.Enum([IGNORED, logs.CLICK])
REWARDS = {IGNORED: 0.0, logs.CLICK: 1.0}


def convert(
    log: Path,
    output: Path,
    *,
    sessions: SessionsOf = "impressions",
    position: int | None = None,
    on_error: OnError = "stop",
    overwrite: bool = False,
) -> atomic.Summary:
    """Write the data set ``output`` from the log of one campaign under one behaviour policy.

    An impression is ``click``, of reward 1, or ``ignored``, of reward 0. Its propensity is the
    probability of the item at its position; ``position`` keeps one of them. Raises InputError for
    what the user can cure.
    """
    if sessions not in ("impressions", "features"):
        raise InputError(f"sessions is {sessions!r}: pass impressions or features")
    if position is not None and position not in POSITIONS:
        raise InputError(f"position is {position}: pass one of {', '.join(map(str, POSITIONS))}")
    with atomic.staged(output, overwrite) as folder:
        source = sources.unpack(log, None, folder.parent)
        everything, bad_rows = read(source, sessions, on_error, folder.parent)
        at = pl.lit(True) if position is None else pl.col("position") == position
        kept = everything.filter(at)
        single, longest = logs.lengths(kept)
        none, click = pl.col("event").is_in([]), pl.col("event") == logs.CLICK
        alone = sessions == "impressions"
        summary = atomic.Summary(
            converter="open_bandit",
            raw=logs.counts(everything, none, click),
            kept=logs.counts(kept, none, click),
            raw_events=logs.events(everything),
            dropped={"events_of_other_positions": len(everything) - len(kept)},
            bad_rows=bad_rows,
            single_event_sequences=single,
            longest_sequence=longest,
            settings={
                "sessions": sessions, "position": position, "on_error": on_error,
                "rewards": REWARDS,
            },
            inputs=(source,),
            purchase_events=(),
            notes=[f"sessions: {'each impression by itself' if alone else 'of user features'}"],
            data_settings={"evaluate_first_event": True} if alone else {},
        )  # fmt: skip
        reward = pl.col("event").cast(pl.String).replace_strict(REWARDS, return_dtype=pl.Float64)
        return atomic.write(kept, reward, summary, folder)


def read(
    source: Source, sessions: SessionsOf, on_error: OnError, scratch: Path
) -> tuple[pl.DataFrame, dict[str, int]]:
    """All rows of the log, and how many were bad and why."""
    names = rows.header(source, ",")
    places = rows.columns(source, names, COLUMNS)
    places = {f"{ours}_text": place for ours, place in places.items()}
    lines = rows.one_line_each(source, ",", len(names), scratch)
    raw = rows.split(lines, ",", len(names), places).filter(pl.col("row") > 0)
    features = [pl.col(f"{name}_text") for name in FEATURES]
    row = pl.col("row").cast(pl.String)
    values = {
        "session": row if sessions == "impressions" else tokens.joined(features),
        "item": pl.col("item_text").cast(pl.Int64, strict=False),
        "timestamp": times.iso_seconds(pl.col("time_text")),
        "position": pl.col("position_text").cast(pl.Int64, strict=False),
        "event": pl.col("click_text").replace_strict(["0", "1"], EVENTS.categories, default=None),
        "propensity": probability("propensity_text"),
    }
    problems = {
        rows.STRAY: pl.col("stray"),
        f"not {len(names)} fields": pl.col("torn"),
        "the item is not a whole number": pl.col("item").is_null(),
        f"the timestamp is not ISO 8601 {times.YEARS}": ~times.plausible(pl.col("timestamp")),
        "the position is not 1, 2 or 3": ~pl.col("position").is_in(POSITIONS).fill_null(False),
        "click is not 0 or 1": pl.col("event").is_null(),
        NO_PROPENSITY: pl.col("propensity").is_null(),
    }
    if sessions == "features":
        problems["a user feature is missing"] = pl.any_horizontal(map(tokens.is_missing, features))
        problems |= tokens.problems([pl.col("session")])
    return rows.sound(raw, values, problems, source, on_error)


def main(
    log: Annotated[
        Path,
        typer.Option(help="POLICY/CAMPAIGN/CAMPAIGN.csv, such as random/all/all.csv: plain or gz"),
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, e.g. dataset/obd-random-all")],
    sessions: Annotated[
        SessionsOf,
        typer.Option(
            help="impressions: each is a session of its own, since the log names no user; "
            "features: all users alike in their four features are one session"
        ),
    ] = "impressions",
    position: Annotated[
        int | None, typer.Option(min=1, max=3, help="Keep the impressions of this slot alone")
    ] = None,
    on_error: command.OnErrorOption = "stop",
    overwrite: command.OverwriteOption = False,
) -> None:
    """Convert a log of the Open Bandit Dataset, with its propensities, to RecBole atomic files."""
    with command.one_line_errors():
        summary = convert(
            log,
            output,
            sessions=sessions,
            position=position,
            on_error=on_error,
            overwrite=overwrite,
        )
    command.report(summary, output)


if __name__ == "__main__":
    command.run(main)
