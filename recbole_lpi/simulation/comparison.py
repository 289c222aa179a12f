"""What policies are worth in a world, beside its logging policy and before the same users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.simulation.histories import Policy
from recbole_lpi.simulation.rollout import blocks, mean_of
from recbole_lpi.simulation.world import World


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
) -> WorldComparison:
    """Roll out policies and μ before the same users with the same luck.

    Args:
        world: where.
        policies: by name.
        n_sessions: S, >= 2, of each policy and of μ.
        seed: of all draws.
        progress: is told how many sessions were rolled out since it was told last.
    """

    def rewards(policy: Policy) -> tuple[np.ndarray, float]:
        sums, events = [], 0
        for shown in blocks(world, policy, n_sessions, seed):
            sums.append(shown.rewards.sum(1).numpy())
            events += int(shown.histories.lengths.sum())
            progress(len(sums[-1]))
        return np.concatenate(sums), events / n_sessions

    logging, logging_events = rewards(world.logging_policy)
    found = {}
    for name, policy in policies.items():
        own, events = rewards(policy)
        found[name] = PolicyValue(mean_of(own), mean_of(own - logging), events)
    return WorldComparison(mean_of(logging), logging_events, found)
