"""Sessions kept on disk: the same as read anew, found by content, never believed if damaged."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from filelock import FileLock

from recbole_lpi.data import session_store as session_cache
from recbole_lpi.data.identity import data_hash
from recbole_lpi.data.tokens import Tokens, write_tokens
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.loading import LoadedLog
from recbole_lpi.plugin.runner import make_config, run
from tests.support.logs import SMALL, write_log
from tests.support.processes import exit_codes

pytestmark = pytest.mark.recbole

COLUMNS = ["session_id", "item_id", "timestamp", "event", "reward"]
CACHE = Path("runs/sessions")


def dataset(**given) -> PolicyDataset:
    settings = {"load_col": {"inter": COLUMNS}, **SMALL, **given}
    return PolicyDataset(make_config("LPIRL", "shop", (), settings))


def stores() -> list[Path]:
    return sorted(path for path in CACHE.iterdir() if path.is_dir())


@pytest.fixture
def made(monkeypatch) -> list[PolicyDataset]:
    """What was read, and not found."""
    found: list[PolicyDataset] = []
    loaded = LoadedLog.read_and_number

    def note(self):
        found.append(self)
        return loaded(self)

    monkeypatch.setattr(LoadedLog, "read_and_number", note)
    return found


def widen(log: Path) -> dict[str, object]:
    """Give the log columns that no policy reads, and items features; what loads them."""
    header, *lines = log.read_text().splitlines()
    rows = [
        f"{line}\t{n % 5 + 1}\tp{n % 3}\t{n / 7}\t{1 / (n % 9 + 1)}" for n, line in enumerate(lines)
    ]
    rows = rows[::-1]  # neither by session nor by time
    more = "rating:float\tpage:token\tdwell:float\tpropensity:float"
    log.write_text("\n".join([f"{header}\t{more}", *rows]) + "\n")
    items = [f"i{n}\tc{n % 4}\t{n / 2}" for n in range(3, 25)]
    head = "item_id:token\tcategory:token\tprice:float"
    log.with_suffix(".item").write_text("\n".join([head, *items]) + "\n")
    return {
        "load_col": {
            "inter": [*COLUMNS, "rating", "page", "dwell"],
            "item": ["item_id", "category", "price"],
        },
        "user_inter_num_interval": "[3,inf)",
    }


def assert_the_same(one: PolicyDataset, other: PolicyDataset) -> None:
    for name in ("items", "rewards", "events", "timestamps", "offsets", "ratings", "propensities"):
        ours, theirs = getattr(one.sessions, name), getattr(other.sessions, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            assert ours.dtype == theirs.dtype and type(ours) is type(theirs), name
            np.testing.assert_array_equal(ours, theirs)
    assert one.sessions.event_names == other.sessions.event_names
    np.testing.assert_array_equal(one.user_of_session, other.user_of_session)
    assert one.field2id_token.keys() == other.field2id_token.keys()
    for field, tokens in one.field2id_token.items():
        assert tokens.tolist() == other.field2id_token[field].tolist()
        assert dict(one.field2token_id[field]) == dict(other.field2token_id[field])
    for name in (
        "field2type", "field2source", "field2seqlen", "field2bucketnum", "feat_name_list",
    ):  # fmt: skip
        assert getattr(one, name) == getattr(other, name), name
    assert one.alias.keys() == other.alias.keys()
    assert str(one) == str(other)
    pd.testing.assert_frame_equal(one.inter_feat, other.inter_feat)
    for name in one.feat_name_list[1:]:
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))


def assert_parts_the_same(one: PolicyDataset, other: PolicyDataset) -> None:
    for mine, theirs in zip([one, *one.build()], [other, *other.build()], strict=True):
        assert str(mine) == str(theirs) and len(mine) == len(theirs)
        assert mine.inter_feat.columns == theirs.inter_feat.columns
        for ours, others in ((mine.inter_feat, theirs.inter_feat), (mine[[0, 3]], theirs[[0, 3]])):
            for field in ours.columns:
                assert torch.equal(ours[field], others[field]), field
    train, same = one.build()[0], other.build()[0]
    assert data_hash(train) == data_hash(same)
    for ours, others in zip(
        train.batch(train.training_windows), same.batch(same.training_windows), strict=True
    ):
        assert ours is others if ours is None or others is None else torch.equal(ours, others)


@pytest.mark.parametrize("wide", [False, True])
def test_kept_sessions_are_those_that_are_read(log, made, wide):
    given = widen(log) if wide else {}
    plain = dataset(**given, session_cache_dir="none")
    assert not CACHE.exists() and len(made) == 1
    first, again = dataset(**given), dataset(**given)
    assert len(made) == 2
    for kept in (first, again):
        assert_the_same(plain, kept)
    assert_parts_the_same(plain, first)
    assert_parts_the_same(dataset(**given, session_cache_dir="none"), again)
    assert not again.sessions.items.flags.writeable  # on the pages of the file
    assert [array.dtype for array in vars(again.sessions).values() if hasattr(array, "dtype")][
        :5
    ] == [np.int32, np.float32, np.uint8, np.float64, np.int64]
    rows = again.build()[0]
    assert ("category" in rows[[0]].columns) == wide


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"user_inter_num_interval": "[3,8]", "item_inter_num_interval": "[17,inf)"},
        {"val_interval": {"timestamp": "[1500010000,1500090000)"}},
        {"rm_dup_inter": "first", "item_inter_num_interval": "(2,inf)"},
        {"val_interval": {"event": ["click"]}, "user_inter_num_interval": "[3,inf)"},
    ],
)
@pytest.mark.parametrize("features", [False, True])
def test_loading_is_recboles(log, given, features):
    """Filters, ids and rows as RecBole's own data set has them."""
    from recbole.config import Config
    from recbole.data.dataset import Dataset

    wide: Any = widen(log)
    if not features:
        wide["load_col"].pop("item")
    settings = {**wide, **given}
    ours = dataset(**settings)
    config = Config("SASRec", "shop", config_dict={**settings, "USER_ID_FIELD": "session_id",
                                                   "train_neg_sample_args": None})  # fmt: skip
    recboles = Dataset(config)
    for field, tokens in recboles.field2id_token.items():
        assert ours.field2id_token[field].tolist() == tokens.tolist(), field
    by = ["session_id", "timestamp"]
    theirs = recboles.inter_feat.sort_values(by, kind="stable").reset_index(drop=True)
    assert len(theirs) == ours.inter_num > 0
    for name in theirs:
        expected = theirs[name].to_numpy()
        np.testing.assert_allclose(ours.inter_feat[name].to_numpy(), expected, rtol=1e-6)
    assert ours.user_num == recboles.user_num and ours.item_num == recboles.item_num
    assert ours.avg_actions_of_users == pytest.approx(recboles.avg_actions_of_users)
    assert ours.avg_actions_of_items == pytest.approx(recboles.avg_actions_of_items)


