import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from recbole_lpi.serving import read_histories

EVENTS = {
    "session_id": ["b", "b", "a"],
    "item_id": ["x", "y", "x"],
    "event": ["click", "purchase", "click"],
    "timestamp": [20.0, 10.0, 5.0],
}


def rows(raw):
    return raw.events.rows()


def test_a_table_keeps_the_order_of_sessions_and_sorts_each_by_time():
    raw = read_histories(pl.DataFrame(EVENTS))
    assert raw.session_ids.to_list() == ["b", "a"]
    assert rows(raw) == [
        (0, "y", "purchase", 10.0), (0, "x", "click", 20.0), (1, "x", "click", 5.0),
    ]  # fmt: skip


@pytest.mark.parametrize("form", [pd.DataFrame, pa.table, lambda columns: pl.LazyFrame(columns)])
def test_every_kind_of_table_is_read_alike(form):
    assert rows(read_histories(form(EVENTS))) == rows(read_histories(pl.DataFrame(EVENTS)))


def test_numbers_are_names_too():
    raw = read_histories(pl.DataFrame({"session_id": [7, 7], "item_id": [1, 2]}))
    assert raw.session_ids.to_list() == ["7"] and raw.events["item_id"].to_list() == ["1", "2"]


def test_lists_of_items_and_of_events():
    assert rows(read_histories([["x", "y"], [], [3]])) == [(0, "x"), (0, "y"), (2, "3")]
    assert len(read_histories([["x", "y"], [], [3]])) == 3
    of_events = read_histories(
        [[("x", "click", 1)], [{"item_id": "y", "event": "click", "timestamp": 2}]]
    )
    assert rows(of_events) == [(0, "x", "click", 1.0), (1, "y", "click", 2.0)]
    assert len(read_histories([])) == 0


def test_what_was_read_is_read_once():
    raw = read_histories([["x"]])
    assert read_histories(raw) is raw


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ("xyz", "a list with a list of events for each session"),
        (7, "got int"),
        (["xyz"], r"history 0 is 'xyz', and must be a list of events"),
        ([[("x", "click", 1, 2)]], r"history 0 has the event \('x', 'click', 1, 2\)"),
        ([[{"event": "click"}]], "history 0 has an event without item_id"),
        ([[("x", "click")], ["y"]], "history 1 has an event without event"),
        (pl.DataFrame({"item_id": ["x"]}), "has a column session_id, this one has item_id"),
        (pl.DataFrame({"session_id": ["a", "a"], "item_id": ["x", None]}), "row 1 .* no item_id"),
        (
            pl.DataFrame({"session_id": ["a"], "item_id": ["x"], "timestamp": [np.nan]}),
            "row 0 .* no timestamp",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(given, wrong):
    with pytest.raises(ValueError, match=wrong):
        read_histories(given)
