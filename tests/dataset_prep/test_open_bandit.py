"""The Open Bandit Dataset: an impression a row, with its propensity, clicked or not."""

from pathlib import Path

import pytest

from dataset_prep import open_bandit
from dataset_prep.sources import InputError
from recbole_lpi.yaml_values import read_file
from tests.support.converters import ConverterSuite, rows_of

HEADER = (
    ",timestamp,item_id,position,click,propensity_score,user_feature_0,user_feature_1,"
    "user_feature_2,user_feature_3,user-item_affinity_0"
)
LOG = f"""{HEADER}
0,2019-11-24 00:00:17.004101+00:00,79,2,0,0.087125,81c,03a,7bc,c39,0.0
1,2019-11-24 00:00:19.715857+00:00,14,1,1,0.006235,4ae,03a,7bc,c39,0.0
2,2019-11-24 00:01:04+00:00,79,3,0,1e-06,81c,03a,7bc,c39,0.0
"""
FIRST, SECOND, THIRD = 1574553617.004101, 1574553619.715857, 1574553664.0


class TestOpenBandit(ConverterSuite):
    files = {"all.csv": LOG}
    rows = [
        ("1", "79", FIRST, 0.087125, "ignored", 0.0),
        ("2", "14", SECOND, 0.006235, "click", 1.0),
        ("3", "79", THIRD, 1e-06, "ignored", 0.0),
    ]
    bad = ("all.csv", "3,2019-11-24 00:01:05+00:00,7,1,0,0,81c,03a,7bc,c39,0.0", "the propensity")

    def convert(self, paths, output, **options):
        return open_bandit.convert(paths[0], output, **options)


class TestOpenBanditByFeatures(ConverterSuite):
    files = {"all.csv": LOG}
    rows = [
        ("81c~03a~7bc~c39", "79", FIRST, 0.087125, "ignored", 0.0),
        ("81c~03a~7bc~c39", "79", THIRD, 1e-06, "ignored", 0.0),
        ("4ae~03a~7bc~c39", "14", SECOND, 0.006235, "click", 1.0),
    ]
    bad = ("all.csv", "3,2019-11-24 00:01:05+00:00,7,1,0,0.1,81c,,7bc,c39,0.0", "a user feature")

    def convert(self, paths, output, **options):
        return open_bandit.convert(paths[0], output, sessions="features", **options)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "all.csv"
    path.write_text(LOG)
    return path


def test_settings_are_those_of_a_log_of_single_events(log, tmp_path):
    summary = open_bandit.convert(log, tmp_path / "obd")
    found = read_file(tmp_path / "obd" / "obd.yaml")
    assert found["evaluate_first_event"] is True  # there would be nothing to predict
    assert found["purchase_events"] == [] and found["click_events"] == ["click"]
    assert "propensity" in found["load_col"]["inter"]
    assert vars(summary.kept) == {"sequences": 3, "items": 2, "clicks": 1, "purchases": 0}
    open_bandit.convert(log, tmp_path / "by_features", sessions="features")
    assert "evaluate_first_event" not in read_file(tmp_path / "by_features" / "by_features.yaml")


def test_one_position_can_be_kept(log, tmp_path):
    summary = open_bandit.convert(log, tmp_path / "obd", position=3)
    assert [row[0] for row in rows_of(tmp_path / "obd")] == ["3"]
    assert summary.dropped == {"events_of_other_positions": 2}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("3,2019-11-24 00:01:05+00:00,x,1,0,0.1,81c,03a,7bc,c39,0.0", "the item is not a whole"),
        ("3,soon,7,1,0,0.1,81c,03a,7bc,c39,0.0", "the timestamp is not ISO 8601"),
        ("3,2019-11-24 00:01:05+00:00,7,4,0,0.1,81c,03a,7bc,c39,0.0", "the position is not 1, 2"),
        ("3,2019-11-24 00:01:05+00:00,7,1,2,0.1,81c,03a,7bc,c39,0.0", "click is not 0 or 1"),
        ("3,2019-11-24 00:01:05+00:00,7,1,0,1.5,81c,03a,7bc,c39,0.0", "the propensity is not"),
        ("3,2019-11-24 00:01:05+00:00,7,1,0,,81c,03a,7bc,c39,0.0", "the propensity is not"),
        ("3,2019-11-24 00:01:05+00:00,7,1,0,nan,81c,03a,7bc,c39,0.0", "the propensity is not"),
        ("3,2019-11-24 00:01:05+00:00,7", "not 11 fields"),
    ],
)
def test_bad_cells_are_refused_by_their_line(log, tmp_path, line, reason):
    log.write_text(LOG + line + "\n")
    with pytest.raises(InputError) as told:
        open_bandit.convert(log, tmp_path / "obd")
    assert str(told.value).startswith(f"{log}, line 5: {reason}")


def test_words_that_are_none_are_refused(log, tmp_path):
    with pytest.raises(InputError, match="sessions is 'users': pass impressions or features"):
        open_bandit.convert(log, tmp_path / "obd", sessions="users")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="position is 4: pass one of 1, 2, 3"):
        open_bandit.convert(log, tmp_path / "obd", position=4)
