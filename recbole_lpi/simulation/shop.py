"""A shop: items with appeal, users whose intent drifts, a logging policy that reads responses."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_lpi.simulation.histories import Histories
from recbole_lpi.simulation.shop_policy import ShopPolicy
from recbole_lpi.simulation.shop_settings import ShopSettings
from recbole_lpi.simulation.world import Response

KINDS = ("ignored", "click", "purchase")
IGNORED, CLICK, PURCHASE = range(3)  # codes of what a user does
REWARDS = (0.0, 0.2, 1.0)  # of each


class Users(NamedTuple):
    """What S users are like at one moment, which no policy sees.

    Attributes:
        intent: what each wants, unit vectors [S, D].
        ignored: how many items in a row each has ignored, int64 [S].
    """

    intent: Tensor
    ignored: Tensor

    def take(self, index: Tensor) -> Users:
        """Return the users at ``index``, numbers or a mask."""
        return Users(*(column[index] for column in self))

    def put(self, index: Tensor, others: Users) -> Users:
        """Return these users, with others at ``index``, numbers or a mask."""
        pairs = zip(self, others, strict=True)
        return Users(*(column.index_put((index,), other) for column, other in pairs))


class Luck(NamedTuple):
    """All that chance decides about one event of each of S sessions but the item shown.

    Attributes:
        gap: seconds since the event before, whole milliseconds, float64 [S].
        paused: whether the user was away in between, bool [S].
        intent: what the user then wants, unit vectors [S, D].
        response, leaving: uniform in [0, 1), [S].
    """

    gap: Tensor
    paused: Tensor
    intent: Tensor
    response: Tensor
    leaving: Tensor

    def take(self, index: Tensor) -> Luck:
        """Return what is decided about the sessions at ``index``, numbers or a mask."""
        return Luck(*(column[index] for column in self))


class Shop:
    """Items, users that ignore, click or buy them, and a logging policy μ that reads this.

    A user wants items near an intent, a unit vector that moves towards what is clicked or bought
    and is drawn anew in a pause. Of an item a the log odds of being clicked rather than ignored are
    c₀ + c₁ (intent · v_a) + g(a) − penalty · (how often it was shown before in the session), those
    of being bought the same with the purchase's own c and the item's purchase propensity h(a)
    added. What was bought before is ignored. μ is a ``ShopPolicy``.

    Args:
        settings: what the shop is like.
        seed: of the items' vectors, their appeal and their purchase propensity.

    Attributes:
        vectors: v, unit vectors of the items [A, D].
        appeal, conversion: g and h, [A].
        logging_policy: μ; log μ(a | x) of every item when it is called.
    """

    def __init__(self, settings: ShopSettings | None = None, seed: int = 0) -> None:
        s = self.settings = settings or ShopSettings()
        self.seed, draws = seed, torch.Generator().manual_seed(seed)
        self.vectors = _directions(s.n_items, s.dimension, draws)
        self.appeal = s.appeal * torch.randn(s.n_items, generator=draws)
        self.conversion = s.conversion * torch.randn(s.n_items, generator=draws)
        noise = torch.randn(s.n_items, s.dimension, generator=draws) / s.dimension**0.5
        seen = F.normalize(self.vectors + s.blur * noise, dim=-1)
        hidden = self.hidden
        self.logging_policy = ShopPolicy(
            s, seen, self.appeal, s.signal[hidden:], CLICK - hidden, PURCHASE - hidden
        )

    @property
    def n_items(self) -> int:
        """A."""
        return self.settings.n_items

    @property
    def max_events(self) -> int:
        """How many items a session is shown at most."""
        return self.settings.max_events

    @property
    def hidden(self) -> int:
        """How many kinds the log leaves out: none, or what was ignored."""
        return 0 if self.settings.exposures == "all" else 1

    @property
    def event_names(self) -> tuple[str, ...]:
        """The kinds of event of the log."""
        return KINDS[self.hidden :]

    def logged(self, histories: Histories) -> Histories:
        """Return what the log keeps of all that was shown."""
        if not self.hidden:
            return histories
        kept = histories.keep(histories.kinds > self.hidden)
        return kept._replace(kinds=(kept.kinds - self.hidden).clamp_min(0))

    def newcomers(self, number: int, draws: torch.Generator) -> Users:
        """Draw users at the beginning of a session."""
        intent = _directions(number, self.settings.dimension, draws)
        return Users(intent, torch.zeros(number, dtype=torch.int64))

    def luck(self, number: int, draws: torch.Generator) -> Luck:
        """Draw what chance decides about the next event of ``number`` sessions."""
        s = self.settings
        paused = torch.rand(number, generator=draws) < s.pause_chance
        spread = (0.5 * torch.randn(number, generator=draws, dtype=torch.float64)).exp()
        gap = spread * torch.where(paused, s.pause, s.gap)
        return Luck(
            (gap * 1000).round().clamp_min(1) / 1000,  # as a file keeps it: μ reads times
            paused,
            _directions(number, s.dimension, draws),
            torch.rand(number, generator=draws),
            torch.rand(number, generator=draws),
        )

    def responses(self, users: Users, histories: Histories, item: Tensor) -> Tensor:
        """Return the chances that items [S], 1 … A, are ignored, clicked or bought, [S, 3]."""
        s, again = self.settings, histories.items == item[:, None]
        like = (users.intent * self.vectors[item - 1]).sum(-1)
        added = self.appeal[item - 1] - s.repeat_penalty * again.sum(-1)
        click = s.click[0] + s.click[1] * like + added
        purchase = s.purchase[0] + s.purchase[1] * like + added + self.conversion[item - 1]
        chances = torch.stack([torch.zeros_like(like), click, purchase], -1).softmax(-1)
        bought = (again & (histories.kinds == PURCHASE + 1)).any(-1, keepdim=True)
        return torch.where(bought, torch.tensor([1.0, 0.0, 0.0]), chances)

    def expected_rewards(self, users: Users, histories: Histories, luck: Luck) -> Tensor:
        """Return the expected reward of showing each item next, float32 [S, A].

        Args: as of ``respond``; of the luck, only whether the users were away has a part in it.
        """
        s, items = self.settings, histories.items
        like = _after_pause(users, luck).intent @ self.vectors.T
        times = torch.zeros(len(items), s.n_items + 1)  # shown before; of padding, whatever
        added = (
            self.appeal - s.repeat_penalty * times.scatter_add(1, items, (items > 0).float())[:, 1:]
        )
        click = s.click[0] + s.click[1] * like + added
        purchase = s.purchase[0] + s.purchase[1] * like + added + self.conversion
        chances = torch.stack([torch.zeros_like(like), click, purchase], -1).softmax(-1)
        is_bought = (histories.kinds == PURCHASE + 1).float()
        bought = times.scatter_reduce(1, items, is_bought, "amax")[:, 1:] > 0
        return (chances @ torch.tensor(REWARDS)).masked_fill(bought, 0.0)

    def respond(self, users: Users, histories: Histories, item: Tensor, luck: Luck) -> Response:
        """Let users see one item each, as ``World.respond`` says."""
        s = self.settings
        users = _after_pause(users, luck)
        intent = users.intent
        edges = self.responses(users, histories, item).cumsum(-1)[:, :2]
        kind = (luck.response[:, None] >= edges).sum(-1)
        liked = kind != IGNORED
        drift = s.drift * liked[:, None] * self.vectors[item - 1]
        ignored = (users.ignored + 1) * ~liked
        return Response(
            kind,
            torch.tensor(REWARDS, dtype=torch.float64)[kind],
            luck.gap,
            luck.leaving < s.leave + s.bored * ignored,
            Users(F.normalize(intent + drift, dim=-1), ignored),
        )


def _after_pause(users: Users, luck: Luck) -> Users:
    """Return users as they come to the next event, some of them after a pause."""
    intent = torch.where(luck.paused[:, None], luck.intent, users.intent)
    return Users(intent, users.ignored * ~luck.paused)


def _directions(number: int, dimension: int, draws: torch.Generator) -> Tensor:
    """Draw unit vectors, [number, D]."""
    return F.normalize(torch.randn(number, dimension, generator=draws), dim=-1)
