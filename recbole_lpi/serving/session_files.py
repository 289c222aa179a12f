"""Sessions from a file too large for memory: whole sessions, some at a time.

Parquet, CSV, or an atomic file of RecBole's (``.inter``), with a row an event, all rows of a
session together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from recbole_lpi.serving.raw_histories import EVENT, ITEM, SESSION, TIME
from recbole_lpi.settings import SettingError, refused

COLUMNS = (SESSION, ITEM, EVENT, TIME)
SEPARATORS = {".csv": ",", ".tsv": "\t", ".inter": "\t"}
ROWS = 2**16  # read at a time
BLOCK = 2**22  # bytes of text read at a time


@dataclass(frozen=True)
class SessionFile:
    """A file with a row an event.

    Attributes:
        path: of it.
        columns: those that are read, by the name they have in the file; values are our names.
        rows: how many it has; None of text, where nobody knows before it is read.
    """

    path: Path
    columns: dict[str, str]
    rows: int | None

    @classmethod
    def open(cls, path: Path) -> SessionFile:
        """Look into a file; SettingError if it is none of those kinds, or lacks a column."""
        if path.suffix in (".parquet", ".pq"):
            with refused(f"{path} cannot be read"), pa.parquet.ParquetFile(path) as file:
                names, rows = file.schema_arrow.names, file.metadata.num_rows
        elif path.suffix in SEPARATORS:
            with open(path, encoding="utf-8") as text:
                names = text.readline().rstrip("\r\n").split(SEPARATORS[path.suffix])
            rows = None
        else:
            raise SettingError(
                f"{path} must end in .parquet, .csv, .tsv or .inter, which says how it is read"
            )
        plain = {
            name: name.partition(":")[0] if path.suffix == ".inter" else name for name in names
        }
        columns = {name: own for name, own in plain.items() if own in COLUMNS}
        for name in (SESSION, ITEM):
            if name not in columns.values():
                raise SettingError(
                    f"{path} has no column {name}, it has {', '.join(plain.values())}: rename it"
                )
        return cls(path, columns, rows)

    def batches(self, columns: Iterable[str] = COLUMNS) -> Iterator[pl.DataFrame]:
        """Read the rows in order, some at a time, with these of the columns, as text and times."""
        read = {name: own for name, own in self.columns.items() if own in columns}
        with refused(f"{self.path} cannot be read"):
            for batch in self._record_batches(list(read)):
                frame = pl.DataFrame(pl.from_arrow(batch)).rename(read)
                kinds = {name: pl.Float64 if name == TIME else pl.String for name in frame.columns}
                yield frame.cast(kinds)  # type: ignore[arg-type]

    def _record_batches(self, names: list[str]) -> Iterator[Any]:
        if self.path.suffix not in SEPARATORS:
            with pa.parquet.ParquetFile(self.path) as file:
                yield from file.iter_batches(ROWS, columns=names)
            return
        csv = pa.csv
        kind = self.path.suffix
        parsed = csv.ParseOptions(
            delimiter=SEPARATORS[kind], quote_char=False if kind == ".inter" else '"'
        )
        text = csv.ConvertOptions(
            include_columns=names, column_types={name: pa.string() for name in names},
            null_values=[""], strings_can_be_null=True,
        )  # fmt: skip
        with csv.open_csv(self.path, csv.ReadOptions(block_size=BLOCK), parsed, text) as reader:
            yield from reader


def whole_sessions(file: SessionFile) -> Iterator[tuple[int, pl.DataFrame]]:
    """Read whole sessions, some at a time, each part with the number of its first row, from 0.

    Eight bytes are kept of each session that was read.

    Raises:
        SettingError: rows of a session come back after those of another, or one has no session.
    """
    row, tail, earlier = 0, None, SeenBefore()
    for batch in file.batches():
        frame = batch if tail is None else pl.concat([tail, batch])
        if not len(frame):
            continue
        missing = frame[SESSION].is_null().to_numpy()
        if missing.any():  # or its session would seem to be two
            raise SettingError(
                f"{file.path}: row {row + int(missing.argmax())}, counted from 0, has no "
                f"{SESSION}: give it one, or leave the row out"
            )
        begins = _begins(frame)
        last = int(begins[-1])
        tail = frame[last:]
        if last:
            _refuse_again(file, frame[begins[:-1]][SESSION], row + begins[:-1], earlier)
            yield row, frame[:last]
            row += last
    if tail is not None and len(tail):
        _refuse_again(file, tail[SESSION][:1], np.array([row]), earlier)
        yield row, tail


def _begins(frame: pl.DataFrame) -> np.ndarray:
    """Return the rows where another session begins than in the row before, the first included."""
    session = frame[SESSION]
    return np.append(0, session[1:].ne_missing(session[:-1]).arg_true().to_numpy() + 1)


def _refuse_again(
    file: SessionFile, sessions: pl.Series, rows: np.ndarray, earlier: SeenBefore
) -> None:
    """Raise SettingError if a session that begins at a row has been read before."""
    for place in np.flatnonzero(earlier.add(sessions.hash().to_numpy())):
        name, row = sessions[int(place)], int(rows[place])
        first = _first_row(file, name)
        if first < row:  # and not another of the same hash
            raise SettingError(
                f"{file.path}: session {name} begins in row {first} and comes back in row {row}, "
                "counted from 0, after rows of others: sort the file by session_id, with a tool "
                "that keeps the order of equal ones, or by session_id and timestamp"
            )


def _first_row(file: SessionFile, session: str) -> int:
    """Return the first row of a session."""
    before = 0
    for batch in file.batches([SESSION]):
        found = (batch[SESSION] == session).arg_max()
        if found is not None and batch[SESSION][found] == session:
            return before + found
        before += len(batch)
    return before


class SeenBefore:
    """Hashes that were seen: sorted arrays, each at least twice as long as the next."""

    def __init__(self) -> None:
        self._sorted: list[np.ndarray] = []

    def add(self, hashes: np.ndarray) -> np.ndarray:
        """Add hashes [N]; return which were there, or stand in ``hashes`` before, bool [N]."""
        own, first = np.unique(hashes, return_index=True)
        seen = np.ones(len(hashes), bool)
        seen[first] = False
        for those in self._sorted:
            place = np.searchsorted(those, hashes).clip(max=len(those) - 1)
            seen |= those[place] == hashes
        self._sorted.append(own)
        while len(self._sorted) > 1 and len(self._sorted[-2]) < 2 * len(self._sorted[-1]):
            one, other = self._sorted.pop(), self._sorted.pop()
            self._sorted.append(np.union1d(one, other))
        return seen
