"""A log with a row per event, as delimited text or Parquet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from dataset_prep import headers, order, rows, sources, times, tokens
from dataset_prep.headers import Format
from dataset_prep.logs import CLICK
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError, Source

NUMBERS = ("time", "reward", "time_of_day", "propensity")  # no names: 2.0 is not 2
ROW = "\x01row"  # of a Parquet file: no column of the user's has this name
NO_PROPENSITY = "the propensity is not a number above 0 and at most 1"
LARGEST = 3.4e38  # of a float32, which is what a reward becomes


@dataclass(frozen=True)
class Columns:
    """What the log calls its columns; None for one it does not have.

    Several columns of ``session`` name a session together, in their order.
    """

    session: str | Sequence[str]
    item: str
    time: str
    event: str | None = None
    reward: str | None = None
    time_of_day: str | None = None
    propensity: str | None = None

    @property
    def sessions(self) -> dict[str, str]:
        """{our name: the log's}, of the columns that name a session."""
        names = [self.session] if isinstance(self.session, str) else self.session
        return {f"session_{n}" if n else "session": name for n, name in enumerate(names)}

    def named(self) -> dict[str, str]:
        """{our name: the log's}, of the columns that there are."""
        given = {**self.sessions, **{k: v for k, v in vars(self).items() if k != "session"}}
        return {ours: theirs for ours, theirs in given.items() if theirs is not None}


@dataclass(frozen=True)
class Rewards:
    """Reward by event name; ``default`` for other events, None where these are an error."""

    by_event: Mapping[str, float]
    default: float | None = None

    def __post_init__(self) -> None:
        for name, value in {**self.by_event, "--default_reward": self.default or 0.0}.items():
            if not math.isfinite(value) or abs(value) > LARGEST:
                raise InputError(f"the reward of {name} is {value}: pass a finite number")

    def of(self, event: pl.Expr) -> pl.Expr:
        """The reward of each event, null where it has none."""
        names, values = list(self.by_event), list(self.by_event.values())
        if not names:
            return pl.lit(self.default, pl.Float64)
        return event.replace_strict(names, values, default=self.default, return_dtype=pl.Float64)


@dataclass(frozen=True)
class Reading:
    """What came of a file: its events, how many rows were bad and why, and what was made of it."""

    log: pl.DataFrame
    bad_rows: Mapping[str, int]
    notes: Sequence[str] = field(default_factory=list)


def check(columns: Columns, rewards: Rewards) -> Rewards:
    """The rewards to use; 1.0 for all events of a log that has neither events nor rewards."""
    apart = [*columns.sessions.values(), columns.item, columns.time]
    if columns.time_of_day is not None:
        apart.append(columns.time_of_day)
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
    format: Format,
    on_error: OnError,
    scratch: Path,
) -> Reading:
    """The log with its rewards; one unit of time and one order of rows for the whole file."""
    if source.parquet:
        table, notes = read_parquet(source, columns, format)
    else:
        table, notes = read_text(source, columns, format, scratch), []
    called = {**dict.fromkeys(columns.sessions, "session"), "item": "item", "event": "event"}
    called = {ours: what for ours, what in called.items() if f"{ours}_text" in table.columns}
    for ours, what in called.items():
        table, said = tokens.without_spaces(table, f"{ours}_text", what, source.label)
        notes += said
        notes += tokens.decimals(table, f"{ours}_text", what, source.label)
    seconds, no_time = _times(table, columns, format, source)
    reward, no_reward = _reward(columns, rewards)
    propensity = {"propensity": probability("propensity_text")} if columns.propensity else {}
    parts = [pl.col(f"{ours}_text") for ours in columns.sessions]
    values = {
        "session": tokens.joined(parts),
        "item": pl.col("item_text"),
        "timestamp": seconds,
        "event": pl.col("event_text") if columns.event else pl.lit(CLICK),
        **propensity,
    }
    problems = {
        f"{rows.STRAY} (--quote=none reads quotes as letters)": pl.col("stray"),
        "another number of fields than the header": pl.col("torn"),
        "the session is missing": pl.any_horizontal(map(tokens.is_missing, parts)),
        "the item is missing": tokens.is_missing(pl.col("item")),
        "the event is missing": tokens.is_missing(pl.col("event")),
        **tokens.problems([pl.col(name) for name in ("session", "item", "event")]),
        f"the time is {no_time}": pl.col("timestamp").is_null(),
        **({NO_PROPENSITY: pl.col("propensity").is_null()} if propensity else {}),
        no_reward: ~(pl.col("reward").abs() <= LARGEST).fill_null(False),
    }
    if len(parts) > 1:
        joint = [part.str.contains(tokens.JOINT, literal=True) for part in parts]
        problems[f"a {tokens.JOINT} in the session, whose columns it joins"] = pl.any_horizontal(
            joint
        )
    valued = table.lazy().with_columns(**values).with_columns(reward=reward)
    kept = {name: pl.col(name) for name in (*values, "reward")}
    log, bad_rows = rows.sound(valued, kept, problems, source, on_error)
    log, said = order.oldest_first(log, source.label)
    return Reading(log, bad_rows, notes + said)