def test_an_item_without_features_has_none(log):
    """i0, i1 and i2 are not in the file, and padding is nobody: 0, and the mean of the others."""
    settings = widen(log) | {"filter_inter_by_user_or_item": False}
    for _ in range(2):  # read, and found
        data = dataset(**settings)
        data.build()
        known = [data.token2id("item_id", f"i{n}") for n in range(3, 25)]
        missing = [0, *(data.token2id("item_id", f"i{n}") for n in range(3))]
        assert data.item_feat["category"][known].min() > 0
        assert data.item_feat["category"][missing].tolist() == [0] * 4
        mean = float(data.item_feat["price"][known].mean())
        assert data.item_feat["price"][missing].tolist() == pytest.approx([mean] * 4)


def test_a_run_is_the_same_read_or_found(log):
    results = []
    for number, folder in enumerate(("none", "runs/sessions", "runs/sessions")):
        given = {**SMALL, "run_dir": f"runs/{number}", "session_cache_dir": folder,
                 "logging_policy_dir": f"runs/mu/{number}"}  # fmt: skip
        results.append(run("LPIRL", "shop", (), given).results)
        metrics = json.loads(Path(f"runs/{number}/metrics.json").read_text())
        assert metrics["data"] == json.loads(Path("runs/0/metrics.json").read_text())["data"]
    assert results[0] == results[1] == results[2]
    assert len(stores()) == 1


