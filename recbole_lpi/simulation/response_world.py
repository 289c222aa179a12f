"""A shop in which the logging policy answers to what the user did with the items shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_lpi.simulation.histories import Histories

EVENT_NAMES = ("ignored", "click", "purchase")
IGNORED, CLICK, PURCHASE = range(3)  # codes of the events
REWARDS = (0.0, 0.2, 1.0)  # of each


@dataclass(frozen=True)
class Shop:
    """What a ``ResponseWorld`` is like. ValueError names the setting and what it may be.

    Attributes:
        n_items: A; there are more than ``max_events``, so that something is always left to show.
        dimension: of the vectors of items and of what users want.
        max_events: how long a session is at most.
        signal: by how much an ignored, a clicked and a bought item push what is like them.
        memory: seconds after which an event pushes by 1/e of that.
        temperature: > 0, of the logging policy's softmax.
        click, purchase: intercept and slope of the log odds against ignoring an item, in the
            item's likeness to what the user wants, −1 … 1.
        drift: by how much of an item that was clicked or bought the user comes to want it.
        gap: median seconds from one event to the next, of a log-normal with σ = 0.5.
        pause_chance: that the user goes away before the next event, and comes back after about
            ``pause`` seconds with another intent.
        leave, bored: chance that the session ends after an event, and what each event ignored in
            a row adds to it.
    """

    n_items: int = 400
    dimension: int = 6
    max_events: int = 20
    signal: tuple[float, float, float] = (-0.5, 1.0, 1.0)
    memory: float = 120.0
    temperature: float = 0.2
    click: tuple[float, float] = (-2.0, 3.0)
    purchase: tuple[float, float] = (-5.0, 6.0)
    drift: float = 0.2
    gap: float = 20.0
    pause_chance: float = 0.1
    pause: float = 3600.0
    leave: float = 0.02
    bored: float = 0.03

    def __post_init__(self) -> None:
        for name in ("dimension", "max_events", "memory", "temperature", "gap", "pause"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        for name in ("pause_chance", "leave", "bored"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.n_items <= self.max_events:
            raise ValueError(f"n_items must be > max_events, {self.max_events}, got {self.n_items}")


class Users(NamedTuple):
    """What S users are like at one moment, which no policy sees.

    Attributes:
        intent: what each wants, unit vectors [S, D].
        bought: which items each has bought in the session, bool [S, A].
        ignored: how many items in a row each has ignored, int64 [S].
    """

    intent: Tensor
    bought: Tensor
    ignored: Tensor

    def take(self, index: Tensor) -> Users:
        """Return the users at ``index``, numbers or a mask."""
        return Users(*(column[index] for column in self))


class Luck(NamedTuple):
    """All that chance decides about one event of each of S sessions.

    Attributes:
        gumbel: [S, A], added to logits; the largest sum is a draw from their softmax.
        gap: seconds since the event before, float64 [S].
        paused: whether the user was away in between, bool [S].
        intent: what the user then wants, unit vectors [S, D].
        response, leaving: uniform in [0, 1), [S].
    """

    gumbel: Tensor
    gap: Tensor
    paused: Tensor
    intent: Tensor
    response: Tensor
    leaving: Tensor

    def take(self, index: Tensor) -> Luck:
        """Return what is decided about the sessions at ``index``, numbers or a mask."""
        return Luck(*(column[index] for column in self))


class ResponseWorld:
    """Items and users that ignore, click or buy them, and a logging policy that reads this.

    A user wants items near an intent, a unit vector that moves towards what is clicked and is drawn
    anew in a pause. The logging policy μ shows one item at a time, by a softmax over

        score(a) = (1/τ) Σ_i signal(kind_i) exp(−(t_n − t_i) / memory) · v_i · v_a

    of the n events i so far, at times t_i: more of what was clicked or bought, less of what was
    ignored, and the more so the later it was. What was bought is not shown again.

    Args:
        settings: what the world is like.
        seed: of the items' vectors.

    Attributes:
        vectors: v, unit vectors of the items [A, D].
    """

    def __init__(self, settings: Shop | None = None, seed: int = 0) -> None:
        self.settings = settings or Shop()
        self.vectors = self._directions(self.settings.n_items, torch.Generator().manual_seed(seed))

    def logging_policy(self, histories: Histories) -> Tensor:
        """Return the logits of μ, [S, A]; −∞ for what was bought."""
        s, (items, kinds, times, lengths) = self.settings, histories
        logits = torch.zeros(len(items), s.n_items)
        if not items.shape[1]:
            return logits
        last = times.gather(1, (lengths - 1).clamp_min(0)[:, None])
        signal = torch.tensor([0.0, *s.signal])[kinds]
        push = signal * ((times - last) / s.memory).exp().float()  # 0 of padding
        pushed = torch.einsum("st,std->sd", push, self.vectors[(items - 1).clamp_min(0)])
        logits = pushed @ self.vectors.T / s.temperature
        row, place = (kinds == PURCHASE + 1).nonzero(as_tuple=True)
        logits[row, items[row, place] - 1] = -torch.inf
        return logits

    def log_mu(self, histories: Histories) -> Tensor:
        """Return log μ(a | x) of every item, [S, A]."""
        return self.logging_policy(histories).log_softmax(-1)

    def newcomers(self, number: int, draws: torch.Generator) -> Users:
        """Draw users at the beginning of a session."""
        bought = torch.zeros(number, self.settings.n_items, dtype=torch.bool)
        intent = self._directions(number, draws)
        return Users(intent, bought, torch.zeros(number, dtype=torch.int64))

    def luck(self, number: int, draws: torch.Generator) -> Luck:
        """Draw what chance decides about the next event of ``number`` sessions."""
        s = self.settings
        gumbel = -torch.empty(number, s.n_items).exponential_(generator=draws).log()
        paused = torch.rand(number, generator=draws) < s.pause_chance
        spread = (0.5 * torch.randn(number, generator=draws, dtype=torch.float64)).exp()
        return Luck(
            gumbel,
            spread * torch.where(paused, s.pause, s.gap),
            paused,
            self._directions(number, draws),
            torch.rand(number, generator=draws),
            torch.rand(number, generator=draws),
        )

    def responses(self, users: Users, item: Tensor) -> Tensor:
        """Return the chances that items [S], 1 … A, are ignored, clicked or bought, [S, 3].

        What was bought before is ignored.
        """
        like = (users.intent * self.vectors[item - 1]).sum(-1)
        odds = [
            base + slope * like for base, slope in (self.settings.click, self.settings.purchase)
        ]
        chances = torch.stack([torch.zeros_like(like), *odds], -1).softmax(-1)
        again = users.bought.gather(1, item[:, None] - 1)
        return torch.where(again, torch.tensor([1.0, 0.0, 0.0]), chances)

    def respond(self, users: Users, item: Tensor, luck: Luck) -> tuple[Tensor, Users, Tensor]:
        """Let users see one item each.

        Args:
            users: as the event before left them.
            item: int64 [S], 1 … A.
            luck: what chance decides about this event.

        Returns: the kind of each event, int64 [S]; the users after it; and who leaves, bool [S].
        """
        s = self.settings
        users = users._replace(
            intent=torch.where(luck.paused[:, None], luck.intent, users.intent),
            ignored=users.ignored * ~luck.paused,
        )
        edges = self.responses(users, item).cumsum(-1)[:, :2]
        kind = (luck.response[:, None] >= edges).sum(-1)
        liked = kind != IGNORED
        drift = s.drift * liked[:, None] * self.vectors[item - 1]
        ignored = (users.ignored + 1) * ~liked
        bought = users.bought.clone()
        bought[kind == PURCHASE, item[kind == PURCHASE] - 1] = True
        after = Users(F.normalize(users.intent + drift, dim=-1), bought, ignored)
        return kind, after, luck.leaving < s.leave + s.bored * ignored

    def _directions(self, number: int, draws: torch.Generator) -> Tensor:
        """Draw unit vectors, [number, D]."""
        return F.normalize(torch.randn(number, self.settings.dimension, generator=draws), dim=-1)
