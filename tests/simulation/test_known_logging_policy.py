"""Exact log μ in the numbering of a data set, and blocks of sessions in several threads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recbole_lpi.data import Tokens
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation import (
    KnownLoggingPolicy,
    ShopSettings,
    WorldDescription,
    log_probabilities,
    make_world,
    roll_out,
    rollout,
)

SHOP = ShopSettings(n_items=9, dimension=2, max_events=6)
ORDER = np.array([0, 5, 1, 9, 3, 7, 2, 4, 8, 6])  # the world's number of each item of the data set


@pytest.fixture
def saved(tmp_path):
    return make_world(WorldDescription("shop", settings=SHOP), tmp_path)


def test_it_is_the_policy_of_the_world_in_other_numbers(saved):
    found = roll_out(saved.world, saved.world.logging_policy, 40, 0)
    names = ("purchase", "ignored", "click")
    kinds = np.array([names.index(name) for name in found.sessions.event_names])
    read = replace(
        found.sessions, items=np.argsort(ORDER)[found.sessions.items].astype(np.int32),
        events=kinds[found.sessions.events].astype(np.uint8), event_names=names,
    )  # fmt: skip
    tokens = Tokens(["[PAD]", *(saved.tokens[number - 1] for number in ORDER[1:])])
    known = KnownLoggingPolicy(saved, tokens, names)
    assert log_probabilities(known, read) == pytest.approx(found.log_probabilities, abs=1e-5)
    with pytest.raises(SettingError, match="the kind of event 'rated'"):
        KnownLoggingPolicy(saved, tokens, ("rated",))
    with pytest.raises(SettingError, match="the data set has the item 'x'"):
        KnownLoggingPolicy(saved, Tokens(["[PAD]", "x"]), names)


def test_threads_change_nothing(saved, monkeypatch):
    monkeypatch.setattr(rollout, "AT_ONCE", 16)
    before, found = torch.get_num_threads(), []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            found.append(roll_out(saved.world, saved.world.logging_policy, 150, 5))
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
    one, three = found
    np.testing.assert_array_equal(one.sessions.items, three.sessions.items)
    np.testing.assert_array_equal(one.rewards, three.rewards)
    np.testing.assert_array_equal(one.sessions.timestamps, three.sessions.timestamps)
    assert len(one.rewards) == 150 and len(set(one.rewards[:16]) ^ set(one.rewards[16:32])) > 0


def test_a_policy_without_probabilities_is_told(saved):
    def broken(histories):
        return torch.full((len(histories.items), 9), torch.nan)

    with pytest.raises(FloatingPointError, match="no probabilities at event 1 of a session"):
        roll_out(saved.world, broken, 10, 0)
