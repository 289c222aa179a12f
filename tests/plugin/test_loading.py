"""What of a log is loaded: what is named must be there, what is derived or left out is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config
from recbole_lpi.settings import SettingError
from tests.support.logs import SMALL

ROWS = [
    ("u1", "i1", 1_600_000_000, "view", 0.2, 4), ("u1", "i2", 1_600_000_010, "buy", 0.9, 5),
    ("u2", "i1", 1_600_000_020, "view", 0.2, 2), ("u2", "i3", 1_600_000_030, "view", 0.2, 4),
]  # fmt: skip
KINDS = {
    "user_id": "token", "item_id": "token", "timestamp": "float", "event": "token",
    "reward": "float", "rating": "float",
}  # fmt: skip


def write(rows=ROWS, without=(), **kinds: str) -> Path:
    """``dataset/shop/shop.inter`` of the columns of KINDS, some left out, some of another type."""
    keep = [place for place, name in enumerate(KINDS) if name not in without]
    header = [f"{name}:{kind}" for name, kind in (KINDS | kinds).items()]
    lines = ["\t".join(str(row[place]) for place in keep) for row in (header, *rows)]
    path = Path("dataset/shop/shop.inter")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def load(**given: object) -> PolicyDataset:
    return PolicyDataset(make_config("LPIRL", "shop", (), {**SMALL, **given}))


def events_of(data: PolicyDataset) -> list[tuple[str, str, float, str, float]]:
    """Tokens, times, kinds and rewards as they are in the store."""
    s = data.sessions
    users = data.field2id_token[data.uid_field][np.repeat(data.user_of_session, s.lengths)]
    items = data.field2id_token[data.iid_field][s.items]
    kinds = np.array(s.event_names, dtype=object)[s.events]
    return list(zip(users, items, s.timestamps.tolist(), kinds, s.rewards.tolist(), strict=True))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("without", "given", "said"),
    [
        ((), {"event_field": "evnt"}, "no column 'evnt', which event_field names"),
        ((), {"reward_field": "rewards"}, "no column 'rewards', which reward_field names"),
        (("event",), {"event_field": "event"}, "no column 'event', which event_field names"),
        (("reward",), {"reward_field": "reward"}, "no column 'reward', which reward_field names"),
        ((), {"RATING_FIELD": "ratng"}, "no column 'ratng', which RATING_FIELD names"),
        ((), {"USER_ID_FIELD": "user"}, "no column 'user', which USER_ID_FIELD names"),
        ((), {"ITEM_ID_FIELD": "itemid"}, "no column 'itemid', which ITEM_ID_FIELD names"),
        ((), {"TIME_FIELD": "time"}, "no column 'time', which TIME_FIELD names"),
        ((), {"load_col": {"inter": ["pagge"]}}, "no column 'pagge', which load_col"),
    ],
)
@pytest.mark.parametrize("loaded", [None, {"inter": ["user_id", "item_id"]}])
def test_a_column_that_is_named_must_be_there(without, given, said, loaded):
    write(without=without)
    with pytest.raises(SettingError) as told:
        load(**{"load_col": loaded, **given})
    assert f"shop.inter has {said}" in str(told.value)
    every = ", ".join(name for name in KINDS if name not in without)
    assert f"it has {every}" in str(told.value)  # those that load_col leaves out, too


def test_a_settings_file_beside_the_data_names_columns_as_the_call_does():
    write().with_suffix(".yaml").write_text("event_field: evnt\n")
    with pytest.raises(SettingError, match=r"'evnt', which event_field .* did you mean 'event'"):
        load()


@pytest.mark.parametrize("cache", ["none", "kept"])
def test_what_is_derived_is_told_by_every_run(caplog, cache):
    write(without=("event",))
    for _ in range(2):
        caplog.clear()
        found = events_of(load(session_cache_dir=cache))
        assert [(kind, round(reward, 6)) for *_, kind, reward in found] == [
            ("rated", 0.2), ("rated", 0.9), ("rated", 0.2), ("rated", 0.2),
        ]  # fmt: skip
        every = "user_id, item_id, timestamp, reward, rating"
        rule = "an event is 'liked' where its reward reaches 1, else 'rated'"
        assert f"no column 'event': {rule}; it has {every}" in caplog.text
        assert "rating_to_reward" not in caplog.text
    write(without=("event", "reward"))
    for _ in range(2):
        caplog.clear()
        assert [reward for *_, reward in events_of(load(session_cache_dir=cache))] == [1, 1, 0, 1]
        assert (
            "rewards are made of 'rating' by rating_to_reward (0: 0, 3: 0.5, 4: 1)" in caplog.text
        )
    write()
    caplog.clear()
    load(session_cache_dir=cache)
    assert "no column" not in caplog.text


def test_a_byte_order_mark_before_any_column():
    expected = None
    for first in ("event", "user_id", "reward"):
        names = sorted(KINDS, key=lambda name: name != first)
        places = [list(KINDS).index(name) for name in names]
        path = write()
        lines = ["\t".join(f"{name}:{KINDS[name]}" for name in names)]
        lines += ["\t".join(str(row[place]) for place in places) for row in ROWS]
        path.write_text("\n".join(lines), encoding="utf-8-sig")
        found = events_of(load())
        assert [kind for *_, kind, _ in found] == ["view", "buy", "view", "view"]
        expected = expected or found
        assert found == expected


@pytest.mark.parametrize(
    ("column", "declared", "must"),
    [
        ("timestamp", "token", "float"), ("reward", "token", "float"), ("rating", "token", "float"),
        ("event", "float", "token"), ("user_id", "float", "token"), ("item_id", "float", "token"),
    ],
)  # fmt: skip
def test_a_column_of_the_wrong_type_is_told_which_it_must_be(column, declared, must):
    write(**{column: declared})
    said = f"column '{column}' must be declared {column}:{must} in the first line, not {column}:"
    with pytest.raises(SettingError, match=said):
        load()


@pytest.mark.parametrize("column", ["reward", "rating"])
@pytest.mark.parametrize("value", ["1e39", "-1e39"])
def test_a_number_that_float32_does_not_hold_is_refused(column, value):
    rows = [list(row) for row in ROWS]
    rows[2][list(KINDS).index(column)] = value
    write(rows)
    with pytest.raises(SettingError, match=rf"line 4: {column} is {value[:-2]}\+39, too large for"):
        load()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"unload_col": {"inter": ["reward"]}, "load_col": None},
            "unload_col must leave reward alone",
        ),
        (
            {"unload_col": {"inter": ["pages"]}, "load_col": None},
            "no column 'pages', which load_col or unload_col names",
        ),
    ],
)
def test_settings_of_loading_that_cannot_be_are_refused_in_a_line(given, said):
    write()
    with pytest.raises(SettingError, match=said):
        load(**given)


def test_columns_can_be_left_out():
    write()
    data = load(unload_col={"inter": ["rating"]}, load_col=None)
    assert data.sessions.ratings is None and events_of(data)[0][:2] == ("u1", "i1")


@pytest.mark.parametrize(("keep", "kinds"), [("first", "1 buy, 1 view"), ("last", "2 view")])
def test_duplicates_that_go_are_told_by_their_kinds_and_ties_keep_their_order(caplog, keep, kinds):
    rows = [
        (user, item, time, kind, 1, 1)
        for user, item, time, kind in (
            ("u1", "i1", 5, "view"), ("u1", "i1", 5, "buy"), ("u1", "i2", 5, "view"),
            ("u1", "i3", 4, "view"), ("u2", "i1", 5, "view"), ("u2", "i1", 6, "view"),
        )
    ]  # fmt: skip
    write(rows)
    found = [event[:2] + event[3:4] for event in events_of(load(rm_dup_inter=keep))]
    assert ("u1", "i1", "view" if keep == "first" else "buy") in found
    assert [item for user, item, _ in found if user == "u1"] == ["i3", "i1", "i2"]
    assert f"rm_dup_inter: {keep} leaves out 2 of 6 events ({kinds})" in caplog.text


@pytest.mark.parametrize("keep", [None, "first"])
def test_a_file_that_runs_newest_first_is_told_of_and_read_as_it_stands(caplog, keep):
    rows = [
        ("u1", item, time, "view", 1, 1) for item, time in zip("DCBA", (6, 5, 5, 5), strict=True)
    ]
    path = write([*rows, ("u2", "A", 5, "view", 1, 1)])
    for _ in range(2):  # read, and from the cache
        found = [item for user, item, *_ in events_of(load(rm_dup_inter=keep)) if user == "u1"]
        assert found == ["C", "B", "A", "D"]
        assert "shop.inter runs newest first: within sessions 1 steps" in caplog.text
        assert "2 rows have the time of the row before" in caplog.text
        caplog.clear()
    head, *lines = path.read_text().splitlines()
    path.write_text("\n".join([head, *reversed(lines)]) + "\n")
    found = [item for user, item, *_ in events_of(load(rm_dup_inter=keep)) if user == "u1"]
    assert found == ["A", "B", "C", "D"] and "newest first" not in caplog.text


def test_events_without_a_name_and_filtered_ones_are_counted(caplog):
    write(
        [
            *ROWS,
            ("", "i1", 1, "view", 0, 1),
            ("u3", "", 1, "view", 0, 1),
            ("u4", "", 1, "view", 0, 1),
        ]
    )
    assert len(events_of(load(user_inter_num_interval="[2,inf)"))) == 4
    assert "1 of 7 events have no user_id and are left out, the first in line 6 of shop.inter" \
        in caplog.text  # fmt: skip
    assert "2 of 6 events have no item_id and are left out, the first in line 7" in caplog.text
    caplog.clear()
    write([*ROWS, ("u3", "i1", 1, "view", 0, 1)])
    assert len(events_of(load(user_inter_num_interval="[2,inf)"))) == 4
    assert "1 of 5 events are left out by the filters of the data" in caplog.text


def test_a_file_of_items_is_checked_as_the_log_is(caplog):
    path = write()
    beside = path.with_suffix(".item")
    columns = {"inter": ["user_id"], "item": ["item_id", "price"]}
    beside.write_text("item_id:token\tprice:float\ni1\t1\ni2\t2\ni3\t3\n", encoding="utf-8-sig")
    with pytest.raises(SettingError, match=r"shop.item begins with a byte order mark"):
        load(load_col=columns)
    beside.write_bytes("item_id:token\tprice:float\ni1\t1\n".encode("utf-16"))
    with pytest.raises(SettingError, match=r"shop.item is text in UTF-16"):
        load(load_col=columns)
    beside.write_text("item_id:token\tcost:float\ni1\t1\n")
    with pytest.raises(SettingError, match=r"shop.item has no column 'price'"):
        load(load_col=columns)
    beside.write_text("item_id:token\tprice:float\ni1\t1\tx\tx\n")
    with pytest.raises(SettingError, match=r"data set shop cannot be read"):
        load(load_col=columns)


def test_a_long_name_takes_what_it_is_long_where_a_file_names_items(tmp_path):
    """As numpy's text 20,000 names of up to 100,000 characters would be 7.5 GiB."""
    long = "x" * 100_000
    rows = [("u", f"i{n}", n, "view", 1, 1) for n in range(20_000)]
    path = write([*rows, ("u", long, 20_001, "view", 1, 1)])
    path.with_suffix(".item").write_text(
        "item_id:token\tprice:float\n"
        + "".join(f"i{n}\t1\n" for n in range(20_000))
        + f"{long}\t1\n"
    )
    data = load(load_col={"inter": ["user_id"], "item": ["item_id", "price"]})
    assert data.field2id_token["item_id"][20_001] == long
    assert sum(f.stat().st_size for f in Path("runs/sessions").rglob("tokens-*")) < 2**21
    assert load().id2token("item_id", [1, 20_001]).tolist() == ["i0", long]


def test_sessions_keep_their_names_where_one_was_filtered_out():
    write([("u0", "i1", 1_599_999_990, "view", 0.2, 4), *ROWS])
    data = load(user_inter_num_interval="[2,inf)")
    assert data.session_tokens.tolist() == ["u1", "u2"]
    names = np.repeat(data.session_tokens.tolist(), data.sessions.lengths)
    assert len(data.session_tokens) == len(data.sessions)
    assert names.tolist() == [user for user, *_ in events_of(data)]