def test_recboles_own_model_runs_on_what_was_found(log):
    found = []
    for number in range(2):
        given = {**SMALL, "run_dir": f"runs/{number}", "logging_policy": "none"}
        found.append(run("GRU4Rec", "shop", (), given).results)
    assert found[0] == found[1] and len(stores()) == 1


def test_what_misses_and_what_does_not(log, made):
    dataset()
    for given in (
        {}, {"seed": 7}, {"split": "session_end"}, {"gamma": 0.9}, {"MAX_ITEM_LIST_LENGTH": 3},
        {"loss_on_last": 2}, {"purchase_events": ["click"], "click_events": ["purchase"]},
    ):  # fmt: skip
        dataset(**given)
    assert len(made) == 1 and len(stores()) == 1
    log.touch()  # a new time, and nothing else
    dataset()
    assert len(made) == 1
    before, text = os.stat(log), log.read_text()
    log.write_text(text.replace("i3\t", "i4\t", 1))
    os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(log).st_size == before.st_size and os.stat(log).st_mtime == before.st_mtime
    dataset()
    assert len(made) == 2 and len(stores()) == 2
    log.write_text(text)
    others: list[dict[str, Any]] = [
        {"user_inter_num_interval": "[4,inf)"}, {"item_inter_num_interval": "[2,inf)"},
        {"val_interval": {"reward": "[0,2]"}}, {"load_col": None}, {"reward_field": "timestamp"},
        {"rm_dup_inter": "last"}, {"rating_to_reward": {0: 0, 2: 1}},
    ]  # fmt: skip
    for given in others:
        dataset(**given)
        dataset(**given)
    assert len(made) == len(stores()) == 9
    log.with_suffix(".item").write_text("item_id:token\tprice:float\ni1\t1\n")
    dataset()
    assert len(made) == 10  # whether it is loaded is not asked: a file of items beside it is new


def truncate(folder: Path) -> None:
    (folder / "items.npy").write_bytes((folder / "items.npy").read_bytes()[:-4])


def flip(folder: Path) -> None:
    content = bytearray((folder / "rewards.npy").read_bytes())
    content[-5] ^= 1
    (folder / "rewards.npy").write_bytes(content)


def lose(folder: Path) -> None:
    (folder / "offsets.npy").unlink()


def spoil_about(folder: Path) -> None:
    (folder / "about.json").write_text("{")


def age(folder: Path) -> None:
    about = json.loads((folder / "about.json").read_text())
    (folder / "about.json").write_text(json.dumps({**about, "version": 0}))


def exchange(folder: Path) -> None:
    about = json.loads((folder / "about.json").read_text())
    about["made_from"]["settings"]["reward_field"] = "other"
    (folder / "about.json").write_text(json.dumps(about))


