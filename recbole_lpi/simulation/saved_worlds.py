"""A folder that is a data set of RecBole's and the world that it was logged in.

NAME.inter    the log, an atomic file of RecBole's
NAME.yaml     how it is read: RecBole's property file of the data set
world.yaml    the world: its name, settings and seed, and how the log was drawn
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from recbole_lpi import settings
from recbole_lpi.files import filling, write_text
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation.rollout import Rollout
from recbole_lpi.simulation.sardine_world import SardineSettings, SardineWorld
from recbole_lpi.simulation.shop import Shop
from recbole_lpi.simulation.shop_settings import ShopSettings
from recbole_lpi.simulation.world import KnownRewards
from recbole_lpi.yaml_values import read_file

FILE, SCHEMA = "world.yaml", 1
Settings = ShopSettings | SardineSettings
SETTINGS: dict[str, type[Settings]] = {"shop": ShopSettings, "sardine": SardineSettings}


@dataclass(frozen=True)
class Origin:
    """Where a log is from, but for the settings of its world. ValueError names what is wrong.

    Attributes:
        world: the kind of world, one of ``SETTINGS``.
        seed: >= 0, of what the world is like.
        schema: of the file.
        sessions: how many were drawn for the log, those of which nothing is logged included.
        log_seed: >= 0, of the log.
    """

    world: str
    seed: int = 0
    schema: int = SCHEMA
    sessions: int = 1
    log_seed: int = 0

    def __post_init__(self) -> None:
        if self.schema != SCHEMA:
            raise ValueError(
                f"schema must be {SCHEMA}, got {self.schema}: another version of recbole_lpi "
                "wrote it"
            )
        if self.world not in SETTINGS:
            raise ValueError(f"world must be {' or '.join(SETTINGS)}, got {self.world!r}")
        for name, least in (("seed", 0), ("log_seed", 0), ("sessions", 1)):
            value = getattr(self, name)
            if not least <= value < 2**63:
                raise ValueError(f"{name} must be >= {least} and below 2**63, got {value}")


@dataclass(frozen=True)
class WorldDescription(Origin):
    """What ``world.yaml`` holds: where the log is from, and all settings of the world."""

    settings: Settings = field(default_factory=ShopSettings)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.settings, SETTINGS[self.world]):
            raise ValueError(f"settings must be those of a {self.world}, got {self.settings}")

    @property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that no other world is likely to have; the log has no part."""
        identity = [self.world, self.seed, asdict(self.settings)]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class SavedWorld:
    """A world, and the folder that holds it and its log.

    Attributes:
        folder: where ``world.yaml`` is.
        description: what it says.
        world: the world itself.
    """

    folder: Path
    description: WorldDescription
    world: KnownRewards

    @property
    def tokens(self) -> list[str]:
        """The names of items 1 … A; no other world's items have them."""
        mark = self.description.fingerprint
        return [f"{mark}-{number}" for number in range(1, self.world.n_items + 1)]


def describe_world(values: Mapping[str, Any]) -> WorldDescription:
    """Read the values of a ``world.yaml``; SettingError names what is wrong or unknown."""
    given = {name: value for name, value in values.items() if name != "settings"}
    origin: Origin = settings.coerce("world", given, Origin)
    own = settings.coerce("settings", values.get("settings", {}), SETTINGS[origin.world])
    return WorldDescription(**vars(origin), settings=own)


def make_world(description: WorldDescription, folder: Path) -> SavedWorld:
    """Build the world of a description; SettingError if a package that it needs is missing."""
    given, seed = description.settings, description.seed
    if isinstance(given, SardineSettings):
        return SavedWorld(folder, description, SardineWorld(given, seed))
    return SavedWorld(folder, description, Shop(given, seed))


def load_world(folder: Path) -> SavedWorld:
    """Read the world of a folder; SettingError if there is none, or what it says is wrong."""
    path = folder / FILE if folder.is_dir() else folder
    if not path.is_file():
        raise SettingError(f"no world at {path}: make one by recbole-lpi simulate")
    values = read_file(path)
    if "world" not in values:
        raise SettingError(f"{path} does not name its world: it must say, such as world: shop")
    try:
        return make_world(describe_world(values), path.parent)
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from None


def check_free(folder: Path) -> None:
    """Raise SettingError unless a data set can be written to ``folder``."""
    if not folder.resolve().name:
        raise SettingError(f"{folder} has no name: the output folder's name is the data set's")
    if folder.exists():
        raise SettingError(f"{folder} exists: remove it or name another folder")


def save_world(saved: SavedWorld, log: Rollout) -> None:
    """Write the folder of a world and the log that its logging policy made, all or nothing."""
    folder = saved.folder.resolve()
    check_free(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with filling(folder) as scratch:
        _write_log(scratch / f"{folder.name}.inter", saved, log)
        write_text(scratch / f"{folder.name}.yaml", _properties(saved))
        write_text(scratch / FILE, _spelled(saved.description))


def _write_log(path: Path, saved: SavedWorld, log: Rollout) -> None:
    import numpy as np
    import polars as pl

    sessions, columns = log.sessions, {}
    number = np.repeat(np.arange(1, len(sessions) + 1), sessions.lengths)
    names = pl.Series(saved.tokens)
    columns["session_id:token"] = pl.Series(number)
    columns["item_id:token"] = names.gather(sessions.items.astype(np.int64) - 1)
    columns["timestamp:float"] = pl.Series(sessions.timestamps.round(3))
    columns["event:token"] = pl.Series(sessions.event_names).gather(sessions.events)
    columns["reward:float"] = pl.Series(sessions.rewards.astype(np.float64).round(6))
    if logs_propensities(saved):
        columns["propensity:float"] = pl.Series(np.exp(log.log_probabilities))
    pl.DataFrame(columns).write_csv(
        path, separator="\t", quote_style="never", float_scientific=False
    )


def logs_propensities(saved: SavedWorld) -> bool:
    """Whether every item shown is an event, so that an event's propensity is that of μ."""
    return "ignored" in saved.world.event_names


def _properties(saved: SavedWorld) -> str:
    """RecBole's property file for the data set."""
    propensity = ", propensity" if logs_propensities(saved) else ""
    return "\n".join(
        [
            f"# Written by recbole-lpi simulate; {FILE} says from what.",
            "USER_ID_FIELD: session_id",
            "ITEM_ID_FIELD: item_id",
            "TIME_FIELD: timestamp",
            "load_col:",
            f"  inter: [session_id, item_id, timestamp, event, reward{propensity}]",
            "reward_field: reward",
            "event_field: event",
            "purchase_events: [purchase]",
            "click_events: [click]",
            "evaluate_first_event: True  # so that a policy can begin a session by itself",
            f"MAX_ITEM_LIST_LENGTH: {saved.world.max_events}",
            "",
        ]
    )


def _spelled(description: WorldDescription) -> str:
    values = json.loads(json.dumps(asdict(description)))  # tuples as lists
    text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, allow_unicode=True)
    return "# A world of recbole_lpi.simulation, which recbole-lpi rollout reads.\n" + text
