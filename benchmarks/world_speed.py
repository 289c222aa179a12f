"""How fast a simulated shop logs, and how long a rollout takes to a given error.

    OMP_NUM_THREADS=1 python benchmarks/world_speed.py --threads=1
    OMP_NUM_THREADS=1 python benchmarks/world_speed.py --threads=2

Prints events a second of logging by μ; then, for a network of the default size with random weights
and for the shop's own μ at a slightly higher temperature, how many sessions the standard error of
J(π) takes to be 0.5 % of J(μ), how long they take, and by how much the users and the luck that π
and μ share reduce the variance of J(π) − J(μ). Seconds of wall clock and of CPU: where other
programs are at work, the second tell more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from recbole_lpi.policy import PolicyNetwork, PolicySettings
from recbole_lpi.simulation import Policy, Shop, ShopSettings, policy_of
from recbole_lpi.simulation.rollout import blocks, mean_of
from recbole_lpi.training.memory import keep_freed_memory

ERROR = 0.005  # of J(μ)


class Timed(NamedTuple):
    """Rewards of sessions and how many events they had, with seconds of wall clock and of CPU."""

    rewards: np.ndarray
    events: int
    wall: float
    cpu: float

    def seconds_for(self, sessions: int) -> str:
        share = sessions / len(self.rewards)
        return f"{self.wall * share:.1f} s ({self.cpu * share:.1f} s of CPU)"


def timed(world: Shop, policy: Policy, sessions: int, seed: int) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    shown = [
        (block.rewards.sum(1).numpy(), int(block.histories.lengths.sum()))
        for block in blocks(world, policy, sessions, seed)
    ]
    rewards = np.concatenate([of_block for of_block, _ in shown])
    return Timed(
        rewards,
        sum(events for _, events in shown),
        time.perf_counter() - wall,
        time.process_time() - cpu,
    )


def network_policy(world: Shop) -> Policy:
    """A policy of the default network, with random weights."""
    torch.manual_seed(0)
    settings = PolicySettings(max_length=world.max_events, evaluate_first_event=True)
    network = PolicyNetwork("LPI", settings, world.n_items, event_names=world.event_names)
    return policy_of(network.requires_grad_(False))


def report(name: str, found: Timed, mu: Timed) -> None:
    """Print what a rollout of π takes."""
    goal = ERROR * mu.rewards.mean()
    needed = int(np.ceil((found.rewards.std(ddof=1) / goal) ** 2))
    apart = mean_of(found.rewards).stderr ** 2 + mean_of(mu.rewards).stderr ** 2
    difference = mean_of(found.rewards - mu.rewards)
    print(
        f"{name}: J(π) / J(μ) = {found.rewards.mean() / mu.rewards.mean():.3f}; {needed:,} "
        f"sessions to {ERROR:.1%} of J(μ), {found.seconds_for(needed)}, and as many of μ "
        f"{mu.seconds_for(needed)}; J(π) − J(μ) = {difference.mean:+.4f} ± "
        f"{difference.stderr:.4f}, of {apart / difference.stderr**2:.1f} times less variance than "
        "with users of its own"
    )


def main(
    items: Annotated[int, typer.Option(help="Of the shop.")] = 5000,
    sessions: Annotated[int, typer.Option(help="Logged, and rolled out.")] = 20_000,
    threads: Annotated[int, typer.Option(help="Blocks of sessions worked at together.")] = 2,
) -> None:
    """Measure and print."""
    keep_freed_memory()
    torch.set_num_threads(threads)
    world = Shop(ShopSettings(n_items=items))
    timed(world, world.logging_policy, 100, 0)
    mu = timed(world, world.logging_policy, sessions, 1)
    print(
        f"{items:,} items, {threads} threads: μ logs {mu.events / mu.wall:,.0f} events a second, "
        f"{mu.events / mu.cpu:,.0f} a second of CPU"
    )
    warmer = Shop(replace(world.settings, temperature=1.2 * world.settings.temperature))
    policies: dict[str, Callable[[], Policy]] = {
        "μ at 1.2 of its temperature": lambda: warmer.logging_policy,
        "network": lambda: network_policy(world),
    }
    for name, make in policies.items():
        report(name, timed(world, make(), sessions, 1), mu)


if __name__ == "__main__":
    typer.run(main)