def pickle_in(folder: Path) -> None:
    """Consistent in every hash, and yet nothing of it is unpickled."""

    class Bomb:
        def __reduce__(self):
            return os.system, ("touch executed",)

    np.save(folder / "items.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    about = json.loads((folder / "about.json").read_text())
    about["files"]["items.npy"] = session_cache.content_hash(folder / "items.npy")
    (folder / "about.json").write_text(json.dumps(about))


def change(folder: Path, name: str, values: Callable[[np.ndarray], object]) -> None:
    """An array of the store, with the hash that it then has."""
    array = np.load(folder / f"{name}.npy")
    np.save(folder / f"{name}.npy", np.asarray(values(array)))
    rehash(folder, f"{name}.npy")


def rehash(folder: Path, name: str) -> None:
    about = json.loads((folder / "about.json").read_text())
    about["files"][name] = session_cache.content_hash(folder / name)
    (folder / "about.json").write_text(json.dumps(about))


def setting(place: int, value: float):
    def changed(array: np.ndarray) -> np.ndarray:
        array = array.copy()
        array[place] = value
        return array

    return changed


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("offsets", setting(-1, 10**9), "offsets that do not rise from 0 to"),
        ("offsets", setting(3, 10**9), "offsets that do not rise"),
        ("offsets", setting(3, 0), "offsets that do not rise"),
        ("offsets", setting(0, -1), "offsets that do not rise"),
        ("offsets", lambda a: a[:-1], "tokens of 119 sessions"),
        ("offsets", lambda a: a.astype(np.float64), "offsets is float64"),
        ("events", setting(5, 200), "kind 200 of 2 kinds of event"),
        ("items", setting(0, 0), "an item that is none of 1 to"),
        ("items", setting(0, 26), "an item that is none of 1 to 25"),
        ("items", lambda a: a[:-1], "rewards of"),
        ("items", lambda a: a[None], "items is int32 in 2 dimensions"),
        ("rewards", setting(7, np.nan), "a reward or a time that is not finite"),
        ("rewards", lambda a: a[:0], "0 rewards of"),
        ("timestamps", setting(1, 0), "times that fall within a session"),
        ("timestamps", setting(1, np.inf), "not finite"),
        ("user_of_session", setting(0, 1000), "a session's token that is none of 1 to 120"),
        ("user_of_session", setting(0, -1), "a session's token that is none of"),
    ],
)
def test_arrays_that_do_not_belong_together_are_not_believed(log, made, caplog, name, values, said):
    plain = dataset(session_cache_dir="none")
    dataset()
    (folder,) = stores()
    change(folder, name, values)
    assert_the_same(plain, dataset())
    assert len(made) == 3
    assert re.search(f"does not belong together: .*{said}", caplog.text)


@pytest.mark.parametrize("value", [0.0, -0.5, 1.5, np.nan])
def test_a_kept_propensity_that_is_none_is_not_believed(log, made, caplog, value):
    given = widen(log)
    plain = dataset(**given, session_cache_dir="none")
    dataset(**given)
    (folder,) = stores()
    change(folder, "propensities", setting(4, value))
    assert_the_same(plain, dataset(**given))
    assert len(made) == 3
    assert "does not belong together: a propensity that is not in (0, 1]" in caplog.text


def replace_by_a_file(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("mine")


def truncate_tokens(folder: Path) -> None:
    (folder / "tokens-1.arrow").write_bytes((folder / "tokens-1.arrow").read_bytes()[:-40])
    rehash(folder, "tokens-1.arrow")


def retype_tokens(folder: Path) -> None:
    write_tokens(folder / "tokens-1.arrow", Tokens(pa.array([1, 2])))
    rehash(folder, "tokens-1.arrow")


def lose_padding(folder: Path) -> None:
    write_tokens(folder / "tokens-1.arrow", Tokens(["x"] * 26))
    rehash(folder, "tokens-1.arrow")


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (truncate, "items.npy is not what was written"),
        (flip, "rewards.npy is not what was written"),
        (lose, "cannot be read .*offsets.npy"),
        (spoil_about, "cannot be read"),
        (age, "of format recbole_lpi sessions 0"),
        (exchange, "made from other data or with other settings"),
        (pickle_in, "cannot be read"),
        (replace_by_a_file, "cannot be read"),
        (truncate_tokens, "cannot be read"),
        (retype_tokens, "tokens-1.arrow is not a column of text"),
        (lose_padding, r"tokens of items that do not begin with \[PAD\]"),
        (empty, "cannot be read .*about.json"),
    ],
)
def test_what_is_damaged_is_said_put_aside_and_made_anew(log, made, caplog, harm, said):
    plain = dataset(session_cache_dir="none")
    dataset()
    (folder,) = stores()
    harm(folder)
    with caplog.at_level(logging.WARNING):
        assert_the_same(plain, dataset())
    assert len(made) == 3
    assert f"session_cache_dir: {folder} is not used" in caplog.text
    assert re.search(said, caplog.text)
    aside = list(CACHE.glob("*.damaged.*/*"))
    assert [path.name for path in aside] == [folder.name]
    assert str(aside[0].parent) in caplog.text
    caplog.clear()
    assert_the_same(plain, dataset())
    assert len(made) == 3 and "session_cache_dir" not in caplog.text
    assert not Path("executed").exists()


