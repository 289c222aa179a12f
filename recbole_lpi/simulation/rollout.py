"""Rolling a policy out in a simulated world: the log it makes, and what it is worth there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from recbole_lpi.data.sessions import Sessions, flat_sessions
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.simulation.draws import draw_items
from recbole_lpi.simulation.histories import Histories, Policy
from recbole_lpi.simulation.world import World

START, SPACING = 1.7e9, 10.0  # Unix seconds at which the first session begins, and from one to next
AT_ONCE = 4096  # sessions that are rolled out together; each such block has a seed of its own


class Rollout(NamedTuple):
    """What a policy did in a world, and what came of it.

    Attributes:
        sessions: what was logged, E events; sessions of which nothing was are not in it.
        log_probabilities: log π(a | x) of each logged event, float64 [E].
        rewards: sums of the rewards of all S sessions, whether logged or not, float64 [S].
        shown: how many items were shown, whether logged or not.
    """

    sessions: Sessions
    log_probabilities: np.ndarray
    rewards: np.ndarray
    shown: int


class Shown(NamedTuple):
    """What a block of S sessions was shown, padded on the right: [S, L] each but for the first."""

    histories: Histories
    rewards: torch.Tensor
    log_probabilities: torch.Tensor


def roll_out(world: World, policy: Policy, n_sessions: int, seed: int) -> Rollout:
    """Let a policy show items in a world.

    The same seed draws the same users and the same luck whatever the policy, so that the rewards of
    two policies differ, session by session, by less than those of independent draws would.

    Args:
        world: where.
        policy: what is shown is drawn from it, by inverse CDF; it is asked about the sessions that
            go on, and reads what is logged of them.
        n_sessions: S, >= 1.
        seed: >= 0, of all draws.

    Raises:
        FloatingPointError: logits of the policy are not a number.
    """
    return joined(world, list(blocks(world, policy, n_sessions, seed)))


def simulate(world: World, policy: Policy, n_sessions: int, seed: int) -> Sessions:
    """Return the log that ``roll_out`` makes."""
    return roll_out(world, policy, n_sessions, seed).sessions


def blocks(world: World, policy: Policy, n_sessions: int, seed: int) -> Iterator[Shown]:
    """Roll out by blocks of ``AT_ONCE`` sessions, of which the last may be smaller.

    As many blocks are worked at as torch has threads, each by one. What comes of a block does not
    depend on it. World and policy are used by several threads at a time.
    """
    threads = torch.get_num_threads()

    def block(number: int) -> Shown:
        torch.set_num_threads(1)  # of this thread
        first = number * AT_ONCE
        draws = torch.Generator().manual_seed(_seed_of_block(seed, number))
        size = min(AT_ONCE, n_sessions - first)
        return _block(world, policy, size, START + SPACING * first, draws)

    numbers = range(-(-n_sessions // AT_ONCE))
    try:
        if threads == 1 or len(numbers) == 1:
            yield from map(block, numbers)
            return
        pool = ThreadPoolExecutor(threads)
        try:
            yield from _ahead(pool, block, numbers, 2 * threads)
        finally:
            pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(threads)


def _ahead(
    pool: ThreadPoolExecutor, work: Callable[[int], Shown], numbers: range, most: int
) -> Iterator[Shown]:
    """Yield results in order, of which ``most`` are worked at or wait to be taken."""
    waiting: deque[Future[Shown]] = deque()
    for number in numbers:
        waiting.append(pool.submit(work, number))
        if len(waiting) == most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _seed_of_block(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


@torch.no_grad()
def _block(world: World, policy: Policy, size: int, start: float, draws: torch.Generator) -> Shown:
    length = world.max_events
    items, kinds = torch.zeros(2, size, length, dtype=torch.int64)
    rewards, log_probabilities, times = torch.zeros(3, size, length, dtype=torch.float64)
    times += start + SPACING * torch.arange(size)[:, None]
    lengths, there = torch.zeros(size, dtype=torch.int64), torch.arange(size)
    users = world.newcomers(size, draws)
    for place in range(length):
        # Of all sessions, so that each has its own whoever has left.
        uniform = torch.rand(size, generator=draws, dtype=torch.float64)[there]
        luck = world.luck(size, draws).take(there)
        so_far = Histories(items, kinds, times, lengths).first(place).take(there)
        item, log_probability = draw_items(policy, world.logged(so_far), uniform)
        if not torch.isfinite(log_probability).all():
            raise FloatingPointError(
                f"the policy gives no probabilities at event {place + 1} of a session: its logits "
                "are not finite"
            )
        response = world.respond(users, so_far, item, luck)
        items[there, place], kinds[there, place] = item, response.kind + 1
        rewards[there, place], log_probabilities[there, place] = response.reward, log_probability
        times[there, place:] += response.gap[:, None]
        lengths[there] += 1
        there, users = there[~response.leaves], response.users.take(~response.leaves)
        if not len(there):
            break
    return Shown(Histories(items, kinds, times, lengths), rewards, log_probabilities)


def joined(world: World, shown: list[Shown]) -> Rollout:
    """Join blocks, and keep of each session what is logged."""
    columns, first = [], 0
    for block in shown:
        session, *others = _logged(world, block)
        columns.append((session + first, *others))
        first += len(block.rewards)
    session, item, time, reward, kind, log_probability = (
        np.concatenate(column) for column in zip(*columns, strict=True)
    )
    dense = np.unique(session, return_inverse=True)[1]
    return Rollout(
        flat_sessions(dense, item, time, reward, kind, world.event_names),
        log_probability,
        np.concatenate([block.rewards.sum(1).numpy() for block in shown]),
        sum(int(block.histories.lengths.sum()) for block in shown),
    )


def _logged(world: World, shown: Shown) -> tuple[np.ndarray, ...]:
    """Return of each logged event of a block: its session, item, time, reward, kind and log π."""
    histories, rewards, log_probabilities = shown
    order = torch.arange(rewards.numel(), dtype=torch.float64).view_as(rewards)
    kept = world.logged(histories._replace(times=order))  # which carries where each event stands
    place = kept.times[kept.real].long()
    session = torch.arange(len(kept.items)).repeat_interleave(kept.lengths)
    found = (
        session,
        kept.items[kept.real],
        histories.times.flatten()[place],
        rewards.flatten()[place],
        kept.kinds[kept.real] - 1,
        log_probabilities.flatten()[place],
    )
    return tuple(column.numpy() for column in found)


def session_rewards(sessions: Sessions) -> np.ndarray:
    """Return the sum of the rewards of each session, float64 [S]."""
    return np.add.reduceat(sessions.rewards.astype(np.float64), sessions.offsets[:-1])


def mean_of(rewards: np.ndarray) -> Estimate:
    """Return the mean of independent draws [S], with its standard error; S >= 2."""
    stderr = float(rewards.std(ddof=1) / len(rewards) ** 0.5)
    return Estimate(float(rewards.mean()), stderr, len(rewards))


def value(world: World, policy: Policy, n_sessions: int, seed: int) -> Estimate:
    """Estimate J(π), the mean reward of a session, from sessions that are rolled out."""
    found = [block.rewards.sum(1).numpy() for block in blocks(world, policy, n_sessions, seed)]
    return mean_of(np.concatenate(found))
