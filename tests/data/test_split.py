"""Parts share no session, and are what they are called."""

from collections import defaultdict

import numpy as np
import pytest

from recbole_lpi.data.sequences import flat_sessions
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.data.split import split_sessions
from recbole_lpi.host.values import parse
from recbole_lpi.settings import SettingError


def store(lengths):
    session = np.repeat(np.arange(len(lengths)), lengths)
    time = 1000.0 * (7 * session % len(lengths)) + np.arange(len(session))
    return flat_sessions(session, session + 1, time, 0 * time, 0 * session, ("click",))


@pytest.mark.parametrize("how", ["random", "time"])
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


@pytest.mark.parametrize("how", ["random", "time"])
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
    training, validation, test = split_sessions(sessions, "time", (0.8, 0.1, 0.1), seed=1)
    assert last[training.session].max() < last[validation.session].min()
    assert last[validation.session].max() < last[test.session].min()


def test_leave_one_out_as_recbole_counts_it():
    sessions = store([1, 2, 3, 4, 6])
    training, validation, test = split_sessions(sessions, "leave_one_out", (8, 1, 1), seed=1)
    ends = sessions.offsets[1:]
    assert (training.stop - sessions.offsets[:-1]).tolist() == [1, 2, 2, 2, 4]
    assert validation.session.tolist() == [3, 4]
    assert validation.start.tolist() == [ends[3] - 2, ends[4] - 2]
    assert test.session.tolist() == [2, 3, 4]
    assert test.start.tolist() == [ends[2] - 1, ends[3] - 1, ends[4] - 1]


@pytest.mark.parametrize("how", ["random", "time", "leave_one_out"])
def test_an_empty_part_is_named(how):
    with pytest.raises(ValueError, match=r"the (validation|test) part has nothing to predict"):
        split_sessions(store([2, 3, 2]), how, (0.8, 0.1, 0.1), seed=1)


def test_sessions_of_one_event_do_not_fill_a_part():
    with pytest.raises(ValueError, match="nothing to predict"):
        split_sessions(store([1] * 100), "random", (0.8, 0.1, 0.1), seed=1)
