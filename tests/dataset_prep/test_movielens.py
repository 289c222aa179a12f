"""MovieLens: one log in its three layouts, the preparation worked by hand, and bad rows."""

import gzip
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from dataset_prep import movielens, ratings
from dataset_prep.ratings import Preparation
from dataset_prep.sources import InputError
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.plugin.atomic_files import read_atomic
from recbole_lpi.plugin.rewards import events_of_rewards, rewards_of_ratings
from recbole_lpi.yaml_values import read_file
from tests.support.converters import ConverterSuite

# User 7 has five ratings, two at one time; 9 has five; 8 has four.
ROWS = """\
7 30 4.0 1000001000
9 10 2.5 1000003000
7 10 3.5 1000001001
8 10 5.0 1000000001
7 20 3.0 1000000999
8 20 5.0 1000000002
7 50 5.0 1000001001
8 30 5.0 1000000003
9 20 0.5 1000002999
9 30 2.0 1000003001
9 40 4.5 1000003002
8 40 5.0 1000000004
9 60 4.0 1000003003
7 40 1.0 1000001001
"""
HEADER = "userId movieId rating timestamp\n"
EVERYTHING = Preparation(min_ratings=0, max_ratings=0)


def rows(folder: Path) -> list[list[str]]:
    lines = (folder / f"{folder.name}.inter").read_text().splitlines()
    return [line.split("\t") for line in lines]


