"""How a delimited file is to be read: its separator, its columns' names, its first row."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from dataset_prep import rows, times
from dataset_prep.sources import InputError, Source

SEPARATORS = [",", "\t", ";", "|"]
SEPARATOR_LINE = re.compile(rb"(?:\xef\xbb\xbf)?sep=(.)\r?\n")  # Excel's, before the header
COMPARED = 100  # rows in which a header's name may stand again


@dataclass(frozen=True)
class Format:
    """What the user says of a file; what is None or empty is found from it.

    Attributes:
        separator: one character.
        names: of the columns of a file that has no header.
        quotes: whether fields may be quoted as in RFC 4180; else quotes are letters.
        time_unit: of times that are numbers.
    """

    separator: str | None = None
    names: Sequence[str] = ()
    quotes: bool = True
    time_unit: times.Unit | None = None


@dataclass(frozen=True)
class Layout:
    """Where the fields of a file are: ``first`` is the row of the first event, from 0."""

    separator: str
    names: Sequence[str]
    first: int


def layout(source: Source, wanted: Sequence[str], format: Format) -> Layout:
    """How to read ``source``. InputError where a header is none, or names do not fit the fields."""
    with source.rows.open("rb") as file:
        excel = SEPARATOR_LINE.fullmatch(file.readline(16))
    said = excel.group(1).decode("latin-1") if excel else None
    first = 1 if excel else 0
    separators = [format.separator or said] if format.separator or said else SEPARATORS
    found = {mark: rows.header(source, mark, first, format.quotes) for mark in separators if mark}
    if not format.names:
        # The separator under which the header holds the wanted columns, the likeliest if none.
        best = max(found, key=lambda mark: (len({*wanted} & {*found[mark]}), len(found[mark])))
        return Layout(best, found[best], first + 1)
    width = len(format.names)
    best = max(found, key=lambda mark: (len(found[mark]) == width, len(found[mark])))
    if len(found[best]) != width:
        raise InputError(
            f"{source.place(first)} has {len(found[best])} fields, and --columns names {width}: "
            f"{','.join(format.names)}"
        )
    if list(found[best]) == list(format.names):
        raise InputError(f"{source.place(first)} is a header: leave --columns out")
    return Layout(best, format.names, first)


def check_header(
    source: Source, header: Layout, table: pl.DataFrame, named: dict[str, str]
) -> None:
    """InputError where the wanted names look like an event's: then the file has no header.

    ``table`` has each column's values as ``OURS_text``.
    """
    numbered = [name for name in header.names if name]  # an index has no name
    if numbered == [str(place) for place in range(len(numbered))]:
        return  # pandas' names for columns that have none
    for ours, theirs in named.items():
        column = f"{ours}_text"
        values = table[column].head(COMPARED).to_list() if column in table.columns else []
        if theirs in values or _is_value(theirs):
            raise InputError(
                f"{source.place(header.first - 1)}: {theirs!r} looks like an event's value and not "
                "like a column's name: if the file has no header, name its columns in their order "
                "by --columns A,B,..."
            )


def _is_value(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        date = pl.select(times.iso_seconds(pl.lit(name))).item()
        return date is not None
