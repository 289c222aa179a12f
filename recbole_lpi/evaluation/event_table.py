"""The event table, its Parquet file, and how shares of it are joined.

It has a row for each held-out event; every metric is a reduction of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from recbole_lpi.files import replacing

NO_ITEM = pl.Series([None], dtype=pl.String)
OF_ITEMS = ("item_id", "greedy_item", "previous_item")  # columns of ids that files hold as tokens
OF_LOGGING_POLICY = ("log_mu", "js", "kl")  # columns that are NaN without one


class Texts(Protocol):
    """Tokens of the data by their ids."""

    def tolist(self) -> list[str]:
        """All tokens, in the order of their ids."""


@dataclass(frozen=True)
class EventTable:
    """Held-out events in the order of the flat store; each column [N] unless said.

    Attributes:
        session: dense id of the session; position: of the event in it, from 0.
        item_id, greedy_item: logged item and argmax π, as RecBole's ids 1 … A.
        event: kind, as text. reward: of the logged item.
        rank: of the logged item among all, from 1; ties get the mean of best and worst.
        log_pi, log_mu: natural logarithms for the logged item.
        js, kl: divergence of π from μ̂ in nats. These and log_mu are NaN without a logging policy.
        greedy_log_pi: log π of the greedy item; None in files of earlier versions.
        js_stderr, kl_stderr: of having estimated them on candidates; None where they are exact.
            Then log_mu, which takes the whole catalogue, is NaN.
        imputed_reward: r̂ of the first K choices [N, K]; None where no reward was imputed.
        seen: whether the session has had the item before, bool; previous_item: id of the event
            before, 0 where there is none. None in files of earlier versions.
        trained: whether any event of the training part is of the item, bool; None where it is not
            known which part that was.
        log_propensity: log μ(a | x) of the logged item, as the log has it; None where it does not.
    """

    session: np.ndarray
    position: np.ndarray
    item_id: np.ndarray
    event: np.ndarray
    reward: np.ndarray
    rank: np.ndarray
    greedy_item: np.ndarray
    log_pi: np.ndarray
    log_mu: np.ndarray
    js: np.ndarray
    kl: np.ndarray
    imputed_reward: np.ndarray | None = None
    js_stderr: np.ndarray | None = None
    kl_stderr: np.ndarray | None = None
    greedy_log_pi: np.ndarray | None = None
    seen: np.ndarray | None = None
    previous_item: np.ndarray | None = None
    trained: np.ndarray | None = None
    log_propensity: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rank)

    def has(self, column: str) -> bool:
        """Whether a column was measured: it is there, and not NaN for want of a logging policy."""
        values = getattr(self, column)
        if column in OF_LOGGING_POLICY:
            return bool(len(self)) and not np.isnan(values[0])
        return values is not None

    @property
    def has_logging_policy(self) -> bool:
        """Whether divergences from a logging policy were measured."""
        return self.has("js")

    def write(self, path: Path, session_tokens: Texts, item_tokens: Texts) -> None:
        """Write the table as Parquet, ids as the tokens of the data; the file is never half."""
        columns: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, tokens in (
            ("session", session_tokens), ("item_id", item_tokens), ("greedy_item", item_tokens),
            ("previous_item", item_tokens),
        ):  # fmt: skip
            if columns[name] is not None:
                columns[name] = pl.Series(tokens.tolist(), dtype=pl.String).gather(columns[name])
        columns["event"] = pl.Series(self.event.tolist(), dtype=pl.String)
        columns = {name: column for name, column in columns.items() if column is not None}
        if self.previous_item is not None:  # there is none before the first, and that is no item
            before = pl.Series(self.previous_item > 0)
            columns["previous_item"] = columns["previous_item"].zip_with(before, NO_ITEM)
        frame = pl.DataFrame({"session_id": columns.pop("session"), **columns})
        frame = frame.with_columns(pl.col("log_mu", "js", "kl").fill_nan(None))
        with replacing(path) as scratch:
            frame.write_parquet(scratch)


def read_events(path: Path) -> EventTable:
    """Read an event table from its file; sessions and items get dense ids by their tokens."""
    frame = pl.read_parquet(path)
    of_items = [name for name in OF_ITEMS if name in frame.columns]
    tokens = pl.concat([frame[name] for name in of_items])
    items = tokens.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    columns: dict[str, Any] = {
        "session": frame["session_id"].rank("dense").to_numpy().astype(np.int64) - 1,
        **dict(zip(of_items, np.split(items, len(of_items)), strict=True)),
        "event": frame["event"].to_numpy(),
    }
    for name in (field.name for field in fields(EventTable)):
        if name in frame.columns and name not in columns:
            column = frame[name]
            columns[name] = (
                column.fill_null(float("nan")) if column.dtype.is_float() else column
            ).to_numpy()
    return EventTable(**columns)


def joined(tables: Sequence[EventTable]) -> EventTable:
    """Join tables, each of which has some of the events of one part, into one of them all."""
    columns: dict[str, Any] = {}
    for name in (field.name for field in fields(EventTable)):
        if getattr(tables[0], name) is not None:
            columns[name] = np.concatenate([getattr(table, name) for table in tables])
    order = np.lexsort((columns["position"], columns["session"]))
    return EventTable(**{name: column[order] for name, column in columns.items()})
