"""What a shop is like: its settings, each of which ``world.yaml`` keeps and can set."""

from __future__ import annotations

import math
from dataclasses import dataclass

EXPOSURES = ("all", "engaged")


@dataclass(frozen=True)
class ShopSettings:
    """What a ``Shop`` is like. ValueError names the setting and what it may be.

    Attributes:
        exposures: what is logged, and so what policies read: ``all`` that is shown, or the
            ``engaged`` events alone, clicks and purchases.
        n_items: A; there are more than ``max_events``, so that something is always left to show.
        dimension: of the vectors of items and of what users want.
        max_events: how many items a session is shown at most.
        appeal: standard deviation of what an item's appeal adds to the log odds of being clicked
            and bought; the logging policy knows it.
        conversion: of what an item's purchase propensity adds to those of being bought alone; the
            logging policy does not know it.
        signal: of μ: by how much an ignored, a clicked and a bought item push what is like them.
        memory: of μ: seconds after which an event pushes by 1/e of that.
        temperature: of μ: > 0, of its softmax over likenesses.
        popular: of μ: the weight of appeal in its logits.
        blur: of μ: standard deviation of the noise in how it sees an item's vector, over the
            root of ``dimension``; 0: as the users do.
        remind: of μ: chance that the item clicked last is shown again.
        explore: of μ: chance ε that an item is drawn from all of them alike.
        click, purchase: intercept and slope of the log odds against ignoring an item, in the
            item's likeness to what the user wants, −1 … 1.
        repeat_penalty: what each earlier showing of an item in the session takes from both.
        drift: by how much of an item that was clicked or bought the user comes to want it.
        gap: median seconds from one event to the next, of a log-normal with σ = 0.5.
        pause_chance: that the user goes away before the next event, and comes back after about
            ``pause`` seconds with another intent.
        leave, bored: chance that the session ends after an event, and what each event ignored in
            a row adds to it.
    """

    exposures: str = "all"
    n_items: int = 1000
    dimension: int = 6
    max_events: int = 20
    appeal: float = 0.7
    conversion: float = 1.0
    signal: tuple[float, float, float] = (-0.3, 1.0, 1.0)
    memory: float = 120.0
    temperature: float = 0.3
    popular: float = 1.0
    blur: float = 0.5
    remind: float = 0.05
    explore: float = 0.05
    click: tuple[float, float] = (-2.0, 3.0)
    purchase: tuple[float, float] = (-5.0, 4.0)
    repeat_penalty: float = 0.5
    drift: float = 0.2
    gap: float = 20.0
    pause_chance: float = 0.05
    pause: float = 3600.0
    leave: float = 0.03
    bored: float = 0.02

    def __post_init__(self) -> None:
        if self.exposures not in EXPOSURES:
            raise ValueError(f"exposures must be {' or '.join(EXPOSURES)}, got {self.exposures!r}")
        for name in ("dimension", "max_events", "memory", "temperature", "gap", "pause"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be > 0 and finite, got {value}")
        for name in ("appeal", "conversion", "blur"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ValueError(f"{name} must be >= 0 and finite, got {value}")
        for name in ("click", "purchase", "signal", "popular", "repeat_penalty", "drift"):
            value = getattr(self, name)
            if not all(map(math.isfinite, value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{name} must be finite, got {value}")
        for name in ("pause_chance", "leave", "bored", "remind", "explore"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if self.remind + self.explore > 1:
            raise ValueError(f"remind + explore must be <= 1, got {self.remind} and {self.explore}")
        if self.n_items <= self.max_events:
            raise ValueError(f"n_items must be > max_events, {self.max_events}, got {self.n_items}")
