"""Logged events from any Parquet table with a row for each, and what is wrong with it in a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recbole_lpi.evaluation.off_policy.logged_events import OF_MODELS, ColumnError, LoggedEvents
from recbole_lpi.settings import SettingError, refused, suggest

MUST = ("session_id", "position", "reward", "log_pi", "log_mu")
NUMBERS = (
    "reward", "log_pi", "log_mu", *OF_MODELS, "log_pi_cluster", "log_mu_cluster", "unsupported",
    "log_propensity", "greedy_log_mu",
)  # fmt: skip
ITEMS = ("item_id", "greedy_item")
FILE_NAMES = {"session": "session_id", "greedy_is_logged": "greedy_item"}  # of columns there
LOGGED = "log_propensity"
OF_ESTIMATE = "js"  # an event table of a run has it, whose log_mu is that of an estimate
ON_CANDIDATES = "js_stderr"  # an event table has it where divergences are of drawn candidates


def read_logged_events(path: Path, values: Path | None = None, logged: bool = True) -> LoggedEvents:
    """Read the events of a Parquet file, columns as ``LoggedEvents`` names them.

    Args:
        path: the file.
        values: a file with more columns of the same events in the same order; None: none.
        logged: take ``log_propensity`` for log μ, in the place of ``log_mu``, where it is there.

    ``session_id``, of numbers or text, takes the place of ``session``. ``q``, ``v_pi`` and further
    columns are read where they are there, and the first choices of π from ``item_id`` and
    ``greedy_item``; other columns are left alone. Raises SettingError that names file, column, row
    (the first is 1) and the cure.
    """
    if path.is_dir():
        raise SettingError(f"{path} is a folder: give the Parquet file of the events")
    if not path.is_file():
        raise SettingError(f"{path} does not exist: give the Parquet file of the events")
    with refused(f"{path} cannot be read as Parquet: write the table as a Parquet file"):
        there = pl.read_parquet_schema(path)
    _check_columns(path, list(there))
    wanted = [name for name in (*MUST, *NUMBERS[3:], *ITEMS) if name in there]
    with refused(f"{path} cannot be read as Parquet: write the table as a Parquet file"):
        frame = pl.read_parquet(path, columns=wanted)
    if values is not None:
        frame = frame.hstack(_aligned(values, frame))
    estimated = OF_ESTIMATE in there
    if logged and LOGGED in frame.columns and frame[LOGGED].null_count() < len(frame):
        estimated = False
        frame = frame.drop("log_mu", strict=False).rename({LOGGED: "log_mu"})
    if "log_mu" not in frame.columns:
        frame = frame.with_columns(log_mu=pl.lit(None, pl.Float64))
    if not len(frame):
        raise SettingError(f"{path}: the table is empty: an estimate takes events")
    try:
        columns, on_candidates = _columns(frame), ON_CANDIDATES in there
        return LoggedEvents(**columns, candidates_only=on_candidates, estimated=estimated)
    except ColumnError as error:
        name = FILE_NAMES.get(error.column, error.column)
        row = "" if error.row is None else f", row {error.row + 1}"
        raise SettingError(f"{path}: column {name}{row}: {error.wrong}") from None


def logs_propensities(path: Path) -> bool:
    """Whether a table of events has propensities as they were logged."""
    if LOGGED not in pl.read_parquet_schema(path):
        return False
    return bool(pl.scan_parquet(path).select(pl.col(LOGGED).count() > 0).collect().item())


def _aligned(path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Read further columns; SettingError unless they are of the same events."""
    with refused(f"{path} cannot be read as Parquet: remove it, and it is made again"):
        more = pl.read_parquet(path)
    same = len(more) == len(frame) and all(
        more[name].equals(frame[name]) for name in ("session_id", "position")
    )
    if not same:
        raise SettingError(f"{path} is of other events: remove it, and it is made again")
    return more.select(name for name in NUMBERS[3:] if name in more.columns)


def _check_columns(path: Path, there: Sequence[str]) -> None:
    """Raise SettingError for a column that is missing."""
    for name in MUST:
        if name not in there and not (name == "log_mu" and LOGGED in there):
            near = suggest(name, there)
            hint = f"is it {near}? rename it" if near else f"needed are {', '.join(MUST)}"
            raise SettingError(f"{path}: there is no column {name}: {hint}")


def _columns(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """The columns of LoggedEvents; of the frame each is dropped as soon as it is taken."""
    sessions = _whole(frame, "session_id")
    if sessions.dtype.is_float():
        raise ColumnError(
            "session_id", None, f"it must hold text or whole numbers, got {sessions.dtype}"
        )
    columns: dict[str, np.ndarray] = {"session": _ids(sessions)}
    position = _whole(frame, "position")
    if not position.dtype.is_integer():
        raise ColumnError("position", None, f"it must hold whole numbers, got {position.dtype}")
    columns["position"] = position.cast(pl.Int64).to_numpy()
    for name in NUMBERS:
        if name in frame.columns:
            columns[name] = _numbers(frame, name)
    if "greedy_item" in frame.columns:
        greedy = _whole(frame, "greedy_item")
        columns["greedy_item"] = _ids(greedy)
        if "item_id" in frame.columns:
            columns["greedy_is_logged"] = _same(_whole(frame, "item_id"), greedy)
    return columns


def _whole(frame: pl.DataFrame, name: str) -> pl.Series:
    """A column without nulls; ColumnError names the first."""
    column = frame[name]
    if column.null_count():
        row = column.is_null().arg_max()
        raise ColumnError(name, row, "it is empty (null): every event needs it")
    return column


def _numbers(frame: pl.DataFrame, name: str) -> np.ndarray:
    """A column of numbers as float64; one of log μ that is all null is all NaN."""
    column = frame[name]
    if name in ("log_mu", LOGGED) and column.null_count() == len(column):
        return np.full(len(column), np.nan)
    if not column.dtype.is_numeric():
        raise ColumnError(name, None, f"it must hold numbers, got {column.dtype}")
    return _whole(frame, name).cast(pl.Float64).to_numpy()


def _ids(column: pl.Series) -> np.ndarray:
    """Ids 0, 1, … of the values of a column, int64 [N]."""
    if column.dtype in (pl.String, pl.Categorical):  # by a hash table: no sort of texts
        column = column.cast(pl.String).cast(pl.Categorical).to_physical()
    return column.rank("dense").cast(pl.Int64).to_numpy() - 1


def _same(logged: pl.Series, greedy: pl.Series) -> np.ndarray:
    """Whether two columns of items are equal, bool [N]."""
    if logged.dtype != greedy.dtype:
        raise ColumnError("greedy_item", None, f"item_id is {logged.dtype}, this {greedy.dtype}")
    return (logged == greedy).to_numpy()
