"""One unit of time per file, plausible years, dates with a clock apart, newest-first files."""

from pathlib import Path

import polars as pl
import pytest

from dataset_prep import csv as any_log
from dataset_prep.csv import Columns, Format, Rewards
from dataset_prep.sources import InputError
from tests.support.shop import COLUMNS, HEADER, REWARDS, convert, events


def log_of(*times: str) -> str:
    return HEADER + "".join(f"ann,{chr(65 + n)},{time},view\n" for n, time in enumerate(times))


def timestamps(folder: Path) -> list[float]:
    return [time for _, _, time, *_ in events(folder)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1695262025", 1695262025),
        ("1695262025.25", 1695262025.25),
        ("1695262025123", 1695262025.123),
        ("1695262025123334", 1695262025.123334),
        ("1695262025123334500", 1695262025.1233345),
        ("20210827", 1630022400),
        ("202108272113", 1630098780),
        ("20210827211310", 1630098790),
    ],
)
def test_the_unit_is_the_one_that_gives_plausible_years(
    tmp_path: Path, text: str, seconds: float
) -> None:
    convert(tmp_path, log_of(text, text))
    assert timestamps(tmp_path) == [seconds, seconds]


@pytest.mark.parametrize("times", [("99999999000", "100000001000"), ("0", "1", "2"), ("1e300",)])
def test_numbers_in_no_plausible_year_need_their_unit(
    tmp_path: Path, times: tuple[str, ...]
) -> None:
    with pytest.raises(InputError, match=r"log\.csv: numbers such as .* say what .* --time_unit="):
        convert(tmp_path, log_of(*times))


def test_a_stated_unit_takes_any_year(tmp_path: Path) -> None:
    convert(
        tmp_path, log_of("100000001000", "99999999000"), COLUMNS, REWARDS, Format(time_unit="ms")
    )
    assert timestamps(tmp_path) == [99999999, 100000001]
    convert(tmp_path, log_of("7", "-1", "2.5"), COLUMNS, REWARDS, Format(time_unit="s"))
    assert timestamps(tmp_path) == [-1, 2.5, 7]
    with pytest.raises(InputError, match="line 2: the time is neither ISO 8601 nor Unix seconds"):
        convert(tmp_path, log_of("1e300"), COLUMNS, REWARDS, Format(time_unit="s"))


def test_dates_with_an_hour_may_be_seconds_of_2034(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="are Unix seconds and dates such as 20260105"):
        convert(tmp_path, log_of("2021082721", "2021082722"))
    convert(tmp_path, log_of("2021082721"), COLUMNS, REWARDS, Format(time_unit="date"))
    assert timestamps(tmp_path) == [1630098000]
    convert(tmp_path, log_of("2021082721"), COLUMNS, REWARDS, Format(time_unit="s"))
    assert timestamps(tmp_path) == [2021082721]
    convert(tmp_path, log_of("2021087021", "2021089999"))  # no dates, since no month has 70 days
    assert timestamps(tmp_path) == [2021087021, 2021089999]


def test_a_row_in_another_unit_is_bad(tmp_path: Path) -> None:
    """Milliseconds among seconds, and a 0 where a time was not known."""
    text = log_of("1600000000", "1600000001000", "1600000002", "0", "1600000003")
    reason = "the time is neither ISO 8601 nor Unix seconds from 1990 to 2100"
    with pytest.raises(InputError, match=f"line 3: {reason}"):
        convert(tmp_path, text)
    summary = convert(tmp_path, text, on_error="skip")
    assert list(summary.bad_rows.values()) == [2]
    assert timestamps(tmp_path) == [1600000000, 1600000002, 1600000003]


def test_each_file_has_a_unit_of_its_own(tmp_path: Path) -> None:
    for name, time in (("a.csv", "1600000000000"), ("b.csv", "1600000001")):
        (tmp_path / name).write_text(log_of(time))
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    any_log.convert(paths, tmp_path / "shop", COLUMNS, REWARDS)
    assert timestamps(tmp_path) == [1600000000, 1600000001]


@pytest.mark.parametrize(
    ("clocks", "unit", "seconds"),
    [
        (["14:05:59.5", "00:00", "14:05"], None, [0, 50700, 50759.5]),
        (["526309", "243569", "1031018"], "ms", [243.569, 526.309, 1031.018]),
    ],
)
@pytest.mark.parametrize("day", ["2016-05-09", "20160509"])
def test_dates_with_a_clock_in_another_column(
    tmp_path: Path, day: str, clocks: list[str], unit: str | None, seconds: list[float]
) -> None:
    columns = Columns("user", "product", "when", None, None, "clock")
    text = "user,product,when,clock\n" + "".join(f"1,{c},{day},{c}\n" for c in clocks)
    convert(tmp_path, text, columns, Rewards({}), Format(time_unit=unit))  # type: ignore[arg-type]
    assert timestamps(tmp_path) == [1462752000 + second for second in seconds]
    if unit is not None:
        with pytest.raises(InputError, match=r"line 2: .*or a number in --time_unit"):
            convert(tmp_path, text, columns, Rewards({}))
    with pytest.raises(InputError, match="line 2: the time is not a date and a time of day"):
        convert(tmp_path, text.replace(day, "2016-05-09 12:00"), columns, Rewards({}))


def test_newest_first_files_are_read_from_their_end(tmp_path: Path) -> None:
    text = "u1,D,2020-09-14,buy\nu1,C,2020-09-13,view\nu1,B,2020-09-13,view\nu1,A,2020-09-13,view\n"
    summary = convert(tmp_path, HEADER + text)
    assert [item for _, item, *_ in events(tmp_path)] == ["A", "B", "C", "D"]
    assert any("log.csv runs newest first" in note for note in summary.notes)
    assert summary.tied_events == 3
    lines = text.splitlines(keepends=True)
    summary = convert(tmp_path, HEADER + "".join(lines[1:] + lines[:1]))  # oldest first: file order
    assert [item for _, item, *_ in events(tmp_path)] == ["C", "B", "A", "D"]
    assert not any("newest first" in note for note in summary.notes)


def test_each_newest_first_file_is_turned_by_itself(tmp_path: Path) -> None:
    for name, month in (("jan.csv", "01"), ("feb.csv", "02")):
        rows = [("D", "14"), ("C", "13"), ("B", "13"), ("A", "13")]
        text = "".join(f"u1,{item}{month},2020-{month}-{day},view\n" for item, day in rows)
        (tmp_path / name).write_text(HEADER + text)
    paths = [tmp_path / "jan.csv", tmp_path / "feb.csv"]
    any_log.convert(paths, tmp_path / "shop", COLUMNS, REWARDS)
    found = [item for _, item, *_ in events(tmp_path)]
    assert found == ["A01", "B01", "C01", "D01", "A02", "B02", "C02", "D02"]


def test_parquet_times_of_any_unit(tmp_path: Path) -> None:
    for number, ticks in enumerate([1695262025, 1695262025123, 1695262025123334, 20230921]):
        table = {"user": ["a"], "product": ["A"], "when": [ticks], "what": ["view"]}
        pl.DataFrame(table).write_parquet(tmp_path / "log.parquet")
        any_log.convert(
            tmp_path / "log.parquet", tmp_path / "shop", COLUMNS, REWARDS, overwrite=True
        )
        expected = [1695262025, 1695262025.123, 1695262025.123334, 1695254400]
        assert timestamps(tmp_path) == [expected[number]]
