"""Read logged events from a Parquet file, anybody's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from recbole_lpi.evaluation.off_policy.logged_events import NUMBERS, ColumnError, LoggedEvents
from recbole_lpi.settings import SettingError

SESSION, POSITION = "session_id", "position"
NEEDED = (SESSION, POSITION, "reward", "log_pi", "log_mu")
OPTIONAL = (
    *(name for name in NUMBERS if name != "reward"), "log_pi_cluster", "log_mu_cluster",
    "unsupported", "log_propensity", "greedy_log_mu",
)  # fmt: skip
LOGGED = "log_propensity"


def read_logged_events(path: Path, values: Path | None = None, logged: bool = True) -> LoggedEvents:
    """Read a table with a row an event.

    Args:
        path: Parquet with columns ``session_id, position, reward, log_pi, log_mu``, and of
            ``LoggedEvents`` whatever else there is. ``greedy_item`` may be text. A column
            ``log_propensity`` holds what was logged, where ``log_mu`` is an estimate; ``log_mu``
            may then be all empty.
        values: Parquet with more columns of the same events in the same order; None: none.
        logged: take logged propensities in the place of ``log_mu``, where there are any.

    Raises:
        SettingError: there is no such file, or it has no such column or a value that cannot be; it
            names file, column and row.
    """
    frame = _read(path)
    for name in NEEDED:
        if name not in frame.columns and not (name == "log_mu" and LOGGED in frame.columns):
            raise SettingError(
                f"{path} has no column {name}: it has {', '.join(frame.columns) or 'none'}, and "
                f"{', '.join(NEEDED)} are needed"
            )
    if values is not None:
        frame = frame.hstack(_aligned(_read(values), frame, values))
    columns: dict[str, Any] = {name: _numbers(frame[name], path) for name in ("reward", "log_pi")}
    columns["log_mu"] = _log_mu(frame, path, logged)
    columns |= {name: _numbers(frame[name], path) for name in OPTIONAL if name in frame.columns}
    if LOGGED in columns and np.isnan(columns[LOGGED]).all():
        del columns[LOGGED]
    columns["session"] = _dense(frame[SESSION], path)
    columns[POSITION] = _whole(frame[POSITION], path)
    if "greedy_item" in frame.columns:
        columns["greedy_item"] = (
            frame["greedy_item"].cast(pl.String).cast(pl.Categorical).to_physical().to_numpy()
        )
    del frame
    try:
        return LoggedEvents(**columns)
    except ColumnError as error:
        where = "" if error.row is None else f", row {error.row}"
        column = SESSION if error.column == "session" else error.column
        raise SettingError(f"{path}: column {column}{where}: {error.wrong}") from None


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise SettingError(f"there is no file {path}: it must be a Parquet table of events")
    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise SettingError(f"{path} is no Parquet table: {str(error).splitlines()[0]}") from None


def _aligned(more: pl.DataFrame, frame: pl.DataFrame, path: Path) -> pl.DataFrame:
    """Return the further columns; SettingError unless they are of the same events."""
    same = len(more) == len(frame) and all(
        more[name].equals(frame[name]) for name in (SESSION, POSITION)
    )
    if not same:
        raise SettingError(f"{path} is of other events: remove it, and it is made again")
    return more.drop(SESSION, POSITION)


def _log_mu(frame: pl.DataFrame, path: Path, logged: bool) -> np.ndarray:
    """Return log μ: as logged where that is there and wanted, or else as estimated."""
    if logged and LOGGED in frame.columns and frame[LOGGED].null_count() < len(frame):
        return _numbers(frame[LOGGED], path)
    if "log_mu" not in frame.columns:
        return np.full(len(frame), np.nan)
    return _numbers(frame["log_mu"], path, may_lack=True)


def _numbers(column: pl.Series, path: Path, may_lack: bool = False) -> np.ndarray:
    """Return a column as float64; SettingError for text, and for a gap unless all of it is one."""
    if not column.dtype.is_numeric():
        raise SettingError(
            f"{path}: column {column.name} holds {column.dtype}, and must be numbers"
        )
    empty = column.null_count()
    if empty and not ((may_lack or column.name == LOGGED) and empty == len(column)):
        row = column.is_null().arg_max()
        raise SettingError(f"{path}: column {column.name}, row {row}: it is missing")
    return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()


def _whole(column: pl.Series, path: Path) -> np.ndarray:
    if not column.dtype.is_integer() or column.null_count():
        raise SettingError(f"{path}: column {column.name} must hold a whole number in every row")
    return column.cast(pl.Int64).to_numpy()


def _dense(column: pl.Series, path: Path) -> np.ndarray:
    """Return ids 0 … S − 1 in the order in which sessions first appear."""
    if column.null_count():
        row = column.is_null().arg_max()
        raise SettingError(f"{path}: column {column.name}, row {row}: it is missing")
    if not len(column):
        return np.zeros(0, np.int64)
    begins = (column != column.shift(1)).fill_null(True)
    numbered = begins.cast(pl.Int64).cum_sum() - 1
    if column.n_unique() == int(numbered[-1]) + 1:  # each stands together
        return numbered.to_numpy()
    ids = pl.DataFrame({SESSION: column.unique(maintain_order=True)}).with_row_index("number")
    found = pl.DataFrame({SESSION: column}).join(ids, on=SESSION, how="left", maintain_order="left")
    return found["number"].cast(pl.Int64).to_numpy()
