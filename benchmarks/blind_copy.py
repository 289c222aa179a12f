"""What a copy of a logging policy loses that cannot see how users responded.

    OMP_NUM_THREADS=2 python benchmarks/blind_copy.py

A logging policy μ that answers to responses, more of what was clicked or bought and less of what
was ignored, shows items in a ``Shop``; every item shown is logged. Copies of μ are trained
on the log by maximum likelihood, which differ in what they read of each earlier event: its item
alone; its kind too (ignored, click, purchase); the time since the one before as well. Then each is
rolled out in the world, before the same users with the same luck.

Prints for each policy: the mean negative log likelihood of what μ shows in sessions held out, in
nats, which for μ itself is its entropy; by how much it is above that; the mean reward of a session;
and its ratio to that of μ, with standard errors, of the ratio from differences session by session.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

from recbole_lpi.data import Reading, SessionData, Sessions
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.simulation import (
    Policy,
    Shop,
    ShopSettings,
    log_probabilities,
    policy_of,
    session_rewards,
    simulate,
)
from recbole_lpi.training import TrainingSettings, train_policy

WORLD = ShopSettings(  # all items alike in appeal, and a policy that does nothing but respond
    n_items=200, dimension=3, memory=60.0, temperature=0.2, signal=(-0.5, 1.0, 1.0),
    click=(-3.0, 5.0), purchase=(-6.0, 8.0), pause_chance=0.1, leave=0.02, bored=0.03, appeal=0.0,
    conversion=0.0, popular=0.0, blur=0.0, remind=0.0, explore=0.0, repeat_penalty=0.0,
)  # fmt: skip
NETWORK = NetworkSettings(
    encoder="gru4rec", encoder_args={"hidden_size": 128}, hidden_size=32, hidden_dropout_prob=0.0,
    initializer_range=0.1, repeat_head=True,
)  # fmt: skip
RATES = ((6, 0.004), (3, 0.001), (1, 0.0003))  # epochs, and the learning rate of each
COPIES = {
    "a copy that reads items": ("item",),
    "items and kinds": ("item", "event"),
    "items, kinds and time gaps": ("item", "event", "time_gap"),
}


class Row(NamedTuple):
    """A policy as the table shows it: means, and standard errors where there is a number twice."""

    name: str
    nll: float
    excess: tuple[float, float]
    value: tuple[float, float]
    ratio: tuple[float, float]
    seconds: float

    def __str__(self) -> str:
        pairs = (
            f"{mean:.3f} ± {error:.3f}" for mean, error in (self.excess, self.value, self.ratio)
        )
        return (
            f"| {self.name} | {self.nll:.3f} | "
            + " | ".join([*pairs, f"{self.seconds:.0f}"])
            + " |"
        )


class Yardstick:
    """What policies are measured by: sessions of μ held out, and users to be rolled out before.

    Args:
        world: where.
        held_out, rollouts: the numbers of sessions.
        seed: of both.
    """

    def __init__(self, world: Shop, held_out: int, rollouts: int, seed: int) -> None:
        self.world, self.rollouts, self.seed = world, rollouts, seed
        mu = world.logging_policy
        self.held_out = simulate(world, mu, held_out, seed)
        self.log_mu = log_probabilities(mu, self.held_out)
        self.rewards = self._rewards(mu)

    def row(self, name: str, policy: Policy, seconds: float = 0.0) -> Row:
        """Measure a policy, whose training took ``seconds`` of CPU."""
        found = log_probabilities(policy, self.held_out)
        excess = np.add.reduceat(self.log_mu - found, self.held_out.offsets[:-1])
        length, rewards = self.held_out.lengths.mean(), self._rewards(policy)
        ratio = rewards.mean() / self.rewards.mean()
        return Row(
            name,
            float(-found.mean()),
            (float(excess.mean() / length), _stderr(excess) / length),
            (float(rewards.mean()), _stderr(rewards)),
            (float(ratio), _stderr(rewards - ratio * self.rewards) / float(self.rewards.mean())),
            seconds,
        )

    def _rewards(self, policy: Policy) -> np.ndarray:
        return session_rewards(simulate(self.world, policy, self.rollouts, self.seed + 1))


def _stderr(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5)


def trained(
    inputs: tuple[str, ...],
    log: Sessions,
    world: Shop,
    rates: tuple[tuple[int, float], ...],
    seed: int = 0,
) -> PolicyNetwork:
    """A copy of the policy that made ``log``, which reads ``inputs``."""
    length, n_items = world.settings.max_events, world.settings.n_items
    torch.manual_seed(seed)
    settings = PolicySettings(
        replace(NETWORK, inputs=inputs), max_length=length, evaluate_first_event=True
    )
    network = PolicyNetwork("LoggingPolicy", settings, n_items, event_names=log.event_names)
    reading = Reading(max_length=length, evaluate_first_event=True)
    data = SessionData(log, item_num=n_items + 1, reading=reading)
    for epochs, rate in rates:
        how = TrainingSettings(epochs=epochs, learning_rate=rate, train_batch_size=128, seed=seed)
        train_policy(network, data, settings=how)
    return network


def rows(sessions: int, rollouts: int, seed: int) -> Iterator[Row]:
    """Measure μ, the copies, and items at random."""
    world = Shop(WORLD, seed)
    log = simulate(world, world.logging_policy, sessions, seed + 1)
    yardstick = Yardstick(world, max(sessions // 10, 100), rollouts, seed + 2)
    yield yardstick.row("μ", world.logging_policy)
    for name, inputs in COPIES.items():
        began = time.process_time()
        network = trained(inputs, log, world, RATES, seed)
        yield yardstick.row(name, policy_of(network), time.process_time() - began)
    yield yardstick.row("items at random", lambda h: torch.zeros(len(h.items), WORLD.n_items))


def main(
    sessions: Annotated[int, typer.Option(help="Sessions of the log.")] = 20_000,
    rollouts: Annotated[
        int, typer.Option(help="Sessions that each policy is rolled out in.")
    ] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the world, the log, the copies, the users.")] = 0,
) -> None:
    """Simulate, train the copies, roll them out, print a table in Markdown."""
    print("| policy | NLL | above μ's | reward of a session | of μ's | CPU seconds of training |")
    print("| - | - | - | - | - | - |")
    for row in rows(sessions, rollouts, seed):
        print(row, flush=True)


if __name__ == "__main__":
    typer.run(main)
