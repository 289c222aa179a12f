"""Convert events between RecBole's columns and the flat store, a row per event."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from recbole.data.interaction import Interaction

from recbole_lpi.data.sessions import Sessions, flat_sessions
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.settings import SettingError

KINDS, GAPS = "kind_list", "gap_list"  # what a policy reads of the items before an event


def columns_of_the_store(settings: DataSettings) -> tuple[str, ...]:
    """Name the columns of a log that the flat store keeps, among RecBole's."""
    s = settings
    return (
        s.USER_ID_FIELD, s.ITEM_ID_FIELD, s.TIME_FIELD, s.event_column, s.reward_column,
        s.RATING_FIELD, *([s.propensity_column] if s.propensity_column else []),
    )  # fmt: skip


def store_of(
    frame: pd.DataFrame, session: np.ndarray, event_names: tuple[str, ...], settings: DataSettings
) -> Sessions:
    """Make the flat store of a log whose columns RecBole has numbered.

    Args:
        frame: a row per event, in any order.
        session: the number of each row's session, 0 … without gaps.
        event_names: the kinds of event, in the order of their ids.

    Raises:
        SettingError: there are more kinds of event than a store can tell apart.
    """
    s = settings
    if len(event_names) > 255:
        raise SettingError(f"{s.event_column} has {len(event_names)} kinds of event; at most 255")
    return flat_sessions(
        session,
        frame[s.ITEM_ID_FIELD].to_numpy(),
        frame[s.TIME_FIELD].to_numpy(np.float64),
        frame[s.reward_column].to_numpy(),
        frame[s.event_column].to_numpy() - 1,
        event_names,
        *(
            frame[name].to_numpy() if name in frame else None
            for name in (s.RATING_FIELD, s.propensity_column)
        ),
    )


def frame_of(
    store: Sessions,
    user_of_session: np.ndarray,
    settings: DataSettings,
    others: Mapping[str, np.ndarray],
) -> pd.DataFrame:
    """Make a frame of every event of a store, in its order, with ``others`` beside its columns."""
    s = settings
    columns = {
        s.USER_ID_FIELD: np.repeat(user_of_session, store.lengths).astype(np.int64),
        s.ITEM_ID_FIELD: store.items.astype(np.int64),
        s.TIME_FIELD: store.timestamps,
        s.event_column: store.events.astype(np.int64) + 1,
        s.reward_column: store.rewards,
    }
    if store.ratings is not None:
        columns[s.RATING_FIELD] = store.ratings
    if store.propensities is not None:
        columns[s.PROPENSITY_FIELD] = store.propensities
    return pd.DataFrame({**columns, **others})


def rows_at(
    places: np.ndarray, store: Sessions, user_of_session: np.ndarray, settings: DataSettings
) -> Interaction:
    """Return the events at ``places`` of a store, a row each."""
    s = settings
    session = np.searchsorted(store.offsets, places, side="right") - 1
    return Interaction(
        {
            s.USER_ID_FIELD: torch.from_numpy(user_of_session[session].astype(np.int64)),
            s.ITEM_ID_FIELD: torch.from_numpy(store.items[places].astype(np.int64)),
            s.TIME_FIELD: torch.from_numpy(store.timestamps[places].astype(np.float32)),
            s.event_column: torch.from_numpy(store.events[places].astype(np.int64) + 1),
            s.reward_column: torch.from_numpy(store.rewards[places]),
        }
    )
