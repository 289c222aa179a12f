"""Times as Unix seconds in Float64, from numbers, ticks and ISO 8601."""

from __future__ import annotations

import polars as pl

MILLISECONDS = 1e11  # as seconds this is the year 5138, as milliseconds 1973
NOT_A_TIME = 1e14  # as milliseconds the year 5138: these are micro- or nanoseconds


def seconds(text: pl.Expr) -> pl.Expr:
    """Unix seconds from text that holds seconds or milliseconds; null where it holds neither."""
    return number_seconds(text.str.strip_chars().cast(pl.Float64, strict=False))


def number_seconds(number: pl.Expr) -> pl.Expr:
    """Unix seconds from numbers: 1e11 and above are milliseconds, 1e14 and above are refused."""
    whole = number.cast(pl.Int64, strict=False)
    milliseconds = tick_seconds(whole, 1000, number - whole)
    value = pl.when(number.abs() >= MILLISECONDS).then(milliseconds).otherwise(number)
    return pl.when(number.abs() < NOT_A_TIME).then(value)  # NaN compares as greater: refused


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
    formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"]
    naive = [clean.str.to_datetime(f, strict=False, time_unit="us") for f in formats]
    zoned = clean.str.to_datetime("%Y-%m-%d %H:%M:%S%.f%#z", strict=False, time_unit="us")
    ticks = pl.coalesce(zoned.dt.epoch("us"), *(time.dt.epoch("us") for time in naive))
    return tick_seconds(ticks, 1_000_000)
