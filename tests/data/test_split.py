"""Parts share no event, and are what they are called."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from recbole_lpi.data.sessions import flat_sessions
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.data.split import split_sessions
from recbole_lpi.settings import SettingError
from recbole_lpi.yaml_values import parse, read_file


def store(lengths):
    session = np.repeat(np.arange(len(lengths)), lengths)
    time = 1000.0 * (7 * session % len(lengths)) + np.arange(len(session))
    return flat_sessions(session, session + 1, time, 0 * time, 0 * session, ("click",))


@pytest.mark.parametrize("how", ["random", "session_end"])
def test_numbers_of_sessions_after_a_null(how):
    sessions = store([3] * 100)
    parts = split_sessions(sessions, how, (None, 7, 4), seed=1)
    assert [len(part) for part in parts] == [89, 7, 4]
    assert sorted(np.concatenate([part.session for part in parts])) == list(range(100))
    shares = split_sessions(
        sessions, how, (89, 7, 4), seed=1
    )  # the same order of sessions, cut alike
    for part, same in zip(parts, shares, strict=True):
        assert np.array_equal(part.session, same.session)
    assert len(split_sessions(sessions, how, (None, 50, 49), seed=1)[0]) == 1
    message = r"\[~, 50, 50\] leaves no session to train on: it holds 100 .* and the data have 100"
    with pytest.raises(ValueError, match=message):
        split_sessions(sessions, how, (None, 50, 50), seed=1)


def settings(**given):
    names = {"USER_ID_FIELD": "u", "ITEM_ID_FIELD": "i", "TIME_FIELD": "t"}
    return DataSettings.of(defaultdict(lambda: None, {**names, **given}))


@pytest.mark.parametrize("text", ["[~, 20000, 10]", "[null, 20000, 10]"])
def test_numbers_of_sessions_are_read_from_yaml_and_from_eval_args(text):
    assert settings(split_ratio=parse(text)).split_ratio == (None, 20000, 10)
    args = parse(f"{{split: {{RS: {text}}}, order: TO}}")
    assert settings(eval_args=args).split_ratio == (None, 20000, 10)
    assert settings(split_ratio=[8, 1, 1]).split_ratio == (8, 1, 1)


@pytest.mark.parametrize(
    "wrong",
    [[None, 0.1, 0.1], [None, 5, 0], [None, 5, 2.5], [0.8, 200, 200], [0.8, 0.2, 0], [None, 5, -1]],
)
def test_mixtures_are_refused(wrong):
    message = r"split_ratio must be three shares > 0, or ~ and whole numbers of .*, got \["
    with pytest.raises(SettingError, match=message):
        settings(split_ratio=wrong)


@pytest.mark.parametrize("how", ["random", "session_end"])
def test_every_session_is_in_one_part_by_the_ratios(how):
    sessions = store([3] * 100)
    parts = split_sessions(sessions, how, (0.8, 0.1, 0.1), seed=1)
    assert [len(part) for part in parts] == [80, 10, 10]
    assert sorted(np.concatenate([part.session for part in parts])) == list(range(100))
    for part in parts:
        assert (part.start == sessions.offsets[part.session]).all()
        assert (part.stop == sessions.offsets[part.session + 1]).all()


def test_random_split_follows_the_seed():
    sessions = store([3] * 100)
    chosen = [split_sessions(sessions, "random", (8, 1, 1), seed)[2].session for seed in (1, 1, 2)]
    assert np.array_equal(chosen[0], chosen[1]) and not np.array_equal(chosen[0], chosen[2])


def test_split_by_time_tests_the_latest_sessions():
    sessions = store([3] * 100)
    last = sessions.timestamps[sessions.offsets[1:] - 1]
    training, validation, test = split_sessions(sessions, "session_end", (0.8, 0.1, 0.1), seed=1)
    assert last[training.session].max() < last[validation.session].min()
    assert last[validation.session].max() < last[test.session].min()


CUT = 1_600_000_000.0
DAY = 86_400.0


def long_sessions():
    """Four of six events, one a day, each begun a day after the one before; and a late one."""
    session = np.repeat(np.arange(5), [6, 6, 6, 6, 2])
    day = np.concatenate([np.arange(6) + s for s in range(4)] + [[8, 9]])
    return flat_sessions(session, session + 1, CUT + DAY * day, 0 * day, 0 * session, ("click",))


@pytest.mark.parametrize(
    "at",
    [
        ("2020-09-18T12:26:40", "2020-09-20 12:26:40+00:00"),
        ("2020-09-18", "2020-09-20T00:00:00Z"),
        (CUT + 5 * DAY, CUT + 6.5 * DAY),
        (17 / 26, 21 / 26),
    ],
)
def test_cutoff_is_a_holdout_in_time(at):
    sessions = long_sessions()
    parts = split_sessions(sessions, "cutoff", (0.8, 0.1, 0.1), 1, at)
    every = np.zeros(len(sessions.items), int)
    spans = []
    for part in parts:
        place = np.concatenate(
            [np.arange(*ends) for ends in zip(part.start, part.stop, strict=True)]
        )
        every[place] += 1
        spans.append((sessions.timestamps[place].min(), sessions.timestamps[place].max()))
        assert (part.start < part.stop).all()
        assert (part.start >= sessions.offsets[part.session]).all()
        assert (part.stop <= sessions.offsets[part.session + 1]).all()
    assert (every == 1).all()  # each event in one part, whichever sessions go on
    (_, trained), (validated, until), (tested, _) = spans
    assert trained < validated <= until < tested
    training, validation, test = parts
    assert training.session.tolist() == [0, 1, 2, 3]
    assert set(validation.session) <= set(training.session)  # what they read is history
    assert test.session[-1] == 4 and test.start[-1] == sessions.offsets[4]


def test_cutoff_by_the_shares_of_split_ratio():
    parts = split_sessions(long_sessions(), "cutoff", (17, 4, 5), 1)
    same = split_sessions(long_sessions(), "cutoff", (8, 1, 1), 1, (17 / 26, 21 / 26))
    for part, other in zip(parts, same, strict=True):
        for mine, theirs in zip(vars(part).values(), vars(other).values(), strict=True):
            assert np.array_equal(mine, theirs)


def test_dates_are_of_the_logs_unit_and_refused_where_it_has_none():
    seconds = long_sessions()
    at = ("2020-09-18", "2020-09-20")
    expected = split_sessions(seconds, "cutoff", (8, 1, 1), 1, at)
    milliseconds = replace(seconds, timestamps=seconds.timestamps * 1000)
    found = split_sessions(milliseconds, "cutoff", (8, 1, 1), 1, at)
    assert all(np.array_equal(a.stop, b.stop) for a, b in zip(expected, found, strict=True))
    ordinal = replace(seconds, timestamps=np.arange(26.0))
    with pytest.raises(
        ValueError, match=r"are dates, and the times of the log, 0 to 25, are no Unix"
    ):
        split_sessions(ordinal, "cutoff", (8, 1, 1), 1, at)


def test_a_cutoff_that_leaves_a_part_empty_is_named():
    with pytest.raises(
        ValueError, match=r"the test part .* split cutoff \[2020-09-18, 2030-01-01\]"
    ):
        split_sessions(long_sessions(), "cutoff", (8, 1, 1), 1, ("2020-09-18", "2030-01-01"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"split": "time"}, "split must be session_end, .* is no holdout in time, or cutoff"),
        ({"split_at": [0.8, 0.9]}, "split_at must be empty, or split be cutoff"),
        ({"split": "cutoff", "split_at": [0.9, 0.8]}, "split_at must be two dates .*later"),
        (
            {"split": "cutoff", "split_at": ["2020-01-02", "2020-01-01"]},
            "split_at must be two dates",
        ),
        ({"split": "cutoff", "split_at": ["2020-01-01"]}, "split_at must be two dates"),
        ({"split": "cutoff", "split_at": "2020-01-01"}, "split_at must be two dates"),
        ({"split": "cutoff", "split_at": ["2020-01-01", 5]}, "split_at must be two dates"),
        ({"split": "cutoff", "split_at": ["soon", "later"]}, "split_at must be two dates .*soon"),
        ({"split": "cutoff", "split_at": [True, 5]}, "split_at must be two dates"),
        (
            {"split": "cutoff", "split_ratio": [None, 5, 5]},
            "split_ratio must be shares, or split_at",
        ),
    ],
)
def test_cuts_that_cut_nothing_are_refused(given, said):
    with pytest.raises(SettingError, match=said):
        settings(**given)


def test_dates_are_read_from_yaml_and_the_command_line(tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text("split: cutoff\nsplit_at: [2020-01-01, 2020-02-01 10:00:00]\n")
    assert settings(**read_file(file)).split_at == ("2020-01-01", "2020-02-01 10:00:00")
    at = parse("[2020-01-01, 2020-02-01]")
    assert settings(split="cutoff", split_at=at).split_at == ("2020-01-01", "2020-02-01")
    assert settings(eval_args={"order": "TO"}).split == "session_end"


def test_leave_one_out_as_recbole_counts_it():
    sessions = store([1, 2, 3, 4, 6])
    training, validation, test = split_sessions(sessions, "leave_one_out", (8, 1, 1), seed=1)
    ends = sessions.offsets[1:]
    assert (training.stop - sessions.offsets[:-1]).tolist() == [1, 2, 2, 2, 4]
    assert validation.session.tolist() == [3, 4]
    assert validation.start.tolist() == [ends[3] - 2, ends[4] - 2]
    assert test.session.tolist() == [2, 3, 4]
    assert test.start.tolist() == [ends[2] - 1, ends[3] - 1, ends[4] - 1]


@pytest.mark.parametrize("how", ["random", "session_end", "leave_one_out"])
def test_an_empty_part_is_named(how):
    with pytest.raises(ValueError, match=r"the (validation|test) part has nothing to predict"):
        split_sessions(store([2, 3, 2]), how, (0.8, 0.1, 0.1), seed=1)


def test_sessions_of_one_event_do_not_fill_a_part():
    with pytest.raises(ValueError, match="nothing to predict"):
        split_sessions(store([1] * 100), "random", (0.8, 0.1, 0.1), seed=1)