def probability(column: str) -> pl.Expr:
    """The probability that a column of text holds, in (0, 1] also as a float32; else null."""
    value = pl.col(column).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when((value.cast(pl.Float32) > 0) & (value <= 1)).then(value)


def _reward(columns: Columns, rewards: Rewards) -> tuple[pl.Expr, str]:
    """The reward of each row, and what is said where it has none."""
    if columns.reward is None:
        return rewards.of(pl.col("event")), "the event has no --reward NAME=VALUE"
    number = pl.col("reward_text").str.strip_chars().cast(pl.Float64, strict=False)
    return number, f"the reward is not a finite number, {-LARGEST:g} to {LARGEST:g}"


def _times(
    table: pl.DataFrame, columns: Columns, format: Format, source: Source
) -> tuple[pl.Expr, str]:
    """Unix seconds, null where there are none, and what the time then is not."""
    if columns.time_of_day is None:
        return times.deciding(table, format.time_unit, source.label)
    day = times.in_unit("date")
    seconds = pl.when(times.plausible(day) & (day % times.DAY == 0)).then(day + pl.col("clock"))
    return seconds, "not a date and a time of day like 14:05:59 or a number in --time_unit"


def read_text(source: Source, columns: Columns, format: Format, scratch: Path) -> pl.DataFrame:
    """Rows of a delimited file as text, times as ``times.parsed`` has them."""
    named = columns.named()
    layout = headers.layout(source, list(named.values()), format)
    places = rows.columns(source, layout.names, named)
    places = {f"{ours}_text": place for ours, place in places.items()}
    if format.quotes:
        source = rows.one_line_each(source, layout.separator, len(layout.names), scratch)
    raw = rows.split(source, layout.separator, len(layout.names), places, format.quotes)
    raw = raw.filter(pl.col("row") >= layout.first).with_columns(
        **times.parsed(pl.col("time_text"))
    )
    if columns.time_of_day is not None:
        clock = times.clock_seconds(pl.col("time_of_day_text"), format.time_unit)
        raw = raw.with_columns(clock=clock).drop("time_of_day_text")
    table = rows.collect(raw.drop("time_text"), source)
    if not format.names:
        headers.check_header(source, layout, table, named)
    return table


def read_parquet(
    source: Source, columns: Columns, format: Format
) -> tuple[pl.DataFrame, list[str]]:
    """Rows of a Parquet file in the same form; times may be of a temporal type as well."""
    if format.names:
        raise InputError(f"{source.label} is Parquet, which names its columns: leave --columns out")
    notes: list[str] = []
    with sources.reading(source.label):
        raw = pl.scan_parquet(source.rows, glob=False, row_index_name=ROW)
        schema = raw.collect_schema()
    named = columns.named()
    rows.columns(source, [name for name in schema if name != ROW], named)
    texts = {}
    for ours, theirs in named.items():
        kind = schema[theirs]
        if kind.is_nested() or kind in (pl.Binary, pl.Object):
            raise InputError(f"{source.label}: column {theirs!r} holds no plain values: cast it")
        value = pl.col(theirs)
        if (kind.is_float() or kind.is_decimal()) and ours not in NUMBERS:
            value, note = tokens.whole_floats(raw, theirs, source.label)
            notes.append(note)
        texts[ours] = value.cast(pl.String)
    time, kind = pl.col(columns.time), schema[columns.time]
    if kind in (pl.Date, pl.Datetime):
        seconds = times.tick_seconds(time.cast(pl.Datetime("us")).dt.epoch("us"), 1_000_000)
        parsed = {"whole": pl.lit(None, pl.Int64), "number": pl.lit(None, pl.Float64)}
        parsed["dated"] = seconds
    else:
        parsed = times.parsed(texts["time"])
    if columns.time_of_day is not None:
        parsed["clock"] = times.clock_seconds(texts["time_of_day"], format.time_unit)
    given = {f"{o}_text": text for o, text in texts.items() if o not in ("time", "time_of_day")}
    no = pl.lit(False)
    return rows.collect(
        raw.select(pl.col(ROW).alias("row"), **given, **parsed, torn=no, stray=no), source
    ), notes
