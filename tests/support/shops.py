"""Small simulated shops."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from recbole_lpi.simulation import Shop, ShopSettings, simulate

PLAIN: dict[str, Any] = {
    "signal": (-0.5, 1.0, 1.0), "temperature": 0.2, "pause_chance": 0.1, "leave": 0.02,
    "bored": 0.03, "appeal": 0.0, "conversion": 0.0, "popular": 0.0, "blur": 0.0, "remind": 0.0,
    "explore": 0.0, "repeat_penalty": 0.0,
}  # fmt: skip
SMALL = ShopSettings(n_items=12, dimension=3, max_events=5, **PLAIN)
RICH = replace(
    SMALL, appeal=0.8, conversion=1.0, popular=1.5, blur=0.7, remind=0.2, explore=0.1,
    repeat_penalty=1.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return Shop(SMALL, seed=4)


@pytest.fixture(scope="module")
def log(world):
    return simulate(world, world.logging_policy, 400, seed=1)
