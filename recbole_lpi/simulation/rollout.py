"""Rolling a policy out in a simulated world: the log it makes, and what it is worth there."""

from __future__ import annotations

import numpy as np
import torch

from recbole_lpi.data.sessions import Sessions, flat_sessions
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.simulation.histories import Histories, Policy
from recbole_lpi.simulation.response_world import EVENT_NAMES, REWARDS, ResponseWorld

START = 1.7e9  # Unix seconds of the first event of each session, less its gap


@torch.no_grad()
def simulate(world: ResponseWorld, policy: Policy, n_sessions: int, seed: int) -> Sessions:
    """Log what a policy shows and what users do with it: every item shown is an event.

    The same seed draws the same users and the same luck whatever the policy, so that the rewards of
    two policies differ, session by session, by less than those of independent draws would.

    Args:
        world: where.
        policy: whose softmax draws what is shown; it is asked about the sessions that go on.
        n_sessions: S, >= 1.
        seed: of all draws.
    """
    draws, length = torch.Generator().manual_seed(seed), world.settings.max_events
    items, kinds = torch.zeros(2, n_sessions, length, dtype=torch.int64)
    times = torch.full((n_sessions, length), START, dtype=torch.float64)
    users, there = world.newcomers(n_sessions, draws), torch.arange(n_sessions)
    for place in range(length):
        luck = world.luck(n_sessions, draws).take(there)  # of all, so that it is theirs
        so_far = Histories(items, kinds, times, torch.full((n_sessions,), length)).first(place)
        item = (policy(so_far.take(there)) + luck.gumbel).argmax(-1) + 1
        kind, users, leaves = world.respond(users, item, luck)
        items[there, place], kinds[there, place] = item, kind + 1
        times[there, place:] += luck.gap[:, None]
        there, users = there[~leaves], users.take(~leaves)
        if not len(there):
            break
    session, place_of = items.nonzero(as_tuple=True)
    event = kinds[session, place_of].numpy() - 1
    return flat_sessions(
        session.numpy(),
        items[session, place_of].numpy(),
        times[session, place_of].numpy(),
        np.array(REWARDS)[event],
        event,
        EVENT_NAMES,
    )


def session_rewards(sessions: Sessions) -> np.ndarray:
    """Return the sum of the rewards of each session, float64 [S]."""
    return np.add.reduceat(sessions.rewards.astype(np.float64), sessions.offsets[:-1])


def value(world: ResponseWorld, policy: Policy, n_sessions: int, seed: int) -> Estimate:
    """Estimate the mean reward of a session under a policy, which ``simulate`` rolls out."""
    rewards = session_rewards(simulate(world, policy, n_sessions, seed))
    return Estimate(
        float(rewards.mean()), float(rewards.std(ddof=1) / len(rewards) ** 0.5), len(rewards)
    )
