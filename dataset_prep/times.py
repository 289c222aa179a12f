"""Times as Unix seconds in Float64, from numbers, dates and clocks; one unit per file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Literal

import polars as pl

from dataset_prep.sources import InputError

Unit = Literal["s", "ms", "us", "ns", "date"]

FROM, UNTIL = 1990, 2100  # years of a plausible log: its unit of time is the one that gives these
EARLIEST, LATEST = (
    datetime(year, 1, 1, tzinfo=timezone.utc).timestamp() for year in (FROM, UNTIL)
)  # fmt: skip
FARTHEST = 1e11  # seconds, the year 5138: where the user states the unit
PER_SECOND: Mapping[str, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
YEARS = f"from {FROM} to {UNTIL}"
UNITS: Mapping[str, str] = {
    "s": "Unix seconds", "ms": "Unix milliseconds", "us": "Unix microseconds",
    "ns": "Unix nanoseconds", "date": "dates such as 20260105 or 202601051230",
}  # fmt: skip
DAY = 86_400
ISO = r"^\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d(\.\d+)?( ?[+-]\d\d(:?\d\d)?)?)?)?$"
COMPACT = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}  # by digits


def plausible(seconds: pl.Expr) -> pl.Expr:
    """True for Unix seconds from 1990 to 2100; false for null."""
    return seconds.is_between(EARLIEST, LATEST, closed="left").fill_null(False)


def parsed(text: pl.Expr) -> dict[str, pl.Expr]:
    """What text may be as a time: ``whole`` and ``number`` in some unit, ``dated`` in seconds."""
    text = text.str.strip_chars()
    number = text.cast(pl.Float64, strict=False)
    return {
        "whole": text.cast(pl.Int64, strict=False),
        "number": pl.when(number.is_finite()).then(number),
        "dated": iso_seconds(text),
    }


def votes(times: pl.DataFrame) -> dict[str, int]:
    """How many of the numbers each unit puts into plausible years."""
    number = pl.col("number")
    counts = {unit: plausible(number / ticks).sum() for unit, ticks in PER_SECOND.items()}
    found = times.lazy().select(
        **counts, may_be_date=pl.any_horizontal(map(_has_digits, COMPACT)).sum()
    )
    row = found.collect(engine="streaming").row(0, named=True)
    if row.pop("may_be_date"):
        row["date"] = times.lazy().select(plausible(compact_seconds()).sum()).collect().item()
    return row


def in_unit(unit: str) -> pl.Expr:
    """Unix seconds from the columns that ``parsed`` names; numbers are in ``unit``."""
    whole, number = pl.col("whole"), pl.col("number")
    if unit == "date":
        return pl.coalesce(compact_seconds(), pl.col("dated"))
    ticks = pl.coalesce(whole, number.cast(pl.Int64, strict=False))
    rest = pl.when(whole.is_null()).then(number - ticks).otherwise(0.0)
    return pl.coalesce(tick_seconds(ticks, PER_SECOND[unit], rest), pl.col("dated"))


def deciding(times: pl.DataFrame, asked: Unit | None, label: str) -> tuple[pl.Expr, str]:
    """Unix seconds from what ``parsed`` gave of one file, and what a time without any is not.

    The unit is the one ``asked`` for, in which any year will do, or that in which most of the
    file's numbers lie in plausible years; others are then no times, and are null. Raises InputError
    where there is no such unit, or there are two.
    """
    if asked is not None:
        seconds = in_unit(asked)
        return pl.when(seconds.abs() < FARTHEST).then(
            seconds
        ), f"neither ISO 8601 nor {UNITS[asked]}"
    numbers, dates = times["number"].count(), times["dated"].count()
    most = [unit for unit, count in votes(times).items() if 2 * count > numbers] if numbers else []
    if len(most) > 1 or (not most and numbers > dates):
        example = times["number"].drop_nulls()[0]
        found = " and ".join(UNITS[unit] for unit in most) or f"in no unit times {YEARS}"
        raise InputError(
            f"{label}: numbers such as {example:.15g} are {found}: say what they are by "
            f"--time_unit={', '.join(UNITS)}"
        )
    seconds = in_unit(most[0]) if most else pl.col("dated")
    what = f"neither ISO 8601 nor {UNITS[most[0]]}" if most else "not ISO 8601"
    return pl.when(plausible(seconds)).then(seconds), f"{what} {YEARS} (--time_unit says otherwise)"


def _has_digits(digits: int) -> pl.Expr:
    scale = 10 ** (digits - 4)
    return pl.col("whole").is_between(FROM * scale, UNTIL * scale).fill_null(False)


def compact_seconds() -> pl.Expr:
    """Unix seconds of ``whole`` numbers that are dates in ISO 8601's basic form; null elsewhere."""
    text = pl.col("whole").cast(pl.String)
    padded = text.str.pad_end(14, "0")  # a clock that is cut short stands at its beginning
    time = padded.str.to_datetime("%Y%m%d%H%M%S", strict=False, time_unit="us")
    is_date = pl.any_horizontal(text.str.len_bytes() == digits for digits in COMPACT)
    return pl.when(is_date).then(tick_seconds(time.dt.epoch("us"), 1_000_000))


def clock_seconds(text: pl.Expr, unit: str | None) -> pl.Expr:
    """Seconds since midnight from 14:05, 14:05:59.5, or a number in ``unit``; null elsewhere."""
    text = text.str.strip_chars()
    formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M"]
    day = pl.lit("1970-01-01 ") + text
    clocks = [day.str.to_datetime(f, strict=False, time_unit="us").dt.epoch("us") for f in formats]
    clock = tick_seconds(pl.coalesce(clocks), 1_000_000)
    if unit is not None and unit in PER_SECOND:
        ticks = text.cast(pl.Int64, strict=False)
        clock = pl.coalesce(clock, tick_seconds(ticks, PER_SECOND[unit]))
    return pl.when(clock.is_between(0, DAY)).then(clock)


def tick_seconds(ticks: pl.Expr, per_second: int, rest: pl.Expr | None = None) -> pl.Expr:
    """Whole ticks (and the rest of one) as the Float64 that is nearest in seconds.

    polars divides by a constant by multiplying with its inverse, which is not the nearest: here
    that only touches the fraction, whose error is then far below the last digit.
    """
    fraction = ticks % per_second if rest is None else ticks % per_second + rest
    return ticks // per_second + fraction / per_second


def iso_seconds(text: pl.Expr) -> pl.Expr:
    """Unix seconds from ISO 8601 dates and times, UTC where no offset is given; null elsewhere."""
    clean = text.str.strip_chars().str.replace(" ?UTC$|Z$", "+00:00")
    clean = clean.str.replace("T", " ", literal=True)
    clean = pl.when(clean.str.contains(ISO)).then(clean)  # polars takes 12:7 for a time, too
    formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"]
    naive = [clean.str.to_datetime(f, strict=False, time_unit="us") for f in formats]
    zoned = clean.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us")
    ticks = pl.coalesce(zoned.dt.epoch("us"), *(time.dt.epoch("us") for time in naive))
    return tick_seconds(ticks, 1_000_000)
