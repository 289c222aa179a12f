"""Raw histories: the events of sessions so far, by the names that the log gave items and kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

SESSION, ITEM, EVENT, TIME = "session_id", "item_id", "event", "timestamp"
Event = str | int | tuple[Any, ...] | Mapping[str, Any]


@dataclass(frozen=True)
class RawHistories:
    """Events of S sessions so far, each session's from the oldest.

    Attributes:
        session_ids: what each session is called, [S].
        events: a row an event: ``session``, 0 … S − 1; ``item_id``, text; ``event``, text, and
            ``timestamp``, float64, where they are known.
    """

    session_ids: pl.Series
    events: pl.DataFrame

    def __len__(self) -> int:
        return len(self.session_ids)


def read_histories(given: Any, first_row: int = 0) -> RawHistories:
    """Read histories in any of their forms.

    Args:
        given: a list with a history for each session, from the oldest event, each of which is an
            item, or (item, event, timestamp), or a mapping with ``item_id``, ``event`` and
            ``timestamp``; a history may be empty. Or a table with a row an event and columns
            ``session_id``, ``item_id``, and where they are known ``event`` and ``timestamp``: of
            polars, pandas or Arrow. A table is sorted by time within each session, and its sessions
            come in the order in which they first appear.
        first_row: the number of a table's first row, where it is a part of a larger one.

    Raises:
        ValueError: it is none of these, or a row lacks its session, item or time.
    """
    if isinstance(given, RawHistories):
        return given
    frame = _frame(given)
    return _of_lists(given) if frame is None else _of_table(frame, first_row)


def _frame(given: Any) -> pl.DataFrame | None:
    """Return the table that is given; None where it is none."""
    if isinstance(given, pl.DataFrame):
        return given
    if isinstance(given, pl.LazyFrame):
        return given.collect()
    if hasattr(given, "__dataframe__") or hasattr(given, "__arrow_c_stream__"):
        if type(given).__module__.partition(".")[0] == "pandas":
            return pl.DataFrame({name: pl.Series(given[name].to_numpy()) for name in given})
        return pl.DataFrame(pl.from_arrow(given))
    return None


def _of_table(frame: pl.DataFrame, first_row: int) -> RawHistories:
    """Read a table with a row an event."""
    for name in (SESSION, ITEM):
        if name not in frame.columns:
            raise ValueError(
                f"a table of histories has a column {name}, this one has "
                f"{', '.join(frame.columns) or 'none'}: rename it"
            )
    wanted = [pl.col(SESSION).cast(pl.String), pl.col(ITEM).cast(pl.String)]
    wanted += [pl.col(EVENT).cast(pl.String)] if EVENT in frame.columns else []
    wanted += [pl.col(TIME).cast(pl.Float64)] if TIME in frame.columns else []
    frame = frame.select(wanted)
    for name in frame.columns:
        missing = frame[name].is_null() | (frame[name].is_nan() if name == TIME else False)
        if missing.any():
            row = first_row + int(missing.to_numpy().argmax())
            raise ValueError(
                f"row {row} of the table of histories has no {name}: give it one, or leave the row "
                "out"
            )
    ids = frame[SESSION].unique(maintain_order=True)
    numbered = pl.DataFrame({SESSION: ids, "session": pl.arange(0, len(ids), eager=True)})
    events = frame.join(numbered, on=SESSION, how="left", maintain_order="left")
    events = events.select("session", *(name for name in frame.columns if name != SESSION))
    by = ["session", TIME] if TIME in frame.columns else ["session"]
    return RawHistories(ids, events.sort(by, maintain_order=True))


def _of_lists(given: Any) -> RawHistories:
    """Read a list with a list of events for each session."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ValueError(
            f"histories are a list with a list of events for each session, or a table; got "
            f"{type(given).__name__}"
        )
    rows: list[tuple[Any, ...]] = []
    number = 0
    for number, history in enumerate(given, 1):
        if isinstance(history, (str, bytes)) or not isinstance(history, Iterable):
            raise ValueError(
                f"history {number - 1} is {history!r}, and must be a list of events: [[...]] is "
                "one session"
            )
        rows += [(number - 1, *_event(event, number - 1)) for event in history]
    session, item, event, time = zip(*rows, strict=True) if rows else ((), (), (), ())
    frame = pl.DataFrame(
        {"session": session, ITEM: item, EVENT: event, TIME: time},
        schema={"session": pl.Int64, ITEM: pl.String, EVENT: pl.String, TIME: pl.Float64},
    )
    unknown = [name for name in (EVENT, TIME) if frame[name].null_count() == len(frame) > 0]
    for name in set(unknown) ^ {EVENT, TIME}:
        if frame[name].null_count():
            where = frame.filter(pl.col(name).is_null())["session"][0]
            raise ValueError(
                f"history {where} has an event without {name}, and others have one: give it to "
                "every event, or to none"
            )
    ids = pl.Series(SESSION, [str(place) for place in range(number)], dtype=pl.String)
    return RawHistories(ids, frame.drop(unknown))


def _event(event: Any, number: int) -> tuple[str, str | None, float | None]:
    """Return item, kind and time of an event; the last two None where they are not said."""
    parts: Sequence[Any]
    if isinstance(event, Mapping):
        if ITEM not in event:
            raise ValueError(f"history {number} has an event without {ITEM}: {dict(event)!r}")
        parts = event[ITEM], event.get(EVENT), event.get(TIME)
    elif isinstance(event, (tuple, list)):
        parts = event
    else:
        parts = (event,)
    if not 1 <= len(parts) <= 3 or parts[0] is None:
        raise ValueError(
            f"history {number} has the event {event!r}: it must be an item, or (item, event, "
            "timestamp)"
        )
    item, kind, time = (*parts, None, None)[:3]
    return str(item), None if kind is None else str(kind), None if time is None else float(time)
