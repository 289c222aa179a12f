"""A log in memory: what it counts, which rows are kept, and their order.

It is a polars frame with the columns ``row`` (place in the raw file or files), ``session``,
``item``, ``timestamp`` (Unix seconds), ``event``, ``rating`` if it is a log of ratings,
``propensity`` if the log says how likely each item was to be shown, and
``reward`` when it is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

CLICK, PURCHASE = "click", "purchase"
REWARDS = {CLICK: 0.2, PURCHASE: 1.0}  # paper, section 4.1
EVENTS = pl.Enum([CLICK, PURCHASE])
BLOCK = 4_000_000  # rows that are sorted at once


@dataclass(frozen=True)
class Counts:
    """One row of the paper's Table 2."""

    sequences: int
    items: int
    clicks: int
    purchases: int


@dataclass(frozen=True)
class RatingCounts:
    """The same of a log of ratings; the liked ones are among the ratings."""

    sequences: int
    items: int
    ratings: int
    liked: int


def counts(log: pl.DataFrame, purchase: pl.Expr, click: pl.Expr) -> Counts:
    """The Table 2 row of a log; the two expressions say which rows are which."""
    row = log.lazy().select(
        sequences=pl.col("session").n_unique(),
        items=pl.col("item").n_unique(),
        clicks=click.sum(),
        purchases=purchase.sum(),
    )
    return Counts(**row.collect(engine="streaming").row(0, named=True))


def events(log: pl.DataFrame | pl.LazyFrame, column: str = "event") -> dict[str, int]:
    """Rows per event name, in the order of the names."""
    per_event = log.lazy().group_by(pl.col(column).cast(pl.String)).len().sort(column)
    return dict(per_event.collect(engine="streaming").iter_rows())


def lengths(log: pl.DataFrame) -> tuple[int, int]:
    """How many sequences have one event only, and how many events the longest has."""
    per_session = log.lazy().group_by("session").len()
    row = per_session.select(single=(pl.col("len") == 1).sum(), longest=pl.col("len").max())
    single, longest = row.collect(engine="streaming").row(0)
    return single, longest or 0


def at_least(
    log: pl.DataFrame, column: str, minimum: int, counted: pl.Expr | None = None
) -> pl.DataFrame:
    """The rows whose value in ``column`` occurs ``minimum`` times (among ``counted`` rows)."""
    if minimum <= 0:
        return log
    rows = log.lazy() if counted is None else log.lazy().filter(counted)
    often = rows.group_by(column).len().filter(pl.col("len") >= minimum)
    return log.lazy().join(often, on=column, how="semi").collect(engine="streaming")


def in_order(log: pl.DataFrame | pl.LazyFrame, minimum: int = 0) -> Iterator[pl.DataFrame]:
    """Sessions by their first row in the log, each by time; equal times keep file order.

    Comes as frames of whole sessions and about ``BLOCK`` rows: a hundred million rows are never
    sorted at once. Sessions with fewer than ``minimum`` rows are left out.
    """
    per_session = log.lazy().group_by("session").agg(first=pl.col("row").min(), size=pl.len())
    long = per_session.filter(pl.col("size") >= minimum).sort("first")
    block = pl.col("size").cast(pl.UInt64).cum_sum() // BLOCK
    sessions = long.select("session", "first", block=block).collect(engine="streaming")
    for chosen in sessions.partition_by("block", include_key=False):
        rows = log.lazy().join(chosen.lazy(), on="session").sort("first", "timestamp", "row")
        yield rows.drop("first").collect(engine="streaming")


def most_recent(log: pl.LazyFrame, minimum: int, maximum: int) -> pl.DataFrame:
    """The last ``maximum`` rows of each session that has ``minimum``; 0 keeps them all.

    Of rows at one time the later in the file are the more recent.
    """
    blocks = in_order(log, minimum)
    if maximum > 0:
        blocks = (rows.group_by("session", maintain_order=True).tail(maximum) for rows in blocks)
    kept = list(blocks)
    return pl.concat(kept) if kept else log.head(0).collect()


def binary_reward() -> pl.Expr:
    """The paper's rewards of a log whose events are clicks and purchases."""
    bought = pl.col("event") == PURCHASE
    return pl.when(bought).then(REWARDS[PURCHASE]).otherwise(REWARDS[CLICK]).alias("reward")