def plain(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def gzipped(path: Path, text: str) -> Path:
    path.with_suffix(".gz").write_bytes(gzip.compress(text.encode()))
    return path.with_suffix(".gz")


def zipped(path: Path, text: str) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for name, content in {"README": "x", "u1.base": "1\t1\t1\t1\n", path.name: text}.items():
            archive.writestr(f"ml-1m/{name}", content)
    return path.with_suffix(".zip")


class TestMovieLens(ConverterSuite):
    files = {"ratings.csv": (HEADER + ROWS).replace(" ", ",")}
    rows = [
        ("7", "20", 1000000999.0, 3.0, "rated", 0.5),
        ("7", "30", 1000001000.0, 4.0, "liked", 1.0),
        ("7", "10", 1000001001.0, 3.5, "rated", 0.5),  # ties, in file order
        ("7", "50", 1000001001.0, 5.0, "liked", 1.0),
        ("7", "40", 1000001001.0, 1.0, "rated", 0.0),
        ("9", "20", 1000002999.0, 0.5, "rated", 0.0),
        ("9", "10", 1000003000.0, 2.5, "rated", 0.0),
        ("9", "30", 1000003001.0, 2.0, "rated", 0.0),
        ("9", "40", 1000003002.0, 4.5, "liked", 1.0),
        ("9", "60", 1000003003.0, 4.0, "liked", 1.0),
        ("8", "10", 1000000001.0, 5.0, "liked", 1.0),
        ("8", "20", 1000000002.0, 5.0, "liked", 1.0),
        ("8", "30", 1000000003.0, 5.0, "liked", 1.0),
        ("8", "40", 1000000004.0, 5.0, "liked", 1.0),
    ]
    bad = ("ratings.csv", "7,30,soon,1000001000", "the rating")

    def convert(self, paths, output, **options):
        return movielens.convert(paths[0], output, EVERYTHING, **options)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return plain(tmp_path / "ratings.csv", (HEADER + ROWS).replace(" ", ","))


def test_rows_worked_by_hand(log: Path, tmp_path: Path) -> None:
    """Of 7 the one at ...999 goes first, then in file order that of 30; 8 goes; half stars fall."""
    summary = movielens.convert(log, tmp_path / "ml", Preparation(max_ratings=3))
    header, *found = rows(tmp_path / "ml")
    assert header == [
        "session_id:token",
        "item_id:token",
        "timestamp:float",
        "rating:float",
        "event:token",
        "reward:float",
    ]
    assert [(s, i, float(t), float(r), e, float(w)) for s, i, t, r, e, w in found] == [
        ("7", "10", 1_000_001_001, 3.5, "rated", 0.5),
        ("7", "50", 1_000_001_001, 5.0, "liked", 1.0),
        ("7", "40", 1_000_001_001, 1.0, "rated", 0.0),
        ("9", "30", 1_000_003_001, 2.0, "rated", 0.0),
        ("9", "40", 1_000_003_002, 4.5, "liked", 1.0),
        ("9", "60", 1_000_003_003, 4.0, "liked", 1.0),
    ]
    assert vars(summary.raw) == {"sequences": 3, "items": 6, "ratings": 14, "liked": 8}
    assert vars(summary.kept) == {"sequences": 2, "items": 5, "ratings": 6, "liked": 3}
    assert summary.dropped == {
        "ratings_of_short_users": 4,
        "older_ratings": 4,
        "ratings_of_rare_items": 0,
    }
    assert summary.rewards == {"0.0": 2, "0.5": 1, "1.0": 3}
    written = json.loads((tmp_path / "ml" / "summary.json").read_text())
    assert written["settings"]["max_ratings"] == 3
    assert written["raw_events"] == {
        "0.5": 1, "1.0": 1, "2.0": 1, "2.5": 1, "3.0": 1, "3.5": 1, "4.0": 2, "4.5": 1, "5.0": 5,
    }  # fmt: skip
    assert yaml.safe_load((tmp_path / "ml" / "ml.yaml").read_text()) == {
        "USER_ID_FIELD": "session_id",
        "ITEM_ID_FIELD": "item_id",
        "TIME_FIELD": "timestamp",
        "RATING_FIELD": "rating",
        "load_col": {
            "inter": ["session_id", "item_id", "timestamp", "rating", "event", "reward"],
        },
        "rating_to_reward": {0: 0, 3: 0.5, 4: 1},
        "reward_field": "reward",
        "event_field": "event",
        "purchase_events": ["liked"],
        "click_events": ["rated"],
    }


def test_the_package_reads_what_is_written(log: Path, tmp_path: Path) -> None:
    movielens.convert(log, tmp_path / "ml")
    found = DataSettings.of(defaultdict(lambda: None, read_file(tmp_path / "ml" / "ml.yaml")))
    assert found.rating_to_reward == {0: 0, 3: 0.5, 4: 1}
    assert (found.purchase_events, found.click_events) == (("liked",), ("rated",))
    frame = read_atomic(str(tmp_path / "ml" / "ml.inter"), "\t").frame
    columns = [found.USER_ID_FIELD, found.ITEM_ID_FIELD, found.TIME_FIELD, found.RATING_FIELD]
    assert list(frame) == [*columns, found.event_column, found.reward_column]
    assert frame[found.reward_column].sum() == 0.5 + 0.5 + 1 + 1 + 0 + 1 + 1  # by hand, 7 then 9


@pytest.mark.parametrize("pack", [plain, gzipped, zipped])
@pytest.mark.parametrize(
    ("name", "separator", "first"),
    [("ratings.csv", ",", HEADER), ("ratings.dat", "::", ""), ("u.data", "\t", "")],
)
def test_every_layout_gives_the_same_rows(
    log: Path,
    tmp_path: Path,
    pack: Callable[[Path, str], Path],
    name: str,
    separator: str,
    first: str,
) -> None:
    movielens.convert(log, tmp_path / "ml")
    (tmp_path / "other").mkdir()
    path = pack(tmp_path / "other" / name, (first + ROWS).replace(" ", separator))
    movielens.convert(path, tmp_path / "other" / "ml")
    assert rows(tmp_path / "other" / "ml") == rows(tmp_path / "ml")
    assert len(rows(tmp_path / "ml")) == 11


def test_filters_are_one_pass_each_and_may_be_off(log: Path, tmp_path: Path) -> None:
    everything = movielens.convert(log, tmp_path / "all", EVERYTHING)
    assert everything.kept == everything.raw
    # 7 and 9 keep 30, 10, 20, 50, 40 and 10, 20, 30, 40, 60: then 50 and 60 are single.
    summary = movielens.convert(log, tmp_path / "ml", Preparation(min_item_ratings=2))
    assert [row[1] for row in rows(tmp_path / "ml")[1:]] == [
        *("20", "30", "10", "40"), *("20", "10", "30", "40"),
    ]  # fmt: skip
    assert summary.dropped["ratings_of_rare_items"] == 2
    summary = movielens.convert(log, tmp_path / "five", Preparation(4, 5))
    assert set(summary.dropped.values()) == {0}  # 8 has one less than it may
    with pytest.raises(InputError, match=r"no event is left for none: 0 bad rows .* 14 rows"):
        movielens.convert(log, tmp_path / "none", Preparation(min_ratings=6))


def test_blocks_of_sessions_change_nothing(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    movielens.convert(log, tmp_path / "ml", Preparation(4, 3))
    whole = rows(tmp_path / "ml")
    monkeypatch.setattr("dataset_prep.logs.BLOCK", 4)
    movielens.convert(log, tmp_path / "ml", Preparation(4, 3), overwrite=True)
    assert rows(tmp_path / "ml") == whole
    assert [row[0] for row in whole[1:]] == list("777888999")  # by the first row that is kept


def test_rewards_are_those_the_package_derives(log: Path, tmp_path: Path) -> None:
    worth = ratings.rating_to_reward(["0.5=-1", "2.5=0.25", "4=2", "3=1"])
    movielens.convert(log, tmp_path / "ml", Preparation(0, 0, 0, worth))
    frame = pl.read_csv(tmp_path / "ml" / "ml.inter", separator="\t")
    expected = rewards_of_ratings(frame["rating:float"].to_numpy(), worth)
    assert np.array_equal(frame["reward:float"].to_numpy(), expected)
    assert set(expected) == {-1, 0.25, 1, 2}
    assert frame["event:token"].to_list() == list(events_of_rewards(expected))


def test_a_rating_below_every_reward_is_refused(log: Path, tmp_path: Path) -> None:
    worth = ratings.rating_to_reward(["1=0", "4=1"])
    message = r"rating of 0.5 has no reward, .* is from 1 on: add --reward 0.5=VALUE"
    with pytest.raises(InputError, match=message):
        movielens.convert(log, tmp_path / "ml", Preparation(rating_to_reward=worth))
    log.write_text(log.read_text().replace(",0.5,", ",1,"))
    movielens.convert(log, tmp_path / "ml", Preparation(rating_to_reward=worth))


def test_reward_options() -> None:
    assert ratings.rating_to_reward([]) == {0: 0, 3: 0.5, 4: 1}
    assert ratings.rating_to_reward(["5=1", "0.5=0"]) == {5: 1, 0.5: 0}
    for options, message in (
        (["liked=1"], "liked is no rating"),
        (["nan=1"], "nan is no rating"),
        (["3=1", "3.0=0"], "names 3 twice"),
        (["3=much"], "not NAME=VALUE"),
    ):
        with pytest.raises(InputError, match=message):
            ratings.rating_to_reward(options)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("7,30,4.0", "not 4 fields"),
        ("7,30,4.0,1000001000,1", "not 4 fields"),
        ("seven,30,4.0,1000001000", "the user is not a whole number"),
        ("7,,4.0,1000001000", "the movie is not a whole number"),
        ("7,30,0,1000001000", "the rating is not 0.5, 1, 1.5"),
        ("7,30,5.5,1000001000", "the rating is not 0.5, 1, 1.5"),
        ("7,30,3.7,1000001000", "the rating is not 0.5, 1, 1.5"),
        ("7,30,nan,1000001000", "the rating is not 0.5, 1, 1.5"),
        ("7,30,4.0,yesterday", "the timestamp is not Unix seconds"),
        ("7,30,4.0,1000001000000", "the timestamp is not Unix seconds from 1990 to 2100"),
    ],
)
def test_bad_row_stops_or_is_counted(log: Path, tmp_path: Path, bad: str, reason: str) -> None:
    lines = log.read_text().splitlines()
    log.write_text("\n".join([*lines[:3], bad, *lines[3:]]))
    with pytest.raises(InputError) as caught:
        movielens.convert(log, tmp_path / "ml", EVERYTHING)
    message = str(caught.value)
    assert f"{log}, line 4: {reason}" in message
    assert repr(bad) in message and "--on_error=skip" in message
    summary = movielens.convert(log, tmp_path / "ml", EVERYTHING, on_error="skip")
    assert list(summary.bad_rows.values()) == [1]
    assert len(rows(tmp_path / "ml")) == 15


def test_another_file_is_no_movielens(tmp_path: Path) -> None:
    for text in ("movieId,title,genres\n1,Toy Story,Comedy\n", "7,30,4.0,1000001000\n"):
        path = plain(tmp_path / "movies.csv", text)
        message = r"movies.csv, line 1: '.*' begins neither u.data .* nor ratings.csv \(userId,"
        with pytest.raises(InputError, match=message):
            movielens.convert(path, tmp_path / "ml")
