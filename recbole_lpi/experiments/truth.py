"""What finished runs are truly worth in the world whose log they learnt from.

The truth of a run is kept in its folder, so that a run is rolled out once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.files import write_json
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation.comparison import compare_policies
from recbole_lpi.simulation.one_step import OneStep, one_step
from recbole_lpi.simulation.saved_policies import saved_policy
from recbole_lpi.simulation.saved_worlds import SavedWorld
from recbole_lpi.simulation.shop import Shop
from recbole_lpi.training.run_folder import RunFolder

FILE = "truth.json"
OTHER_USERS = 2**62  # added to seeds, so that those whom values are of are in no log


@dataclass(frozen=True)
class Truth:
    """What a policy is worth in its world.

    Attributes:
        value: J(π), the mean reward of a session.
        gain: J(π) − J(μ), before the same users.
        step: what it would earn at the events that μ leads to.
    """

    value: Estimate
    gain: Estimate
    step: OneStep


@dataclass(frozen=True)
class Worth:
    """What the logging policy is worth.

    Attributes:
        value: J(μ), the mean reward of a session.
        event: J₁(μ), of an event.
    """

    value: Estimate
    event: Estimate


def truth_of(folder: RunFolder, saved: SavedWorld, sessions: int, seed: int) -> tuple[Worth, Truth]:
    """Return what a run's policy is worth, and the logging policy beside it; measured once.

    Args:
        folder: of the finished run.
        saved: the world of its data set.
        sessions: how many each value is measured in.
        seed: of the users.
    """
    path = folder.path / FILE
    made = {
        "world": saved.description.fingerprint, "sessions": sessions, "seed": seed,
        "trained": folder.model.stat().st_mtime_ns,
    }  # fmt: skip
    if path.is_file() and (kept := json.loads(path.read_text()))["made_by"] == made:
        return _read(kept)
    policy, world = saved_policy(folder.path, saved), saved.world
    if not isinstance(world, Shop):
        raise SettingError(
            f"{saved.folder} is a {saved.description.world}, which does not know the expected "
            "reward of every item: only a shop does"
        )
    found = compare_policies(world, {"π": policy}, sessions, OTHER_USERS + seed)
    event, steps = one_step(world, {"π": policy}, sessions // 4, OTHER_USERS + seed)
    own = found.policies["π"]
    worth, truth = Worth(found.logging, event), Truth(own.value, own.difference, steps["π"])
    write_json(path, {"made_by": made, "logging": asdict(worth), "policy": asdict(truth)})
    return worth, truth


def _read(kept: Mapping[str, Any]) -> tuple[Worth, Truth]:
    """Read what is kept of a run."""

    def estimates(values: Mapping[str, Any]) -> dict[str, Estimate]:
        return {name: Estimate(**cell) for name, cell in values.items() if name != "step"}

    policy = kept["policy"]
    step = OneStep(**estimates(policy["step"]))
    return Worth(**estimates(kept["logging"])), Truth(**estimates(policy), step=step)


def truths(
    folders: Sequence[RunFolder], saved: SavedWorld, sessions: int, seed: int,
    progress: Callable[[int], None] = lambda number: None,
) -> tuple[Worth, dict[Path, Truth]]:  # fmt: skip
    """Return the truth of several runs by their folders, at least one."""
    found: dict[Path, Truth] = {}
    for folder in folders:
        worth, found[folder.path] = truth_of(folder, saved, sessions, seed)
        progress(1)
    return worth, found
