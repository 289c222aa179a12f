from typing import Any

import numpy as np
import polars as pl
import pytest

from recbole_lpi.evaluation.off_policy import ColumnError, LoggedEvents
from recbole_lpi.evaluation.off_policy.event_files import read_logged_events
from recbole_lpi.evaluation.off_policy.policy_report import report_on
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.settings import SettingError

TABLE = {
    "session_id": ["b", "b", "a", "a"], "position": [0, 1, 0, 3], "reward": [0.0, 1, 0, 2],
    "log_pi": [-1.0, -2, -3, -1], "log_mu": [-2.0, -1, -1, -1],
}  # fmt: skip


def written(tmp_path, **columns):
    path = tmp_path / "log.parquet"
    table = {name: column for name, column in {**TABLE, **columns}.items() if column is not None}
    pl.DataFrame(table).write_parquet(path)
    return path


def test_what_a_table_says(tmp_path):
    events = read_logged_events(written(tmp_path, q=[0.1, 0.2, 0.3, 0.4], other=["x"] * 4))
    assert events.weight == pytest.approx(np.exp([1, -1, -2, 0]))
    assert len(np.unique(events.session)) == 2
    assert events.session[0] == events.session[1] != events.session[2] == events.session[3]
    assert events.session_sizes.tolist() == [2, 2]
    assert events.per_session(events.reward).sum() == 3
    assert events.has("q") and not events.has("v_pi")


def test_sessions_of_numbers_and_first_choices(tmp_path):
    path = written(
        tmp_path, session_id=[70, 70, -5, -5], item_id=["i", "j", "k", "i"],
        greedy_item=["i", "i", "k", "j"], greedy_log_mu=[-1.0, -1, -1, -1],
    )  # fmt: skip
    events = read_logged_events(path)
    assert events.session.tolist() == [1, 1, 0, 0]
    assert events.greedy_is_logged is not None and events.greedy_item is not None
    assert events.greedy_is_logged.tolist() == [True, False, True, False]
    assert len(np.unique(events.greedy_item)) == 3


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"reward": [0.0, float("nan"), 1, 1]}, "column reward, row 2: it must be a finite number"),
        ({"reward": [0.0, 1, None, 1]}, "column reward, row 3: it is empty"),
        ({"reward": ["a", "b", "c", "d"]}, "column reward: it must hold numbers"),
        ({"log_pi": [-1.0, -2, 0.5, -1]}, "column log_pi, row 3: a log-probability is at most 0"),
        ({"log_mu": [-1.0, None, -1, -1]}, "column log_mu, row 2: it is empty"),
        ({"log_mu": [-1.0, float("nan"), -1, -1]}, "column log_mu, row 2: it is missing"),
        ({"log_mu": [-1.0, -1, -1, float("-inf")]}, "column log_mu, row 4: what was logged had"),
        ({"session_id": ["b", None, "a", "a"]}, "column session_id, row 2: it is empty"),
        ({"session_id": [0.5, 1, 1, 2]}, "column session_id: it must hold text or whole numbers"),
        ({"position": [0, 1, 3, 3]}, "column position, row 4: 3 is there twice in one session"),
        ({"position": [0, 1, 3, -1]}, "column position, row 4: it must be a whole number ≥ 0"),
        ({"position": [0.5, 1, 3, 4]}, "column position: it must hold whole numbers"),
        ({"log_mu": None, "logmu": [-1.0] * 4}, "no column log_mu: is it 'logmu' or"),
        ({"reward": None}, "there is no column reward: needed are session_id, position"),
        ({name: [] for name in TABLE}, "the table is empty"),
        ({"q": [0.1, 0.2, float("inf"), 0.4]}, "column q, row 3: it must be a finite number"),
    ],
)
def test_what_is_refused(tmp_path, columns, said):
    path = written(tmp_path, **columns)
    with pytest.raises(SettingError) as error:
        read_logged_events(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_no_table_is_refused(tmp_path):
    for path, said in ((tmp_path, "is a folder"), (tmp_path / "none", "does not exist")):
        with pytest.raises(SettingError, match=said):
            read_logged_events(path)
    (tmp_path / "text").write_text("a,b\n")
    with pytest.raises(SettingError, match="cannot be read as Parquet"):
        read_logged_events(tmp_path / "text")


def test_a_mu_that_nobody_knows(tmp_path):
    events = read_logged_events(
        written(tmp_path, log_mu=pl.Series([None] * 4, dtype=pl.Float64), js_stderr=[0.1] * 4)
    )
    assert not events.has_log_mu and not events.has("log_mu")
    assert events.candidates_only


def test_it_is_known_and_told_where_mu_is_an_estimate(tmp_path):
    def told(logged=True, **columns):
        events = read_logged_events(written(tmp_path, **columns), logged=logged)
        report = report_on("π", events, ReportSettings(resamples=0, estimators=("snips",)))
        said = any("no log shows that an estimate is right" in each for each in report.warnings)
        assert said == events.estimated
        return said

    of_a_run = {"js": [0.1] * 4}
    assert told(**of_a_run) and not told()  # what anybody writes is taken at its word
    with_propensities = {**of_a_run, "log_propensity": [-1.0] * 4}
    assert not told(**with_propensities) and told(logged=False, **with_propensities)


def test_repeated_events_are_found_in_any_order():
    draw = np.random.default_rng(0)
    session = np.repeat(np.arange(50), 4)
    position = np.tile(np.arange(4), 50)
    shuffled = draw.permutation(200)
    columns: Any = {name: -np.ones(200) for name in ("reward", "log_pi", "log_mu")}
    LoggedEvents(**columns, session=session[shuffled], position=position[shuffled])
    position[17] = position[18]
    with pytest.raises(ColumnError, match="there twice") as error:
        LoggedEvents(**columns, session=session[shuffled], position=position[shuffled])
    assert error.value.row == max(np.flatnonzero((shuffled == 17) | (shuffled == 18)))


@pytest.mark.parametrize("session", [[0, 0, 2, 2], [1, 1, 2, 2], [0, 0, 9, 9]])
def test_ids_of_sessions_are_dense(session):
    columns: Any = {name: -np.ones(4) for name in ("reward", "log_pi", "log_mu")}
    with pytest.raises(ColumnError, match="ids must be 0 … S − 1"):
        LoggedEvents(**columns, session=np.array(session), position=np.arange(4))