def test_where_it_cannot_be_kept_it_is_said_and_the_run_goes_on(log, made, caplog, monkeypatch):
    Path("runs").mkdir()
    CACHE.write_text("a file")
    plain = dataset(session_cache_dir="none")
    assert_the_same(plain, dataset())
    assert "runs/sessions cannot be written to" in caplog.text
    CACHE.unlink()
    caplog.clear()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    assert_the_same(plain, dataset())
    assert "could not be written ([Errno 28] No space left on device)" in caplog.text
    assert not stores()  # nothing half
    assert len(made) == 3


def test_columns_that_are_no_plain_arrays_are_not_kept(log, made):
    given = widen(log) | {"numerical_features": ["price"]}
    one, other = dataset(**given), dataset(**given)
    assert len(made) == 2 and not CACHE.exists()
    assert one.build()[0][[0]]["price"].shape == other.build()[0][[0]]["price"].shape == (1, 2)


def load_slowly(number):
    loaded = LoadedLog.read_and_number

    def slowly(self):
        Path(f"made-{number}").touch()
        time.sleep(1)
        return loaded(self)

    pytest.MonkeyPatch().setattr(LoadedLog, "read_and_number", slowly)  # for good
    config = make_config("LPIRL", "shop", (), {})
    Path(f"ready-{number}").touch()
    while not all(Path(f"ready-{n}").exists() for n in (0, 1)):
        time.sleep(0.01)
    Path(f"said-{number}").write_text(data_hash(PolicyDataset(config).build()[0]))


def test_of_two_processes_one_makes_it(log):
    assert exit_codes(load_slowly) == [0, 0]
    said = {Path(f"said-{number}").read_text() for number in (0, 1)}
    assert len(said) == 1 and len(list(Path().glob("made-*"))) == 1
    assert said == {data_hash(dataset(load_col=None).build()[0])}


def test_another_log_of_the_same_name_is_another_store(log, made):
    first = dataset()
    write_log(Path("dataset"), seed=3)
    second = dataset()
    assert len(made) == 2 == len(stores())
    assert len(first.sessions.items) != len(second.sessions.items)
    # The first is still mapped, and still what it was.
    assert first.sessions.items.max() == first.item_num - 1


def test_a_log_that_changes_while_it_is_read_is_not_kept(log, monkeypatch, caplog):
    """Else it would be found under the content that it had before, for ever."""
    loaded = LoadedLog.read_and_number

    def overtaken(self):
        write_log(Path("dataset"), seed=3)
        return loaded(self)

    monkeypatch.setattr(LoadedLog, "read_and_number", overtaken)
    overtaken_data = dataset()
    assert "the data files changed while they were read" in caplog.text and not stores()
    monkeypatch.setattr(LoadedLog, "read_and_number", loaded)
    assert_the_same(overtaken_data, dataset())


def test_what_killed_runs_left_half_is_removed_and_what_is_being_written_is_not(log):
    dataset()
    (folder,) = stores()
    shutil.copytree(folder, CACHE / f".{'0' * 32}.part")  # of other data
    shutil.copytree(folder, CACHE / f".{'1' * 32}.part")
    half = folder.rename(CACHE / f".{folder.name}.part")
    (half / "items.npy").write_text("half")
    (CACHE / ".mine").mkdir()
    with FileLock(CACHE / f"{'1' * 32}.lock"):
        dataset()
    assert stores() == [CACHE / f".{'1' * 32}.part", CACHE / ".mine", folder]
    dataset()  # where the store is found, too
    assert stores() == [CACHE / ".mine", folder]


def test_every_byte_of_a_file_is_in_its_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(session_cache, "PIECE", 8)
    file, content = tmp_path / "file", bytes(range(30))
    hashes = set()
    for place in range(len(content)):
        changed = bytearray(content)
        changed[place] ^= 1
        file.write_bytes(changed)
        hashes.add(session_cache.content_hash(file))
    for other in (content, content[:-1], content + b"\0", content[8:] + content[:8], b""):
        file.write_bytes(other)
        hashes.add(session_cache.content_hash(file))
    assert len(hashes) == len(content) + 5
