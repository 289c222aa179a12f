"""Raw rows as polars frames: lines into fields, fields into values, bad rows found."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import polars as pl

from dataset_prep import plain_text, sources
from dataset_prep.inputs import InputError, reading
from dataset_prep.sources import Source

OnError = Literal["stop", "skip"]
STRAY = "a quote that neither opens nor closes its field"

NO_FIELD = "\x01"  # no log holds it, so a "CSV" with this separator has whole lines as its fields
LONGEST_HEADER = 1 << 20  # bytes
LONGEST_SHOWN = 200  # characters of a bad row in an error message


def header(source: Source, separator: str, line: int = 0, quotes: bool = True) -> list[str]:
    """The fields of the record at a line, from 0: as a rule the first, which holds the names."""
    with source.rows.open("rb") as file, reading(source.place(line)):
        found = next(islice(file, line, None), b"")
        if not quotes:
            names = _header_text(found).split(separator)
        else:
            names = next(csv.reader([_header_text(found)], delimiter=separator), [])
            if found.count(b'"') % 2:  # a field may go on in the next lines
                for following in islice(file, plain_text.MOST_LINES - 1):
                    found += following
                    if following.count(b'"') % 2:
                        break
                lines = io.StringIO(_header_text(found), newline="")
                records = list(csv.reader(lines, delimiter=separator))
                names = records[0] if len(records) == 1 else names
        return [name.strip() for name in names]


def _header_text(line: bytes) -> str:
    text = line[:LONGEST_HEADER].decode("utf-8-sig").rstrip("\r\n")
    return text.replace("\r\n", "\n").replace("\r", " ")


def columns(source: Source, names: Sequence[str], wanted: Mapping[str, str]) -> dict[str, int]:
    """Where in the header's ``names`` each wanted column stands: {ours: theirs} to {ours: place}.

    Raises InputError for a column that is not there, or is there twice.
    """
    for theirs in wanted.values():
        if names.count(theirs) != 1:
            times = "twice" if theirs in names else "no"
            held = ", ".join(map(repr, names))[:LONGEST_SHOWN] or "none"
            raise InputError(
                f"{source.label} has {times} column {theirs!r} but these: {held}: name another"
            )
    return {ours: list(names).index(theirs) for ours, theirs in wanted.items()}


def one_line_each(source: Source, separator: str, width: int, scratch: Path) -> Source:
    """``source`` with each record in one line, also where quoted fields hold line ends."""
    with reading(source.label):
        target = sources.new_file(scratch)
        lines = plain_text.one_line_each(source.rows, separator, width, target)
    return replace(source, rows=lines)


def split(
    source: Source,
    separator: str,
    width: int,
    wanted: Mapping[str, int],
    quotes: bool = True,
) -> pl.LazyFrame:
    """Lines as ``row`` (0-based), a String column per wanted field, ``torn`` and ``stray``.

    ``torn`` is true where a line has not ``width`` fields. Blank lines are left out. Fields may be
    quoted as in RFC 4180, but not span lines (``one_line_each``); ``stray`` is true where a quote
    is none of that, and the line is torn. Without ``quotes`` they are letters like others.
    """
    lines = pl.scan_csv(
        source.rows,
        has_header=False,
        separator=NO_FIELD,
        quote_char=None,
        schema={"line": pl.String},
        row_index_name="row",
        glob=False,
    ).with_columns(pl.col("line").str.strip_chars_end("\r"))
    lines = lines.filter(pl.col("line").str.len_bytes() > 0)
    if quotes and plain_text.has_quotes(source.rows):
        return _split_quoted(lines, separator, width, wanted)
    parts = pl.col("line").str.split_exact(separator, width)
    fields = [pl.col("parts").struct.field(f"field_{place}") for place in range(width + 1)]
    return lines.select("row", parts=parts).select(
        "row",
        *(fields[place].alias(name) for name, place in wanted.items()),
        torn=fields[width - 1].is_null() | fields[width].is_not_null(),
        stray=pl.lit(False),
    )


def _split_quoted(
    lines: pl.LazyFrame, separator: str, width: int, wanted: Mapping[str, int]
) -> pl.LazyFrame:
    mark = re.escape(separator)
    whole = separator + pl.col("line")  # so that every field starts with the separator
    parts = whole.str.extract_all(f'{mark}(?:"(?:[^"]|"")*"|[^"{mark}]*)')
    stray = parts.list.join("") != whole
    torn = (parts.list.len() != width) | stray

    def field(place: int) -> pl.Expr:
        text = pl.col("parts").list.get(place, null_on_oob=True).str.strip_prefix(separator)
        bare = text.str.strip_prefix('"').str.strip_suffix('"').str.replace_all('""', '"')
        return pl.when(text.str.starts_with('"')).then(bare).otherwise(text)

    return lines.select("row", parts=parts, torn=torn, stray=stray).select(
        "row", *(field(place).alias(name) for name, place in wanted.items()), "torn", "stray"
    )


def sound(
    rows: pl.LazyFrame,
    values: Mapping[str, pl.Expr],
    problems: Mapping[str, pl.Expr],
    source: Source,
    on_error: OnError,
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows without a problem (``row`` and ``values``), and how many had which problem.

    ``problems`` are tests on ``values`` and on the columns of ``rows``; a row counts for the first
    that holds. Raises InputError for the first bad row, unless ``on_error`` is "skip".
    """
    if on_error not in ("stop", "skip"):
        raise InputError(f"on_error is {on_error!r}: pass stop or skip")
    codes = [
        pl.when(test).then(pl.lit(code, pl.UInt8)) for code, test in enumerate(problems.values())
    ]
    parsed = rows.with_columns(**values).select("row", *values, problem=pl.coalesce(codes))
    frame = collect(parsed, source)
    bad = frame.lazy().filter(pl.col("problem").is_not_null()).group_by("problem")
    found = bad.agg(count=pl.len(), row=pl.col("row").min()).sort("row").collect()
    reasons = list(problems)
    if len(found) and on_error == "stop":
        first = found.row(0, named=True)
        raise bad_row(source, first["row"], reasons[first["problem"]])
    counts = {reasons[row["problem"]]: row["count"] for row in found.iter_rows(named=True)}
    return frame.filter(pl.col("problem").is_null()).drop("problem"), counts


