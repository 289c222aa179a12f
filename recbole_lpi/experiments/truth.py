"""What finished runs are truly worth in the world whose log they learnt from.

The truth of a run is kept in its folder, so that a run is rolled out once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.files import write_json
from recbole_lpi.simulation.comparison import Earned, compare_policies, earned
from recbole_lpi.simulation.one_step import OneStep, one_step
from recbole_lpi.simulation.saved_policies import saved_policy
from recbole_lpi.simulation.saved_worlds import SavedWorld
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


@dataclass(frozen=True)
class Judge:
    """Measures policies before the same users, of whom none is in a log.

    Attributes:
        saved: the world.
        sessions: how many each value is measured in.
        seed: of the users.
    """

    saved: SavedWorld
    sessions: int
    seed: int = 0

    def truth_of(self, folder: RunFolder) -> tuple[Worth, Truth]:
        """Return what a finished run's policy is worth, and the logging policy; measured once."""
        path = folder.path / FILE
        made = {
            "world": self.saved.description.fingerprint, "sessions": self.sessions,
            "seed": self.seed, "trained": folder.model.stat().st_mtime_ns,
        }  # fmt: skip
        if path.is_file() and (kept := json.loads(path.read_text()))["made_by"] == made:
            return _read(kept)
        world, pi = self.saved.world, {"π": saved_policy(folder.path, self.saved)}
        found = compare_policies(
            world, pi, self.sessions, self._users, logging=self._earned_by_logging
        )
        event, steps = one_step(world, pi, self.sessions // 4, self._users)
        own = found.policies["π"]
        worth, truth = Worth(found.logging, event), Truth(own.value, own.difference, steps["π"])
        write_json(path, {"made_by": made, "logging": asdict(worth), "policy": asdict(truth)})
        return worth, truth

    @property
    def _users(self) -> int:
        return OTHER_USERS + self.seed

    @cached_property
    def _earned_by_logging(self) -> Earned:
        world = self.saved.world
        return earned(world, world.logging_policy, self.sessions, self._users)


def _read(kept: Mapping[str, Any]) -> tuple[Worth, Truth]:
    """Read what is kept of a run."""

    def estimates(values: Mapping[str, Any]) -> dict[str, Estimate]:
        return {name: Estimate(**cell) for name, cell in values.items() if name != "step"}

    policy = kept["policy"]
    step = OneStep(**estimates(policy["step"]))
    return Worth(**estimates(kept["logging"])), Truth(**estimates(policy), step=step)
