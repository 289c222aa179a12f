"""Rows in RecBole's columns, from a store that was made of rows in RecBole's columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.plugin.event_rows import columns_of_the_store, frame_of, rows_at, store_of
from recbole_lpi.settings import SettingError

SETTINGS = DataSettings("user_id", "item_id", "timestamp")
USERS = np.array([2, 3], dtype=np.int32)  # the ids of two sessions; 1 has no event
FRAME = pd.DataFrame({
    "user_id": [3, 2, 2], "item_id": [4, 1, 4], "timestamp": [5.0, 9.0, 8.0], "event": [2, 1, 2],
    "reward": [1.0, 0.2, 0.5],
})  # fmt: skip
SESSION = np.array([1, 0, 0], dtype=np.int32)
SORTED = FRAME.iloc[[2, 1, 0]].reset_index(drop=True)


def test_a_store_gives_the_rows_it_was_made_of_by_session_and_time():
    store = store_of(FRAME, SESSION, ("view", "buy"), SETTINGS)
    others = {"price": np.array([7, 8, 9])}
    got = frame_of(store, USERS, SETTINGS, others)
    expected = SORTED.assign(price=[7, 8, 9])
    pd.testing.assert_frame_equal(got[expected.columns.tolist()], expected, check_dtype=False)
    assert set(FRAME) <= set(columns_of_the_store(SETTINGS)) and "price" not in got.columns[:5]


def test_rows_at_places_are_those_of_the_frame():
    store = store_of(FRAME, SESSION, ("view", "buy"), SETTINGS)
    rows = rows_at(np.array([2, 1]), store, USERS, SETTINGS)
    for name in FRAME:
        np.testing.assert_allclose(rows[name].numpy(), SORTED[name].to_numpy()[[2, 1]])


def test_more_kinds_of_event_than_a_byte_holds_are_refused():
    with pytest.raises(SettingError, match="event has 256 kinds of event; at most 255"):
        store_of(FRAME, SESSION, tuple(map(str, range(256))), SETTINGS)