def collect(rows: pl.LazyFrame, source: Source) -> pl.DataFrame:
    """Rows of ``source`` in memory; InputError names the line that is no text."""
    try:
        return rows.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        raise _unreadable(source, error) from error


def bad_row(
    source: Source, row: int, reason: str, cure: str = "fix it or pass --on_error=skip"
) -> InputError:
    """The error that names a row (0-based), shows it, and says what is wrong and what to do."""
    if source.parquet:
        cells = pl.scan_parquet(source.rows, glob=False).slice(row, 1).collect().row(0)
        text = ",".join("" if cell is None else str(cell) for cell in cells)
    else:
        with source.rows.open("rb") as file:
            line = next(islice(file, row, None)).rstrip(b"\r\n")
        text = line.replace(plain_text.JOINT, b"\n").decode(errors="replace")
    shown = repr(text[:LONGEST_SHOWN]) + ("..." if len(text) > LONGEST_SHOWN else "")
    return InputError(f"{source.place(row)}: {reason}: {shown}: {cure}")


def _unreadable(source: Source, error: Exception) -> InputError:
    """polars does not say where: look for the first line that is not text."""
    if not source.parquet:
        with source.rows.open("rb") as file:
            for row, line in enumerate(file):
                if NO_FIELD.encode() in line:
                    return InputError(f"{source.place(row)} holds a control character: remove it")
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return InputError(f"{source.place(row)} is not UTF-8: re-encode it with iconv")
    reason = " ".join(str(error).split())[:LONGEST_SHOWN]
    return InputError(f"{source.label} cannot be read ({reason}): download or export it again")
