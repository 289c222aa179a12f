"""Ten held-out sessions with the lists of two policies side by side, chosen by a rule.

Three in which the logged item moved up most, three in which it moved down most, and the rest drawn
by chance from the others, always the same: the first six are the extremes, not what is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.measures import Events, Kinds
from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.decision.source import Source
from recbole_lpi.experiments.runs import FinishedRun
from recbole_lpi.serving.recommender import Recommender
from recbole_lpi.serving.saved_policies import load_policy
from recbole_lpi.settings import SettingError
from recbole_lpi.text import one_line

NUMBER, EXTREME, SEED = 10, 3, 0
UP, DOWN, CHANCE = "moved up most", "moved down most", "drawn by chance"
SHOWN = 8  # of the most recent events of a history
K = 5  # of a list


class Item(NamedTuple):
    """An item as the page shows it: its title, or its token where it has none."""

    words: str
    logged: bool
    probability: float | None = None
    event: str = ""


@dataclass(frozen=True)
class Example:
    """A moment of a held-out session.

    Attributes:
        session: its token; why: how it was chosen.
        before: how many events are not shown; history: those that are, the oldest first.
        logged: what the log has next.
        ranks: of that, by what runs now and by the policy.
        lists: their first K recommendations, likewise.
    """

    session: str
    why: str
    before: int
    history: tuple[Item, ...]
    logged: Item
    ranks: tuple[float, float]
    lists: tuple[tuple[Item, ...], tuple[Item, ...]]


def chosen(table: EventTable, base: EventTable, metric: str, kinds: Kinds) -> list[tuple[int, str]]:
    """Choose events of ten different sessions, among those the metric is over: rows, and why."""
    rows = np.flatnonzero(Events(table, kinds).of(Metric.parse(metric).kind))
    moved = 1 / np.log2(1 + table.rank.astype(float)) - 1 / np.log2(1 + base.rank.astype(float))
    by_move = rows[np.argsort(-moved[rows], kind="stable")]
    taken: set[int] = set()
    found = _first(by_move[moved[by_move] > 0], table, taken, EXTREME, UP)
    found += _first(by_move[moved[by_move] < 0][::-1], table, taken, EXTREME, DOWN)
    drawn = np.random.default_rng(SEED).permutation(rows)
    return found + _first(drawn, table, taken, NUMBER - len(found), CHANCE)


def _first(
    rows: np.ndarray, table: EventTable, taken: set[int], number: int, why: str
) -> list[tuple[int, str]]:
    """Take the first of ``rows`` whose sessions are not taken yet, and take their sessions."""
    found: list[tuple[int, str]] = []
    for row in map(int, rows):
        if len(found) == number:
            break
        if int(table.session[row]) not in taken:
            taken.add(int(table.session[row]))
            found.append((row, why))
    return found


def examples(
    runs: tuple[FinishedRun, FinishedRun],
    tables: tuple[EventTable, EventTable],
    metric: str,
    source: Source,
) -> list[Example]:
    """Recommend for ten held-out sessions by two runs' policies.

    Args:
        runs: of what runs now and of the policy.
        tables: their event tables, of the same events.
        metric: over whose events sessions are chosen.
        source: the data of the runs.

    Raises:
        SettingError: a run has no policy that can recommend, or its sessions are not in the data.
    """
    policies = [load_policy(run.folder.path) for run in runs]
    base, own = tables
    picked = chosen(own, base, metric, runs[1].kinds)
    frame = pl.read_parquet(runs[1].folder.events, columns=["session_id", "position", "item_id"])
    rows = frame[[row for row, _ in picked]]
    try:
        histories = [
            source.history(s, p) for s, p in rows.select("session_id", "position").iter_rows()
        ]
    except KeyError as error:
        raise SettingError(f"session {error} of the test part is not in the data") from None
    lists = [_lists(policy, histories, rows["item_id"], source) for policy in policies]
    found = []
    for number, (row, why) in enumerate(picked):
        session, _, item = rows.row(number)
        history, event = histories[number], str(own.event[row])
        recent = tuple(
            Item(_words(source, token), False, event=one_line(kind))
            for token, kind, _ in history[-SHOWN:]
        )
        found.append(
            Example(
                one_line(session), why, len(history) - len(recent), recent,
                Item(_words(source, item), True, event=one_line(event)),
                (float(base.rank[row]), float(own.rank[row])),
                (lists[0][number], lists[1][number]),
            )
        )  # fmt: skip
    return found


def _lists(
    policy: Recommender, histories: Sequence[list[tuple[str, str, float]]], logged: pl.Series,
    source: Source,
) -> list[tuple[Item, ...]]:  # fmt: skip
    try:
        found = policy.recommend(histories, k=K)
    except ValueError as error:
        raise SettingError(str(error)) from None
    return [
        tuple(
            Item(_words(source, item), item == next_, float(chance))
            for item, chance in zip(items, chances, strict=True)
            if item is not None
        )
        for items, chances, next_ in zip(found.items, found.propensities, logged, strict=True)
    ]


def _words(source: Source, item: str) -> str:
    return source.titles.get(item, one_line(item))
