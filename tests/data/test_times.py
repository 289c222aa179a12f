"""What is said of a log's times is so, by plain loops; units are never mixed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from recbole_lpi.data.sessions import Part, flat_sessions
from recbole_lpi.data.times import (
    check_units,
    describe_direction,
    describe_held_out,
    describe_times,
    read_date,
    unit_of,
    written,
)  # fmt: skip
from recbole_lpi.settings import SettingError

START = 1_600_000_000.0  # 2020-09-13 12:26:40 UTC


@pytest.mark.parametrize(
    ("time", "unit"),
    [
        (START, 1), (START * 1e3, 10**3), (START * 1e6, 10**6), (START * 1e9, 10**9),
        (0.0, None), (20200913.0, None), (1e10, None), (-START, None), (1e20, None),
    ],
)  # fmt: skip
def test_the_unit_is_that_of_plausible_years(time, unit):
    assert unit_of(time) == unit
    assert written(time, unit) == ("2020-09-13 12:26:40" if unit else f"{time:.12g}")


def test_dates_are_utc_unless_they_say_otherwise():
    assert read_date("2020-09-13T12:26:40") == read_date("2020-09-13T14:26:40+02:00") == START
    assert read_date("2020-09-13T12:26:40Z") == START


@pytest.mark.parametrize(("other", "unit"), [(1e3, "milliseconds"), (1e6, "microseconds")])
def test_two_units_in_one_file_are_refused_with_lines_of_both(other, unit):
    times = START + np.arange(10.0)
    check_units(times, "timestamp", "log.inter")
    check_units(times * other, "timestamp", "log.inter")
    check_units(np.append(times, [0.0, -1.0]), "timestamp", "log.inter")
    check_units(np.arange(10.0), "timestamp", "log.inter")
    times[7] *= other
    said = rf"line 2: timestamp is 1600000000, in Unix seconds \(9 rows\), and in line 9 .* {unit}"
    with pytest.raises(SettingError, match=said):
        check_units(times, "timestamp", "log.inter")


def random_log(seed):
    rng = np.random.default_rng(seed)
    session = np.sort(rng.integers(0, 6, 60))
    session = np.unique(session, return_inverse=True)[1]
    time = START + rng.integers(0, 8, 60)
    return flat_sessions(
        session, rng.integers(1, 4, 60), time, rng.integers(0, 2, 60), rng.integers(0, 2, 60),
        ("view", "buy"),
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_ties_and_repeated_rows_are_counted(seed):
    log = random_log(seed)
    session = np.repeat(np.arange(len(log)), log.lengths)
    moments = Counter(zip(session, log.timestamps, strict=True))
    rows = Counter(zip(session, log.timestamps, log.items, log.events, log.rewards, strict=True))
    tied = sum(count for count in moments.values() if count > 1)
    repeated = sum(count - 1 for count in rows.values())
    line = describe_times(log)[1]
    assert tied and repeated
    assert line.startswith(f"{tied} of 60 events share their time with another of their session")
    assert f"; {repeated} rows repeat another" in line


def test_the_range_of_times_is_written_and_ties_only_where_there_are_some():
    log = random_log(0)
    apart = replace(log, timestamps=START + np.arange(60.0))
    said = "times: 2020-09-13 12:26:40 to 2020-09-13 12:27:39 UTC (Unix seconds)"
    assert describe_times(apart) == [said]
    times = apart.timestamps.copy()
    times[0] = 0
    assert describe_times(replace(apart, timestamps=times)) == [
        "times: 2020-09-13 12:26:41 to 2020-09-13 12:27:39 UTC (Unix seconds), but for 1 that are "
        "earlier than 1980"
    ]
    (line,) = describe_times(replace(apart, timestamps=np.arange(60.0)))
    assert line.startswith("times: 0 to 59, no Unix times of 1980 to 2100: they order events")


@pytest.mark.parametrize("seed", range(3))
def test_what_is_said_of_a_held_out_part_is_so(seed):
    log = random_log(seed)
    ends = log.offsets[1:]
    training = Part(np.arange(len(log) - 1), log.offsets[:-2], ends[:-1] - 2)
    held = Part(np.array([0, len(log) - 1]), ends[[0, -1]] - 2, ends[[0, -1]])
    trained = [
        place for a, b in zip(training.start, training.stop, strict=True) for place in range(a, b)
    ]
    tested = [place for a, b in zip(held.start, held.stop, strict=True) for place in range(a, b)]
    items = log.items.copy()
    items[tested[0]] = 9
    log = replace(log, items=items)
    last = log.timestamps[trained].max()
    before = np.mean([log.timestamps[place] < last for place in tested])
    unseen = sum(log.items[place] not in set(log.items[trained]) for place in tested)
    line = describe_held_out("test", log, training, held)
    assert f", {before:.0%} of them before the last of training; " in line
    assert line.endswith(f"; {unseen} of 4 are of items that training has not") and unseen
    assert line.startswith(f"test: events of {written(log.timestamps[tested].min(), 1)} to ")


def test_newest_first_files_with_ties_are_told():
    """u1: 3 2 2 1, u2: 9 8; interleaved or not. Rows without a session (-1) count for nothing."""
    for session, times in (
        ([0, 0, 0, 0, 1, 1], [3, 2, 2, 1, 9, 8]),
        ([0, 1, 0, 0, 1, 0], [3, 9, 2, 2, 8, 1]),
        ([0, -1, 1, 0, -1, 0, 1, 0, -1], [3, 5, 9, 2, 6, 2, 8, 1, 7]),
    ):
        (line,) = describe_direction(np.array(session), START + np.array(times), "shop.inter")
        assert line.startswith(
            "shop.inter runs newest first: within sessions 3 steps from row to row go back in time "
            "and 0 forth; 1 rows have the time of the row before"
        )
        assert line.endswith("write the rows below the header in reverse order")
        rows = np.array(session)[::-1], START + np.array(times)[::-1]
        assert describe_direction(*rows, "shop.inter") == []  # what the line asks for


@pytest.mark.parametrize(
    "times",
    [
        [3, 2, 1, 0],  # no ties
        [1, 1, 2, 2], [1, 2, 2, 1], [0, 0, 0, 0],
        [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 3, 4],  # nine back, one forth
    ],
)  # fmt: skip
def test_other_files_are_not_told_to_run_newest_first(times):
    assert describe_direction(np.zeros(len(times), int), np.array(times, float), "x") == []
