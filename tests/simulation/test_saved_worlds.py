"""A folder that is data set and world: what is written, what is read back, what is refused."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from recbole_lpi.settings import SettingError
from recbole_lpi.simulation import (
    ShopSettings,
    WorldDescription,
    load_world,
    log_probabilities,
    make_world,
    roll_out,
    save_world,
)

SETTINGS = ShopSettings(n_items=30, dimension=3, max_events=6)
HOW = WorldDescription("shop", seed=3, settings=SETTINGS, sessions=50, log_seed=4)


def saved(folder: Path, description: WorldDescription = HOW):
    world = make_world(description, folder)
    log = roll_out(world.world, world.world.logging_policy, 50, 4)
    save_world(world, log)
    return world, log


def rows(folder: Path) -> list[dict[str, str]]:
    head, *lines = (folder / f"{folder.name}.inter").read_text().splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_the_log_is_what_was_rolled_out(tmp_path):
    world, log = saved(tmp_path / "mine")
    found, sessions = rows(tmp_path / "mine"), log.sessions
    assert len(found) == len(sessions.items)
    number = np.repeat(np.arange(1, 51), sessions.lengths)
    for row, of_session, item, time, kind, reward, log_mu in zip(
        found, number, sessions.items, sessions.timestamps, sessions.events, sessions.rewards,
        log.log_probabilities, strict=True,
    ):  # fmt: skip
        assert row["session_id:token"] == str(of_session)
        assert row["item_id:token"] == world.tokens[item - 1]
        assert float(row["timestamp:float"]) == pytest.approx(time, abs=1e-3)
        assert row["event:token"] == sessions.event_names[kind]
        assert float(row["reward:float"]) == pytest.approx(reward)
        assert float(row["propensity:float"]) == pytest.approx(np.exp(log_mu), rel=1e-9)


def test_propensities_can_be_found_again_from_the_file(tmp_path):
    """Times are kept to the millisecond, and are such in the world."""
    _, log = saved(tmp_path / "mine")
    times = [float(row["timestamp:float"]) for row in rows(tmp_path / "mine")]
    assert times == pytest.approx(log.sessions.timestamps, abs=1e-6, rel=0)


def test_an_engaged_log_has_neither_ignored_events_nor_propensities(tmp_path):
    saved(tmp_path / "mine", replace(HOW, settings=replace(SETTINGS, exposures="engaged")))
    found = rows(tmp_path / "mine")
    assert {row["event:token"] for row in found} == {"click", "purchase"}
    assert {row["reward:float"] for row in found} == {"0.2", "1"}
    assert "propensity:float" not in found[0]


def test_the_world_is_read_back_to_the_bit(tmp_path):
    world, log = saved(tmp_path / "mine")
    again = load_world(tmp_path / "mine")
    assert again.description == HOW and again.tokens == world.tokens
    policies = (world.world.logging_policy, again.world.logging_policy)
    one, two = (log_probabilities(policy, log.sessions) for policy in policies)
    np.testing.assert_array_equal(one, two)
    assert load_world(tmp_path / "mine" / "world.yaml").description == HOW


@pytest.mark.parametrize(
    "other",
    [
        replace(HOW, seed=4),
        replace(HOW, settings=replace(SETTINGS, leave=0.04)),
        replace(HOW, settings=replace(SETTINGS, exposures="engaged")),
    ],
)
def test_items_of_another_world_have_other_names(tmp_path, other):
    names = set(make_world(HOW, tmp_path).tokens)
    assert not names & set(make_world(other, tmp_path).tokens)
    assert names == set(make_world(replace(HOW, sessions=9, log_seed=9), tmp_path).tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"world": "cinema"}, "world must be shop or sardine"),
        ({"schema": 2}, "schema must be 1"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"colour": 1}, "unknown setting 'colour'"),
        ({"settings": {"leave": 2}}, r"leave must be in \[0, 1\], got 2"),
        ({"settings": {"n_item": 99}}, "unknown setting 'n_item'; did you mean 'n_items'"),
        ({"settings": {"signal": [1, 2]}}, "signal must be a list of 3"),
    ],
)
def test_what_makes_no_sense_is_told_with_the_file(tmp_path, change, message):
    values = {**asdict(HOW), "settings": {**asdict(SETTINGS), "signal": [0, 1, 1]}}
    values["settings"] |= {"click": [0, 1], "purchase": [0, 1], **change.pop("settings", {})}
    (tmp_path / "world.yaml").write_text(yaml.safe_dump({**values, **change}))
    with pytest.raises(SettingError, match=rf"world.yaml: .*{message}") as error:
        load_world(tmp_path)
    assert "\n" not in str(error.value)


def test_no_world_and_no_place_are_told(tmp_path):
    with pytest.raises(SettingError, match=r"no world at .*simulate"):
        load_world(tmp_path / "none")
    (tmp_path / "world.yaml").write_text("seed: 1\n")
    with pytest.raises(SettingError, match="does not name its world"):
        load_world(tmp_path)
    with pytest.raises(SettingError, match="exists: remove it"):
        saved(tmp_path)
