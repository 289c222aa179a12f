"""Files without a header, with Excel's first line, and headers that are none."""

from pathlib import Path

import pytest

from dataset_prep.csv import Columns, Format
from dataset_prep.sources import InputError
from tests.support.shop import COLUMNS, HEADER, REWARDS, convert, events

ROWS = "ann,A,1600000000,view\nann,B,1600000005,buy\n"
NAMES = ("user", "product", "when", "what")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_names_for_a_file_without_a_header(tmp_path: Path, separator: str, mark: str) -> None:
    text = mark + ROWS.replace(",", separator)
    convert(tmp_path, text, COLUMNS, REWARDS, Format(names=NAMES))
    assert [row[:2] for row in events(tmp_path)] == [("ann", "A"), ("ann", "B")]


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 1 has 4 fields, and --columns names 3: a,b,c"):
        convert(tmp_path, ROWS, COLUMNS, REWARDS, Format(names=("a", "b", "c")))
    with pytest.raises(InputError, match="line 1 is a header: leave --columns out"):
        convert(tmp_path, HEADER + ROWS, COLUMNS, REWARDS, Format(names=NAMES))


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("ann,A,1600000000,view", "ann"),  # a session that comes again
        ("eve,Q,1600000000,view", "1600000000"),
        ("eve,Q,2020-09-13,view", "2020-09-13"),
        ("eve,Q,when,view", "view"),
    ],
)
def test_an_event_is_no_header(tmp_path: Path, first: str, name: str) -> None:
    columns = Columns(*first.split(","))
    with pytest.raises(
        InputError, match=f"line 1: '{name}' looks like an event's value.*--columns"
    ):
        convert(tmp_path, f"{first}\n{ROWS}bob,A,1600000006,view\n", columns)


def test_the_numbers_that_pandas_gives_are_names(tmp_path: Path) -> None:
    convert(tmp_path, f",0,1,2,3\n0,{ROWS}".replace("\nann,B", "\n1,ann,B"), Columns(*"0123"))
    assert [row[:2] for row in events(tmp_path)] == [("ann", "A"), ("ann", "B")]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_excels_first_line_names_the_separator(tmp_path: Path, end: str, mark: str) -> None:
    text = mark + "sep=^\n" + (HEADER + ROWS).replace(",", "^") + "ann^C^soon^view\n"
    text = text.replace("\n", end)
    with pytest.raises(InputError, match="line 5: the time is neither"):
        convert(tmp_path, text)
    convert(tmp_path, text, on_error="skip")
    assert [row[:2] for row in events(tmp_path)] == [("ann", "A"), ("ann", "B")]
