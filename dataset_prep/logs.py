"""A log in memory: what it counts, which rows are kept, and their order.

It is a polars frame with the columns ``row`` (place in the raw file or files), ``session``,
``item``, ``timestamp`` (Float64, Unix seconds), ``event``, and ``reward`` when it is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

CLICK, PURCHASE = "click", "purchase"
REWARDS = {CLICK: 0.2, PURCHASE: 1.0}  # paper, section 4.1
EVENTS = pl.Enum([CLICK, PURCHASE])


@dataclass(frozen=True)
class Counts:
    """One row of the paper's Table 2."""

    sequences: int
    items: int
    clicks: int
    purchases: int


def counts(log: pl.DataFrame, purchase: pl.Expr, click: pl.Expr) -> Counts:
    """The Table 2 row of a log; the two expressions say which rows are which."""
    row = log.lazy().select(
        sequences=pl.col("session").n_unique(),
        items=pl.col("item").n_unique(),
        clicks=click.sum(),
        purchases=purchase.sum(),
    )
    return Counts(**row.collect(engine="streaming").row(0, named=True))


def events(log: pl.DataFrame, column: str = "event") -> dict[str, int]:
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


def in_order(log: pl.DataFrame) -> pl.LazyFrame:
    """Sessions by first appearance in the raw log, each by time; equal times keep file order."""
    first = log.lazy().group_by("session").agg(first=pl.col("row").min())
    return log.lazy().join(first, on="session", how="left").sort("first", "timestamp", "row")


def binary_reward() -> pl.Expr:
    """The paper's rewards of a log whose events are clicks and purchases."""
    bought = pl.col("event") == PURCHASE
    return pl.when(bought).then(REWARDS[PURCHASE]).otherwise(REWARDS[CLICK]).alias("reward")
