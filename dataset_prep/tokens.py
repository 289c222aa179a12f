"""Names of sessions, items and events: what may be one, and how it is written.

A name that passes is the same text in the raw log, in the ``.inter`` file, and in what RecBole's
reader (pandas) and ours make of it.
"""

from __future__ import annotations

import polars as pl

from dataset_prep.sources import InputError

JOINT = "~"  # between the names of several columns, and before the number of a session
WHOLE = 2**53  # up to here a float holds every whole number
LOST_DIGITS = r"^-?\d(\.\d+)?[eE]\+\d+$"
LONGEST = 1000  # characters: tokens are kept as text as wide as the longest, for every item
PADDING = "[PAD]"  # RecBole's token 0, which is no item
# What pandas takes for a missing value: as a token it would vanish there.
MISSING = ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND"]
MISSING += ["1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]


def without_spaces(
    table: pl.DataFrame, column: str, called: str, label: str
) -> tuple[pl.DataFrame, list[str]]:
    """``table`` with the spaces around a column's names left out, and the line that says so."""
    before, after = table[column], table[column].str.strip_chars()
    changed = int((before != after).sum())
    if not changed:
        return table, []
    merged = before.n_unique() - after.n_unique()
    note = (
        f"{label}: spaces around the {called} are left out in {changed:,} rows; {merged:,} names "
        "become one with another by it"
    )
    return table.with_columns(after), [note]


def decimals(table: pl.DataFrame, column: str, called: str, label: str) -> list[str]:
    """A line where names look like whole numbers that went through floats: 12.0. They stay."""
    text = table[column]
    names = text.filter(text.str.ends_with(".0")).unique(maintain_order=True)
    names = names.filter(names.str.contains(r"^-?\d+\.0$"))
    if not len(names):
        return []
    rows = int(text.is_in(names.implode()).sum())
    also = names.filter(names.str.strip_suffix(".0").is_in(text.drop_nulls().implode()))
    twice = f"; {len(also):,} are there without .0 too, as another {called}" if len(also) else ""
    return [
        f"{label}: the {called} is a decimal such as {names[0]} in {rows:,} rows, and stays it"
        f"{twice}: where it should be {names[0][:-2]}, write whole numbers (in pandas by "
        "astype('Int64') before to_csv)"
    ]


def whole_floats(table: pl.LazyFrame, column: str, label: str) -> tuple[pl.Expr, str]:
    """Names from a column of floats, as whole numbers, and a line that says so.

    InputError where a float is no whole number, or so large that digits were lost.
    """
    value = pl.col(column)
    odd = value.is_finite() & ((value != value.floor()) | (value.abs() >= WHOLE))
    found = table.filter(odd).select(value).head(1).collect()
    if len(found):
        raise InputError(
            f"{label}: column {column!r} holds floats such as {found.item()!r}, which are no "
            "names: cast it to whole numbers or text where it is made"
        )
    note = f"{label}: column {column!r} holds floats, whose names are whole numbers: 12 for 12.0"
    return value.cast(pl.Int64, strict=False), note


def is_missing(token: pl.Expr) -> pl.Expr:
    """True for a token that is null, or that RecBole would read as a missing value."""
    return token.is_null() | token.is_in(MISSING)


def problems(names: list[pl.Expr]) -> dict[str, pl.Expr]:
    """Tests for names that could not be written, or would be others when they are read again."""
    control = [name.str.contains(r"\p{Cc}") for name in names]
    long = [name.str.len_chars() > LONGEST for name in names]
    padding = [name == PADDING for name in names]
    lost = [name.str.contains(LOST_DIGITS) for name in names]
    return {
        "a tab, line end or other control character in a name": pl.any_horizontal(control),
        f"a name of more than {LONGEST} characters": pl.any_horizontal(long),
        "a name such as 2e+17, a number that lost its digits": pl.any_horizontal(lost),
        f"the name {PADDING}, which RecBole keeps for no item at all": pl.any_horizontal(padding),
    }


def written(token: pl.Expr) -> pl.Expr:
    """The field that pandas reads as ``token``: a quote at its beginning would open a field."""
    quoted = '"' + token.str.replace_all('"', '""', literal=True) + '"'
    return pl.when(token.str.starts_with('"')).then(quoted).otherwise(token)


def joined(parts: list[pl.Expr]) -> pl.Expr:
    """One name of several; null where one of them is."""
    return parts[0] if len(parts) == 1 else pl.concat_str(parts, separator=JOINT)
