"""A shop like a real log: its settings from popularity, session length, purchases and repeats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from recbole_lpi.data.sessions import Sessions, flat_sessions
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation.rollout import roll_out
from recbole_lpi.simulation.shop import Shop
from recbole_lpi.simulation.shop_settings import ShopSettings

SESSIONS = 2048  # of each try
ROUNDS, HALVINGS = 3, 8


@dataclass(frozen=True)
class LogShape:
    """What a log is like, by its clicks and purchases alone.

    Attributes:
        length: events of a session on average.
        purchases: share of events that are purchases.
        repeats: share of events, but for first ones, on the item of the event before.
        concentration: Σ n (n − 1) / (N (N − 1)) of the events n on each item, N in all: the chance
            that two events are on one item (Simpson, 1949), whatever the size of the log.
    """

    length: float
    purchases: float
    repeats: float
    concentration: float


def shape_of(sessions: Sessions, purchase: str = "purchase") -> LogShape:
    """Return the shape of a log; SettingError if it has no two events or no repeated item."""
    counts = np.bincount(sessions.items).astype(np.float64)
    total = counts.sum()
    if total < 2 or len(sessions) == total:
        raise SettingError("a log of sessions of one event has no shape to fit a shop to")
    later = np.ones(len(sessions.items), bool)
    later[sessions.offsets[:-1]] = False
    same = sessions.items == np.roll(sessions.items, 1)
    code = sessions.event_names.index(purchase) if purchase in sessions.event_names else -1
    return LogShape(
        float(sessions.lengths.mean()),
        float((sessions.events == code).mean()),
        float(same[later].mean()),
        float((counts * (counts - 1)).sum() / (total * (total - 1))),
    )


def shape_of_shop(settings: ShopSettings, seed: int) -> LogShape:
    """Return the shape of what a shop would log, of clicks and purchases alone."""
    shop = Shop(replace(settings, exposures="engaged"), seed)
    return shape_of(roll_out(shop, shop.logging_policy, SESSIONS, seed).sessions)


@dataclass(frozen=True)
class _Knob:
    """A setting, and the part of the shape that grows or falls with it."""

    part: str
    low: float
    high: float
    grows: bool
    turned: Callable[[ShopSettings, float], ShopSettings]


KNOBS = (
    _Knob("length", 0.0, 0.9, False, lambda s, x: replace(s, leave=x)),
    _Knob("purchases", -12.0, 3.0, True, lambda s, x: replace(s, purchase=(x, s.purchase[1]))),
    _Knob("repeats", 0.0, 0.9, True, lambda s, x: replace(s, remind=min(x, 1 - s.explore))),
    _Knob("concentration", 0.0, 12.0, True, lambda s, x: replace(s, popular=x)),
)


def fitted_shop(shape: LogShape, start: ShopSettings, seed: int) -> ShopSettings:
    """Return ``start`` with the leave, purchase, remind and popular that come nearest to a shape.

    Each is found by bisection with the others held, in turn, and all of them ``ROUNDS`` times, on
    sessions of the same users. What is out of reach, such as more repeats than ``remind`` can make,
    is left at the end of its range: compare ``shape_of_shop``.
    """
    found = start
    for _ in range(ROUNDS):
        for knob in KNOBS:
            found = _turned(knob, shape, found, seed)
    return found


def _turned(knob: _Knob, shape: LogShape, settings: ShopSettings, seed: int) -> ShopSettings:
    low, high, sought = knob.low, knob.high, getattr(shape, knob.part)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        found = getattr(shape_of_shop(knob.turned(settings, middle), seed), knob.part)
        if (found < sought) == knob.grows:
            low = middle
        else:
            high = middle
    return knob.turned(settings, round((low + high) / 2, 4))


def read_log(path: Path) -> Sessions:
    """Read an atomic file of RecBole's with the columns that the converters write.

    Raises:
        SettingError: it is not there, lacks a column or holds what is no number.
    """
    import polars as pl

    named = {
        "session": "session_id:token",
        "item": "item_id:token",
        "time": "timestamp:float",
        "event": "event:token",
    }
    if not path.is_file():
        raise SettingError(f"no log at {path}: give an .inter file that a converter wrote")
    try:
        log = pl.read_csv(
            path,
            separator="\t",
            quote_char=None,
            columns=list(named.values()),
            schema_overrides={name: pl.String for name in named.values()},
        ).select(
            pl.col(named["session"]).rank("dense").cast(pl.Int64).alias("session") - 1,
            pl.col(named["item"]).rank("dense").cast(pl.Int64).alias("item"),
            pl.col(named["time"]).cast(pl.Float64).alias("time"),
            pl.col(named["event"]).alias("event"),
        )
    except pl.exceptions.PolarsError as error:
        raise SettingError(f"{path}: {' '.join(str(error).split())[:200]}") from None
    names = sorted(log["event"].unique().to_list())
    codes = log["event"].replace_strict(names, list(range(len(names))), return_dtype=pl.Int64)
    time = log["time"].to_numpy()
    zeros = np.zeros(len(time))
    return flat_sessions(
        log["session"].to_numpy(),
        log["item"].to_numpy(),
        time,
        zeros,
        codes.to_numpy(),
        tuple(names),
    )
