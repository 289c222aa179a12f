"""A log with a header and one row per event, as delimited text or Parquet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from dataset_prep import rows, times
from dataset_prep.logs import CLICK
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError, Source

ROW = "\x01row"  # of a Parquet file: no column of the user's has this name
SEPARATORS = [",", "\t", ";", "|"]


@dataclass(frozen=True)
class Columns:
    """What the log calls its columns; None for one it does not have."""

    session: str
    item: str
    time: str
    event: str | None = None
    reward: str | None = None

    def named(self) -> dict[str, str]:
        """{our name: the log's}, of the columns that there are."""
        return {ours: theirs for ours, theirs in vars(self).items() if theirs is not None}


@dataclass(frozen=True)
class Rewards:
    """Reward by event name; ``default`` for other events, None where these are an error."""

    by_event: Mapping[str, float]
    default: float | None = None

    def __post_init__(self) -> None:
        for name, value in {**self.by_event, "--default_reward": self.default or 0.0}.items():
            if not math.isfinite(value):
                raise InputError(f"the reward of {name} is {value}: pass a finite number")

    def of(self, event: pl.Expr) -> pl.Expr:
        """The reward of each event, null where it has none."""
        names, values = list(self.by_event), list(self.by_event.values())
        if not names:
            return pl.lit(self.default, pl.Float64)
        return event.replace_strict(names, values, default=self.default, return_dtype=pl.Float64)


def check(columns: Columns, rewards: Rewards) -> Rewards:
    """The rewards to use; 1.0 for all events of a log that has neither events nor rewards."""
    apart = [columns.session, columns.item, columns.time]
    if len(set(apart)) < len(apart):
        raise InputError(f"--session, --item and --time name one column twice: {', '.join(apart)}")
    given = bool(rewards.by_event) or rewards.default is not None
    if columns.reward is not None and given:
        raise InputError("rewards are given twice: pass either --reward_column or the values")
    if columns.event is None and rewards.by_event:
        raise InputError("rewards by event need the event's column: pass --event COLUMN")
    if columns.event is not None and columns.reward is None and not given:
        raise InputError("no event has a reward: pass --reward NAME=VALUE or --reward_column")
    return rewards if given or columns.reward is not None else Rewards({}, 1.0)


def read(
    source: Source,
    columns: Columns,
    rewards: Rewards,
    separator: str | None,
    on_error: OnError,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The log with its rewards, and how many rows were bad for which reason."""
    raw = read_parquet(source, columns) if source.parquet else read_text(source, columns, separator)
    if columns.event is None:
        raw = raw.with_columns(event_text=pl.lit(CLICK))
    if columns.reward is None:
        reward, no_reward = rewards.of(pl.col("event_text")), "the event has no --reward NAME=VALUE"
    else:
        no_reward = "the reward is not a finite number"
        reward = pl.col("reward_text").str.strip_chars().cast(pl.Float64, strict=False)
    values = {
        "session": pl.col("session_text"),
        "item": pl.col("item_text"),
        "timestamp": pl.col("seconds"),
        "event": pl.col("event_text"),
        "reward": reward,
    }
    names = [pl.col(name) for name in ("session", "item", "event")]
    problems = {
        "another number of fields than the header, or an open quote": pl.col("torn"),
        "the session is missing": rows.is_missing(names[0]),
        "the item is missing": rows.is_missing(names[1]),
        "the event is missing": rows.is_missing(names[2]),
        "a tab or double quote in a name": pl.any_horizontal(map(rows.is_unwritable, names)),
        "the time is neither Unix seconds, milliseconds nor ISO 8601": pl.col(
            "timestamp"
        ).is_null(),
        no_reward: ~pl.col("reward").is_finite().fill_null(False),
    }
    return rows.sound(raw, values, problems, source, on_error)


def read_text(source: Source, columns: Columns, separator: str | None) -> pl.LazyFrame:
    """Rows of a delimited file as text, times as ``seconds``."""
    separator = separator or detect(source, columns)
    names = rows.header(source, separator)
    places = rows.columns(source, names, columns.named())
    places = {f"{ours}_text": place for ours, place in places.items()}
    raw = rows.split(source, separator, len(names), places).filter(pl.col("row") > 0)
    time = pl.col("time_text")
    return raw.with_columns(seconds=pl.coalesce(times.seconds(time), times.iso_seconds(time)))


def detect(source: Source, columns: Columns) -> str:
    """The separator under which the header holds the wanted columns, the likeliest if none."""
    wanted = set(columns.named().values())

    def found(separator: str) -> tuple[int, int]:
        names = rows.header(source, separator)
        return len(wanted.intersection(names)), len(names)

    return max(SEPARATORS, key=found)


def read_parquet(source: Source, columns: Columns) -> pl.LazyFrame:
    """Rows of a Parquet file in the same form; times may be of a temporal type as well."""
    try:
        raw = pl.scan_parquet(source.rows, glob=False, row_index_name=ROW)
        schema = raw.collect_schema()
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{source.label} is not sound Parquet: export it again") from error
    names = [name for name in schema if name != ROW]
    rows.columns(source, names, columns.named())
    for theirs in columns.named().values():
        if schema[theirs].is_nested() or schema[theirs] in (pl.Binary, pl.Object):
            raise InputError(f"{source.label}: column {theirs!r} holds no plain values: cast it")
    time, kind = pl.col(columns.time), schema[columns.time]
    if kind in (pl.Date, pl.Datetime):
        seconds = times.tick_seconds(time.cast(pl.Datetime("us")).dt.epoch("us"), 1_000_000)
    elif kind.is_numeric():
        seconds = times.number_seconds(time.cast(pl.Float64))
    else:
        text = time.cast(pl.String)
        seconds = pl.coalesce(times.seconds(text), times.iso_seconds(text))
    texts = {f"{ours}_text": pl.col(theirs) for ours, theirs in columns.named().items()}
    return raw.select(
        pl.col(ROW).alias("row"),
        *(column.cast(pl.String).alias(name) for name, column in texts.items()),
        seconds=seconds,
        torn=pl.lit(False),
    )
