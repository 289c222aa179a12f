"""What policies are worth in a world, beside its logging policy and before the same users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.simulation.histories import Policy
from recbole_lpi.simulation.rollout import blocks, mean_of
from recbole_lpi.simulation.world import World


class Earned(NamedTuple):
    """What a policy earned: rewards of each session, float64 [S], and events of one on average."""

    rewards: np.ndarray
    events: float


@dataclass(frozen=True)
class PolicyValue:
    """What a policy is worth, in rewards of a session.

    Attributes:
        value: J(π).
        difference: J(π) − J(μ), whose error is that of differences session by session.
        events: how many items a session is shown, on average.
    """

    value: Estimate
    difference: Estimate
    events: float


@dataclass(frozen=True)
class WorldComparison:
    """J(μ) of the logging policy, what a session of it is shown on average, and the policies."""

    logging: Estimate
    logging_events: float
    policies: dict[str, PolicyValue]


def compare_policies(
    world: World,
    policies: Mapping[str, Policy],
    n_sessions: int,
    seed: int,
    progress: Callable[[int], None] = lambda sessions: None,
    logging: Earned | None = None,
) -> WorldComparison:
    """Roll out policies and μ before the same users with the same luck.

    Args:
        world: where.
        policies: by name.
        n_sessions: S, >= 2, of each policy and of μ.
        seed: of all draws.
        progress: is told how many sessions were rolled out since it was told last.
        logging: what μ earned before these users, if it is known; None: it is rolled out too.
    """
    of_mu = logging or earned(world, world.logging_policy, n_sessions, seed, progress)
    found = {}
    for name, policy in policies.items():
        own = earned(world, policy, n_sessions, seed, progress)
        gain = mean_of(own.rewards - of_mu.rewards)
        found[name] = PolicyValue(mean_of(own.rewards), gain, own.events)
    return WorldComparison(mean_of(of_mu.rewards), of_mu.events, found)


def earned(
    world: World,
    policy: Policy,
    n_sessions: int,
    seed: int,
    progress: Callable[[int], None] = lambda sessions: None,
) -> Earned:
    """Roll a policy out, and return what it earned; arguments as of ``compare_policies``."""
    sums, events = [], 0
    for shown in blocks(world, policy, n_sessions, seed):
        sums.append(shown.rewards.sum(1).numpy())
        events += int(shown.histories.lengths.sum())
        progress(len(sums[-1]))
    return Earned(np.concatenate(sums), events / n_sessions)
