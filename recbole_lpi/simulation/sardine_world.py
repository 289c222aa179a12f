"""SARDINE as a world: users and items of Naver's simulator, and a logging policy beside them.

SARDINE (Deffayet et al., 2024, https://github.com/naver/sardine, MIT licence) needs the package
``sardine-rec``: ``pip install recbole-lpi[sardine]``. Its own policies read the state of the user,
which no log shows; μ is therefore ours, a ``ShopPolicy`` over SARDINE's items.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from recbole_lpi.settings import SettingError
from recbole_lpi.simulation.histories import Histories
from recbole_lpi.simulation.shop_policy import ShopPolicy
from recbole_lpi.simulation.shop_settings import ShopSettings
from recbole_lpi.simulation.world import Response

ENVIRONMENTS = ("SingleItem-Static", "SingleItem-BoredInf", "SingleItem-Uncertain")
KINDS = ("ignored", "click")
GAP = 10.0  # seconds from one event to the next, of which SARDINE knows nothing


@dataclass(frozen=True)
class SardineSettings:
    """One of SARDINE's environments, and the logging policy in it. ValueError names what is wrong.

    Attributes:
        environment: one of ``ENVIRONMENTS``; each shows slates of one item of 1000 in episodes of
            100 steps. In BoredInf users leave what bores them alone for a while.
        signal, memory, temperature, remind, explore: of μ, as of ``ShopSettings``, of which signal
            is of an ignored and a clicked item, and events are ten seconds apart.
    """

    environment: str = "SingleItem-BoredInf"
    signal: tuple[float, float] = (-0.3, 1.0)
    memory: float = 120.0
    temperature: float = 0.3
    remind: float = 0.0
    explore: float = 0.05

    def __post_init__(self) -> None:
        if self.environment not in ENVIRONMENTS:
            raise ValueError(
                f"environment must be one of {', '.join(ENVIRONMENTS)}, got {self.environment!r}"
            )
        self.of_policy(1000, 100)

    def of_policy(self, n_items: int, max_events: int) -> ShopSettings:
        """Return the settings of a shop whose policy this is."""
        return ShopSettings(
            n_items=n_items, max_events=max_events, signal=(*self.signal, 0.0), popular=0.0,
            memory=self.memory, temperature=self.temperature, remind=self.remind,
            explore=self.explore,
        )  # fmt: skip


class Visitors:
    """S of SARDINE's environments, each with the user of one session."""

    def __init__(self, environments: Sequence[Any]) -> None:
        self.environments = list(environments)

    def take(self, index: Tensor) -> Visitors:
        """Return the users at ``index``, numbers or a mask."""
        places = torch.arange(len(self.environments))[index].tolist()
        return Visitors([self.environments[place] for place in places])

    def put(self, index: Tensor, others: Visitors) -> Visitors:
        """Return these users, with others at ``index``."""
        environments = list(self.environments)
        places = torch.arange(len(environments))[index].tolist()
        for place, other in zip(places, others.environments, strict=True):
            environments[place] = other
        return Visitors(environments)


class NoLuck:
    """The luck of an event that the world draws by itself: each session has a generator."""

    def take(self, index: Tensor) -> NoLuck:
        """Return itself."""
        return self


class SardineWorld:
    """A single-item environment of SARDINE; a click is worth 1, and nobody leaves before the end.

    SARDINE shows every user an item of its own choice first, at random. It moves the user, and is
    not in the log. Each session draws from a generator of its own, so that two policies meet the
    same users, with the same luck as long as they are shown the same.

    Args:
        settings: which environment, and μ.
        seed: not used, since SARDINE's items are given.

    Raises:
        SettingError: the package is missing.

    Attributes:
        logging_policy: μ.
    """

    event_names = KINDS

    def __init__(self, settings: SardineSettings | None = None, seed: int = 0) -> None:
        self.settings, self.seed = settings or SardineSettings(), seed
        self._environment = made(self.settings.environment)
        vectors = torch.from_numpy(self._environment.item_embedd).float()
        of_policy = self.settings.of_policy(self.n_items, self.max_events)
        self.logging_policy = ShopPolicy(
            of_policy, vectors, torch.zeros(len(vectors)), self.settings.signal, click=1
        )

    @property
    def n_items(self) -> int:
        """A."""
        return int(self._environment.num_items)

    @property
    def max_events(self) -> int:
        """How many items a session is shown."""
        return int(self._environment.H)

    def logged(self, histories: Histories) -> Histories:
        """Return all that was shown."""
        return histories

    def newcomers(self, number: int, draws: Generator) -> Visitors:
        """Draw users at the beginning of a session."""
        seeds = torch.randint(2**31, (number,), generator=draws).tolist()
        environments = [copy.copy(self._environment) for _ in seeds]
        for environment, seed in zip(environments, seeds, strict=True):
            environment.reset(seed=seed)
        return Visitors(environments)

    def luck(self, number: int, draws: Generator) -> NoLuck:
        """Return nothing: users draw for themselves."""
        return NoLuck()

    def expected_rewards(self, users: Visitors, histories: Histories, luck: NoLuck) -> Tensor:
        """Return the chance of a click on each item if it is shown next, float64 [S, A].

        It is SARDINE's, of a slate of one item in these environments: a sigmoid of how well item
        and user match, as boredom leaves the user.
        """
        one = self._environment
        likes = np.stack([each.cur_user_embedd for each in users.environments])
        match = likes @ one.item_embedd.T / one.max_score
        chance = 1 / (1 + np.exp(-(match - one.offset) * one.slope))
        return torch.from_numpy(chance * one.alpha * one.propensities[0])

    def respond(
        self, users: Visitors, histories: Histories, item: Tensor, luck: NoLuck
    ) -> Response:
        """Let users see one item each, as ``World.respond`` says."""
        found = [
            environment.step(np.array([shown - 1]))
            for environment, shown in zip(users.environments, item.tolist(), strict=True)
        ]
        kind = torch.tensor([int(reward > 0) for _, reward, *_ in found], dtype=torch.int64)
        leaves = torch.tensor([bool(end or cut) for _, _, end, cut, _ in found], dtype=torch.bool)
        gap = torch.full((len(found),), GAP, dtype=torch.float64)
        return Response(kind, kind.double(), gap, leaves, users)


def made(name: str) -> Any:
    """Make one of SARDINE's environments; SettingError if the package is missing."""
    try:
        import gymnasium
        import sardine  # noqa: F401 (it registers its environments)
    except ModuleNotFoundError as error:
        raise SettingError(
            f"the world sardine needs the package {error.name}: pip install sardine-rec gymnasium"
        ) from None
    return gymnasium.make(f"sardine/{name}-v0").unwrapped
