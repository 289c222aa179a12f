"""Rewards of ratings, as the properties map them."""

import numpy as np
import pytest
import yaml

from recbole_lpi.plugin.properties import properties_folder
from recbole_lpi.plugin.rewards import events_of_rewards, rewards_of_ratings
from recbole_lpi.settings import SettingError


def test_the_paper_s_rewards_with_half_stars_rounded_down():
    given = yaml.safe_load((properties_folder() / "policy.yaml").read_text())["rating_to_reward"]
    ratings = np.array([0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])
    rewards = rewards_of_ratings(ratings, given)
    assert rewards.tolist() == [0, 0, 0, 0, 0, 0.5, 0.5, 1, 1, 1]
    assert list(events_of_rewards(rewards)) == ["rated"] * 7 + ["liked"] * 3


def test_a_rating_below_every_key_is_refused():
    with pytest.raises(SettingError, match="its lowest key is 1"):
        rewards_of_ratings(np.array([3, 0.5]), {1: 0.0, 4: 1.0})
