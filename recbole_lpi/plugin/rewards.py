"""Derive rewards from ratings, and kinds of event from rewards."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbole_lpi.settings import SettingError

EVENTS = ("rated", "liked")


def rewards_of_ratings(ratings: np.ndarray, rating_to_reward: dict[float, float]) -> np.ndarray:
    """Look up the reward of each rating [E]: that of the highest key the rating reaches.

    So half stars round down. SettingError for a rating below every key.
    """
    keys = np.array(sorted(rating_to_reward))
    place = np.searchsorted(keys, ratings, side="right") - 1
    if (place < 0).any():
        raise SettingError(
            f"rating_to_reward has no reward for a rating of {ratings[place < 0][0]:g}; "
            f"its lowest key is {keys[0]:g}"
        )
    return np.array([rating_to_reward[key] for key in keys])[place]


def events_of_rewards(rewards: np.ndarray) -> pd.Categorical:
    """Call an event ``liked`` where its reward reaches 1, else ``rated``."""
    return pd.Categorical.from_codes((rewards >= 1).astype(np.int8), categories=list(EVENTS))
