"""Files of sessions are read whole session by whole session, however they are cut into batches."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from recbole_lpi.serving import load_policy, session_files
from recbole_lpi.serving.batch import recommend_file
from recbole_lpi.serving.session_files import SeenBefore, SessionFile, whole_sessions
from recbole_lpi.settings import SettingError
from tests.support.served import histories, kept, network


def log(of=None):
    rows = [
        (f"s{number}", *event)
        for number, history in enumerate(of or histories())
        for event in history
    ]
    return pl.DataFrame(
        rows, schema=["session_id", "item_id", "event", "timestamp"], orient="row"
    )  # fmt: skip


def write(frame, path):
    if path.suffix == ".parquet":
        frame.write_parquet(path, row_group_size=7)
    elif path.suffix == ".csv":
        frame.write_csv(path)
    else:
        kinds = {"timestamp": "float"}
        named = {name: f"{name}:{kinds.get(name, 'token')}" for name in frame.columns}
        frame.rename(named).write_csv(path, separator="\t", quote_style="never")
    return path


@pytest.fixture
def few_rows_at_a_time(monkeypatch):
    monkeypatch.setattr(session_files, "ROWS", 3)
    monkeypatch.setattr(session_files, "BLOCK", 300)


@pytest.mark.parametrize("kind", ["parquet", "csv", "inter"])
def test_a_file_is_recommended_for_as_a_table_in_memory_is(kind, tmp_path, few_rows_at_a_time):
    policy = load_policy(kept(network(), tmp_path / "run"))
    frame = log([*histories(), [("gone", "click", 1.6e9)], *histories(3, seed=9)])
    file = SessionFile.open(write(frame, tmp_path / f"log.{kind}"))
    parts = list(whole_sessions(file))
    assert len(parts) > 5
    assert [row for row, _ in parts] == np.cumsum([0, *(len(part) for _, part in parts)])[
        :-1
    ].tolist()
    assert pl.concat([part for _, part in parts]).equals(frame)
    told: list[int] = []
    asked: list[dict[str, Any]] = [{"k": 4}, {"k": 3, "sample": True, "seed": 5}]
    for how in asked:
        served = recommend_file(
            policy, file, tmp_path / "found.parquet", policy.choice(**how), told.append
        )
        wanted = policy.recommend(frame.filter(pl.col("item_id") != "gone"), **how).table()
        found = pl.read_parquet(tmp_path / "found.parquet")
        assert found.drop("log_pi", "propensity").equals(wanted.drop("log_pi", "propensity"))
        np.testing.assert_allclose(found["propensity"], wanted["propensity"], rtol=1e-4)
        assert (served.sessions, served.empty, served.unknown) == (43, 1, 1)
        assert served.rows == len(found) == 43 * how["k"]
    assert sum(told) == 2 * len(frame)


def test_a_policy_that_opens_sessions_leaves_none_out(tmp_path):
    policy = load_policy(kept(network(first=True), tmp_path / "run"))
    frame = log([[("gone", "click", 1.6e9)], [("item 1", "click", 1.6e9)]])
    file = SessionFile.open(write(frame, tmp_path / "log.parquet"))
    served = recommend_file(policy, file, tmp_path / "found.parquet", policy.choice(2))
    assert (served.sessions, served.empty, served.unknown) == (2, 0, 1)


def test_a_session_that_comes_back_is_refused_with_its_row(tmp_path, few_rows_at_a_time):
    policy, output = load_policy(kept(network(), tmp_path / "run")), tmp_path / "found.parquet"
    frame = log()
    output.write_text("an earlier one")
    scattered = pl.concat([frame, frame[:1]])
    file = SessionFile.open(write(scattered, tmp_path / "log.parquet"))
    said = rf"log.parquet: session s0 begins in row 0 and comes back in row {len(frame)}, .* sort"
    with pytest.raises(SettingError, match=said):
        recommend_file(policy, file, output, policy.choice(2))
    assert output.read_text() == "an earlier one"
    assert not list(tmp_path.glob("*.part"))


def test_two_sessions_of_one_hash_are_two(tmp_path, few_rows_at_a_time, monkeypatch):
    monkeypatch.setattr(pl.Series, "hash", lambda self: pl.Series([7] * len(self), dtype=pl.UInt64))
    file = SessionFile.open(write(log(), tmp_path / "log.parquet"))
    assert sum(len(part) for _, part in whole_sessions(file)) == len(log())


def test_what_a_row_lacks_is_refused_with_its_row(tmp_path, few_rows_at_a_time):
    policy, frame = load_policy(kept(network(), tmp_path / "run")), log()
    for name in ("session_id", "item_id", "timestamp"):
        hole = pl.arange(0, len(frame), eager=True) == 30
        broken = frame.with_columns(pl.when(hole).then(None).otherwise(pl.col(name)).alias(name))
        for kind in ("parquet", "csv"):
            file = SessionFile.open(write(broken, tmp_path / f"log.{kind}"))
            with pytest.raises(SettingError, match=rf"log.{kind}: row 30.* has no {name}"):
                recommend_file(policy, file, tmp_path / "found.parquet", policy.choice(2))


@pytest.mark.parametrize(("name", "content", "said"), [
    ("log.json", "{}", r"must end in \.parquet, \.csv"),
    ("log.csv", "user,item_id\n1,2\n", "has no column session_id, it has user, item_id: rename it"),
    ("log.parquet", "session_id", "log.parquet cannot be read: ArrowInvalid"),
    ("log.csv", "session_id,item_id,timestamp\n1,2,noon\n", "cannot be read: InvalidOperation"),
])  # fmt: skip
def test_a_file_that_is_none_is_refused(name, content, said, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(SettingError, match=said):
        list(whole_sessions(SessionFile.open(tmp_path / name)))


def test_hashes_are_seen_once():
    seen, draws = SeenBefore(), np.random.default_rng(0)
    known: set[int] = set()
    for _ in range(60):
        hashes = draws.integers(0, 400, draws.integers(1, 30)).astype(np.uint64)
        wanted = []
        for value in hashes.tolist():
            wanted.append(value in known)
            known.add(value)
        assert seen.add(hashes).tolist() == wanted
    assert len(seen._sorted) < 10
