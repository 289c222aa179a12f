"""A name is the same in the raw log, in the .inter file and as RecBole's reader has it."""

from pathlib import Path

import polars as pl
import pytest

from dataset_prep import csv as any_log
from dataset_prep.csv import Columns, Format, Rewards
from dataset_prep.sources import InputError
from tests.support.shop import COLUMNS, HEADER, REWARDS, convert, events


def items(folder: Path) -> list[str]:
    return [item for _, item, *_ in events(folder)]


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("0010", "0010"),
        ("-0", "-0"),
        ("1e5", "1e5"),
        ("12.0", "12.0"),
        ("#1", "#1"),
        ("None of these", "None of these"),
        ("ø-鯨-\u2028-🐋", "ø-鯨-\u2028-🐋"),
        ('"a, b"', "a, b"),
        ('"5"" pipe"', '5" pipe'),
        ('"""weird al"" yankovic"', '"weird al" yankovic'),
        ('""""', '"'),
        (r"C:\n\t", r"C:\n\t"),
        ("x" * 1000, "x" * 1000),
    ],
)
def test_names_that_stay_as_they_are(tmp_path: Path, field: str, name: str) -> None:
    convert(tmp_path, f"{HEADER}u,{field},1600000000,view\n")
    assert items(tmp_path) == [name]


def test_quotes_that_are_letters(tmp_path: Path) -> None:
    text = 'u1\t"weird al" yankovic\t1600000000\tview\nu1\t6" nail\t1600000001\tview\n'
    text = HEADER.replace(",", "\t") + text
    with pytest.raises(InputError, match=r"line 2: a quote .*--quote=none reads quotes as letters"):
        convert(tmp_path, text)
    convert(tmp_path, text, COLUMNS, REWARDS, Format(quotes=False))
    assert items(tmp_path) == ['"weird al" yankovic', '6" nail']


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 1001, "a name of more than 1000 characters"),
        ("a\x1bb", "a tab, line end or other control character in a name"),
        ("[PAD]", r"the name \[PAD\], which RecBole keeps"),
        ("2e+17", "a name such as 2e.17, a number that lost its digits"),
        (" NA ", "the item is missing"),
        ("  ", "the item is missing"),
    ],
)
def test_names_that_are_none(tmp_path: Path, name: str, reason: str) -> None:
    text = f"{HEADER}u,A,1600000000,view\nu,{name},1600000001,view\n"
    with pytest.raises(InputError, match=f"line 3: {reason}"):
        convert(tmp_path, text)
    assert sum(convert(tmp_path, text, on_error="skip").bad_rows.values()) == 1
    assert items(tmp_path) == ["A"]


def test_spaces_around_names(tmp_path: Path) -> None:
    rows = "ann,A,1600000000,view\nann, A,1600000001,view\nann ,B,1600000002, buy \n"
    summary = convert(tmp_path, f"user , product,when,what\n{rows}")
    assert [row[:2] + row[3:4] for row in events(tmp_path)] == [
        ("ann", "A", "view"), ("ann", "A", "view"), ("ann", "B", "buy"),
    ]  # fmt: skip
    changed = [note for note in summary.notes if "spaces around the item" in note]
    assert len(changed) == 1 and "in 1 rows; 1 names become one" in changed[0]
    assert not [
        n for n in convert(tmp_path, HEADER + "a,A,1600000000,buy\n").notes if "spaces" in n
    ]


def parquet(folder: Path, product: list[float | None]) -> Path:
    n = len(product)
    table = {"user": ["u"] * n, "product": product, "when": [1600000000] * n, "what": ["buy"] * n}
    pl.DataFrame(table).write_parquet(folder / "log.parquet")
    return folder / "log.parquet"


def test_float_ids_of_parquet_are_whole_numbers(tmp_path: Path) -> None:
    log = parquet(tmp_path, [12.0, None, 7.0])
    summary = any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS, on_error="skip")
    assert items(tmp_path) == ["12", "7"]
    assert summary.bad_rows == {"the item is missing": 1}
    assert any("'product' holds floats, whose names are whole" in note for note in summary.notes)
    for product in (2e17, 1.5):
        log = parquet(tmp_path, [12.0, product])
        with pytest.raises(InputError, match=r"column 'product' holds floats such as .*: cast it"):
            any_log.convert(log, tmp_path / "other", COLUMNS, REWARDS)


def test_several_columns_name_a_session(tmp_path: Path) -> None:
    text = "shop,user,product,when\n1,ann,A,1600000000\n1,bob,A,1600000001\n2,ann,B,1600000002\n"
    columns, rewards = Columns(("shop", "user"), "product", "when"), Rewards({})
    summary = convert(tmp_path, text, columns, rewards)
    assert [row[0] for row in events(tmp_path)] == ["1~ann", "1~bob", "2~ann"]
    assert summary.settings["columns"]["session_1"] == "user"
    with pytest.raises(InputError, match="line 5: a ~ in the session"):
        convert(tmp_path, text + "1~a,nn,B,1600000003\n", columns, rewards)
    with pytest.raises(InputError, match="line 5: the session is missing"):
        convert(tmp_path, text + "1,,B,1600000003\n", columns, rewards)


@pytest.mark.parametrize(
    ("products", "said"),
    [
        (["12.0", "7.0", "12.0", "ball"], ["product is a decimal such as 12.0 in 3 rows"]),
        (["12.0", "12", "7.0"], ["in 2 rows, and stays it; 1 are there without .0 too"]),
        (["1.5", "v2.0", "12", "1.00"], []),
    ],
)
def test_ids_that_went_through_floats_are_told(
    tmp_path: Path, products: list[str], said: list[str]
) -> None:
    rows = [f"ann,{product},{1600000000 + n},view\n" for n, product in enumerate(products)]
    summary = convert(tmp_path, HEADER + "".join(rows))
    assert items(tmp_path) == products
    notes = [note for note in summary.notes if "decimal" in note]
    assert len(notes) == len(said)
    for note, part in zip(notes, said, strict=True):
        assert part.replace("product", "item") in note and "astype('Int64')" in note
