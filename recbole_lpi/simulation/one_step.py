"""What a policy would earn at the events of a log: the truth that estimates per event are about.

    J₁(π) = E_{x ~ μ} E_{a ~ π} r(x, a)       where μ decides which histories x there are

It is the contextual bandit's value (paper, Eq. 1 with d the states of μ). A session under π is
another matter: what π shows changes what comes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.nn.divergences import jensen_shannon
from recbole_lpi.simulation.histories import Histories, Policy
from recbole_lpi.simulation.rollout import blocks
from recbole_lpi.simulation.world import KnownRewards, Response

CHUNKS = 20  # independent logs, whose spread is the error


@dataclass(frozen=True)
class OneStep:
    """A policy at the events that the logging policy leads to.

    Attributes:
        value: J₁(π), the expected reward of an event.
        gain: J₁(π) − J₁(μ).
        kl, js: divergence of π from μ itself, in nats, per event.
    """

    value: Estimate
    gain: Estimate
    kl: Estimate
    js: Estimate

    def bound(self, beta: float) -> float:
        """Return J₁(π) − β KL(π ‖ μ), the paper's lower bound of J₁ (Eq. 7)."""
        return self.value.mean - beta * self.kl.mean


class _Watched:
    """A world in which μ shows, and policies are asked what they would have shown."""

    def __init__(self, world: KnownRewards, policies: Mapping[str, Policy]) -> None:
        self._world, self._policies = world, {"": world.logging_policy, **policies}
        self.sums: dict[str, np.ndarray] = {name: np.zeros(3) for name in self._policies}
        self.events = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world, name)

    def respond(self, users: Any, histories: Histories, item: Tensor, luck: Any) -> Response:
        """Let users see what μ shows, and look at what the others would have shown."""
        rewards, logged = (
            self._world.expected_rewards(users, histories, luck),
            self._world.logged(histories),
        )
        log_mu = self._world.logging_policy(logged).double().log_softmax(-1)
        for name, policy in self._policies.items():
            log_pi = policy(logged).double().log_softmax(-1) if name else log_mu
            pi = log_pi.exp()
            self.sums[name] += [
                float((pi * rewards).sum()),
                float((pi * (log_pi - log_mu)).nan_to_num(0.0).sum()),
                float(jensen_shannon(log_pi, log_mu).sum()),
            ]
        self.events += len(item)
        return self._world.respond(users, histories, item, luck)


@torch.no_grad()
def one_step(
    world: KnownRewards, policies: Mapping[str, Policy], n_sessions: int, seed: int
) -> tuple[Estimate, dict[str, OneStep]]:
    """Return J₁(μ), and of each policy what it would earn at the events of a log of μ.

    Args:
        world: where.
        policies: by name; they read what is logged.
        n_sessions: S of all logs together, ≥ 20.
        seed: of all draws.
    """
    if n_sessions < CHUNKS:
        raise ValueError(f"n_sessions must be >= {CHUNKS}, got {n_sessions}")
    found: dict[str, list[np.ndarray]] = {name: [] for name in ("", *policies)}
    threads = torch.get_num_threads()
    for chunk in range(CHUNKS):
        watched = _Watched(world, policies)
        for _ in blocks(watched, world.logging_policy, n_sessions // CHUNKS, seed + chunk):
            pass
        for name, sums in watched.sums.items():
            found[name].append(sums / watched.events)
    torch.set_num_threads(threads)
    mu = np.array(found.pop(""))[:, 0]
    results = {}
    for name, chunks in found.items():
        value, kl, js = np.array(chunks).T
        results[name] = OneStep(*map(_mean, (value, value - mu, kl, js)))
    return _mean(mu), results


def _mean(chunks: np.ndarray) -> Estimate:
    return Estimate(
        float(chunks.mean()), float(chunks.std(ddof=1) / len(chunks) ** 0.5), len(chunks)
    )
