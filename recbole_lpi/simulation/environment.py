"""A simulated world as a Gymnasium environment: one session, or many at once.

Needs ``gymnasium`` (``pip install recbole-lpi[simulation]``), and is therefore not among the names
of the room: ``from recbole_lpi.simulation.environment import WorldVectorEnv``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from torch import Tensor

from recbole_lpi.simulation.histories import Histories
from recbole_lpi.simulation.world import World

Observation = dict[str, Any]


def observation_space(world: World) -> spaces.Dict:
    """Return the space of what is logged of a session, padded on the right to ``max_events``.

    ``items`` (0 is padding), ``kinds`` (the code of the kind of event plus 1; 0 is padding) and
    ``times``, seconds since the session began, have shape [max_events].
    """
    length = (world.max_events,)
    return spaces.Dict(
        {
            "items": spaces.Box(0, world.n_items, length, np.int64),
            "kinds": spaces.Box(0, len(world.event_names), length, np.int64),
            "times": spaces.Box(0, np.inf, length, np.float64),
        }
    )


def action_space(world: World) -> spaces.Discrete:
    """Return the items 1 … A."""
    return spaces.Discrete(world.n_items, start=1)


class OngoingSessions:
    """N sessions in a world, each of which begins anew when it is told to.

    Args:
        world: where.
        number: N.
    """

    def __init__(self, world: World, number: int) -> None:
        self.world, shape = world, (number, world.max_events)
        self.items, self.kinds = torch.zeros(2, *shape, dtype=torch.int64)
        self.times = torch.zeros(shape, dtype=torch.float64)
        self.lengths = torch.zeros(number, dtype=torch.int64)
        self.users: Any = None
        self.draws = torch.Generator()

    def begin(self, index: Tensor | None = None) -> None:
        """Begin sessions anew, those at ``index`` or all."""
        if index is None:
            index = torch.arange(len(self.lengths))
            self.users = self.world.newcomers(len(index), self.draws)
        else:
            self.users = self.users.put(index, self.world.newcomers(len(index), self.draws))
        for table in (self.items, self.kinds, self.times, self.lengths):
            table[index] = 0

    def show(self, index: Tensor, item: Tensor) -> tuple[Tensor, Tensor]:
        """Show items to the sessions at ``index``; returns rewards and which sessions end."""
        so_far = Histories(self.items, self.kinds, self.times, self.lengths).take(index)
        luck = self.world.luck(len(index), self.draws)
        response = self.world.respond(self.users.take(index), so_far, item, luck)
        self.users = self.users.put(index, response.users)
        place = self.lengths[index]
        self.items[index, place], self.kinds[index, place] = item, response.kind + 1
        last = self.times[index, (place - 1).clamp_min(0)]
        self.times[index, place] = last + response.gap
        self.lengths[index] += 1
        return response.reward, response.leaves | (self.lengths[index] == self.world.max_events)

    def observed(self) -> Observation:
        """Return what is logged of each session, [N, max_events] each."""
        logged = self.world.logged(Histories(self.items, self.kinds, self.times, self.lengths))
        missing = self.world.max_events - logged.items.shape[1]

        def column(values: Tensor) -> np.ndarray:
            padded = torch.nn.functional.pad(values * logged.real, (0, missing))
            return padded.numpy().copy()

        return {name: column(getattr(logged, name)) for name in ("items", "kinds", "times")}


def histories_of_observations(observations: Observation) -> Histories:
    """Return observations [N, max_events] of a vector environment as policies read them."""
    items, kinds, times = (
        torch.from_numpy(observations[name]) for name in ("items", "kinds", "times")
    )
    return Histories(items, kinds, times, (items > 0).sum(1))


class WorldEnv(gymnasium.Env[Observation, np.int64]):
    """One session of a world at a time; it terminates when the user leaves or has seen the most.

    Args:
        world: where.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 (gymnasium's own)

    def __init__(self, world: World) -> None:
        self.observation_space, self.action_space = observation_space(world), action_space(world)
        self._sessions, self._seeded = OngoingSessions(world, 1), False

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin a session. There are no options."""
        super().reset(seed=seed)
        if seed is not None or not self._seeded:
            self._sessions.draws.manual_seed(int(self.np_random.integers(2**63)))
            self._seeded = True
        self._sessions.begin()
        return self._observed(), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Show an item, 1 … A."""
        reward, ends = self._sessions.show(torch.zeros(1).long(), torch.tensor([int(action)]))
        return self._observed(), float(reward), bool(ends), False, {}

    def _observed(self) -> Observation:
        return {name: column[0] for name, column in self._sessions.observed().items()}


class WorldVectorEnv(VectorEnv[Observation, np.ndarray, np.ndarray]):
    """Many sessions of a world at once, vectorised in torch.

    Autoreset is Gymnasium's ``NEXT_STEP``: the step after a session's last ignores its action,
    gives reward 0, and returns the empty history of a new session.

    Args:
        world: where.
        num_envs: N, how many sessions.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (gymnasium's own)
        "render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP,
    }  # fmt: skip

    def __init__(self, world: World, num_envs: int) -> None:
        self.num_envs = num_envs
        self.single_observation_space = observation_space(world)
        self.single_action_space = action_space(world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._sessions, self._seeded = OngoingSessions(world, num_envs), False
        self._ended = torch.zeros(num_envs, dtype=torch.bool)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin all sessions; one generator, made from ``seed``, draws for all of them.

        Raises:
            ValueError: ``seed`` is a sequence, of a seed for each session.
        """
        if seed is not None and not isinstance(seed, (int, np.integer)):
            raise ValueError("seed must be one number: one generator draws for all sessions")
        super().reset(seed=None if seed is None else int(seed))
        if seed is not None or not self._seeded:
            self._sessions.draws.manual_seed(int(self.np_random.integers(2**63)))
            self._seeded = True
        self._sessions.begin()
        self._ended[:] = False
        return self._sessions.observed(), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Show items [N], 1 … A, to the sessions that go on, and begin those that had ended."""
        begins, goes_on = self._ended.nonzero().flatten(), (~self._ended).nonzero().flatten()
        if len(begins):
            self._sessions.begin(begins)
        rewards = torch.zeros(self.num_envs, dtype=torch.float64)
        self._ended = torch.zeros(self.num_envs, dtype=torch.bool)
        if len(goes_on):
            items = torch.as_tensor(np.asarray(actions, np.int64))[goes_on]
            rewards[goes_on], self._ended[goes_on] = self._sessions.show(goes_on, items)
        never = np.zeros(self.num_envs, bool)
        return self._sessions.observed(), rewards.numpy(), self._ended.numpy().copy(), never, {}
