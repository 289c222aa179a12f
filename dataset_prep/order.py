"""The order of events within a session: newest-first files, ties, sessions by inactivity."""

from __future__ import annotations

import re

import polars as pl

from dataset_prep.sources import InputError
from dataset_prep.tokens import JOINT

MOSTLY = 9  # a file runs backwards where that many times more steps of its sessions do than not
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def oldest_first(log: pl.DataFrame, label: str) -> tuple[pl.DataFrame, list[str]]:
    """``log`` of one file with its rows numbered from the other end where it runs newest first.

    Else events of equal time would come out in the wrong order. With the line that says so.
    """
    if log["timestamp"].is_sorted():
        return log, []
    step = pl.col("timestamp").diff().over("session", order_by="row")
    counts = log.lazy().select(back=(step < 0).sum(), forth=(step > 0).sum()).collect()
    back, forth = counts.row(0)
    if back <= MOSTLY * forth or not log.select("session", "timestamp").is_duplicated().any():
        return log, []
    note = f"{label} runs newest first: events of equal time are taken from its end to its start"
    return log.with_columns(row=pl.col("row").max() - pl.col("row")), [note]


def gap_from(option: str | None) -> float | None:
    """Seconds from a length of time such as 30m: a number of s, m, h or d."""
    if option is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", option)
    if found is None or float(found[1]) == 0:
        raise InputError(f"--session_gap {option!r} is not a time such as 30m, 90s, 12h or 1d")
    return float(found[1]) * SECONDS[found[2]]


def by_inactivity(log: pl.DataFrame, gap: float) -> pl.DataFrame:
    """``log`` with each session cut where more than ``gap`` seconds pass without an event.

    The parts of ann are named ann~1, ann~2, ...
    """
    ordered = log.lazy().sort("session", "timestamp", "row")
    idle = pl.col("timestamp").diff().over("session") > gap
    part = idle.fill_null(False).cum_sum().over("session") + 1
    named = pl.concat_str("session", part.cast(pl.String), separator=JOINT)
    return ordered.with_columns(session=named).sort("row").collect()


def ties_and_repeats(rows: pl.DataFrame) -> tuple[int, int]:
    """Events that share their time with another of their session; rows that repeat another's.

    ``rows`` are whole sessions, each in the order of time: events of one moment are neighbours. A
    row repeats an earlier one in session, item, time and event.
    """
    again = _as_before(rows, "session", "timestamp")
    moments = rows.select("item", "event", moment=(~again).cum_sum())
    tied = moments.filter(again | again.shift(-1, fill_value=False))
    same = ["moment", "item", "event"]
    return len(tied), int(_as_before(tied.sort(same), *same).sum())  # hashing takes four times that


def _as_before(rows: pl.DataFrame, *columns: str) -> pl.Series:
    """Whether a row is as the row before in these columns."""
    equal = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in columns)
    return rows.select(equal.fill_null(False)).to_series()


def without_repeats(log: pl.DataFrame) -> pl.DataFrame:
    """``log`` without the rows that repeat an earlier one in session, item, time and event."""
    same = ["session", "item", "timestamp", "event"]
    return log.sort("row").unique(same, keep="first", maintain_order=True)
