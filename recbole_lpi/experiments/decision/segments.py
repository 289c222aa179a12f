"""For which sessions, or at which moments, a policy is better or worse than what runs now.

Where ranks decide, segments are of sessions and of what was logged. Where estimates decide, they
are of what was known before each recommendation: what came after is an outcome, and importance
weights within an outcome do not average to one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.measures import Events, Kinds
from recbole_lpi.evaluation.scores import PolicyScore
from recbole_lpi.evaluation.significance import PairedDifference, holm, paired

FEWEST = 30  # sessions, below which a difference of a segment is not told


class Cut(NamedTuple):
    """A way to cut the events of a log into segments.

    Attributes:
        by: what it cuts by.
        names: of its segments.
        at: the number of each event's segment, [N]; −1: of none.
    """

    by: str
    names: tuple[str, ...]
    at: np.ndarray


@dataclass(frozen=True)
class Segment:
    """What a policy is beside another on some of the events.

    Attributes:
        by, name: what the log is cut by, and which part this is.
        events, sessions: how many there are.
        test: of the difference, p adjusted for the number of segments (Holm); None: too few
            sessions to tell.
        baseline: the number of what runs now.
    """

    by: str
    name: str
    events: int
    sessions: int
    test: PairedDifference | None
    baseline: float

    @property
    def surely_worse(self) -> bool:
        """Whether the policy is worse here, p < .05."""
        return self.test is not None and self.test.difference < 0 and self.test.p < 0.05

    @property
    def surely_better(self) -> bool:
        """Whether the policy is better here, p < .05."""
        return self.test is not None and self.test.difference > 0 and self.test.p < 0.05


Score = Callable[[np.ndarray], tuple[PolicyScore, PolicyScore]]  # events to baseline and policy


def segments(
    cuts: Sequence[Cut], session: np.ndarray, counts: np.ndarray, score: Score
) -> list[Segment]:
    """Compare two policies in every segment, the worst first.

    Args:
        cuts: of the events.
        session: of each event, [N].
        counts: which events the number is over, bool [N]; a segment without one is left out.
        score: the scores of both policies on chosen events, bool [N].
    """
    found: list[Segment] = []
    for cut in cuts:
        for number, name in enumerate(cut.names):
            chosen = (cut.at == number) & counts
            sessions = len(np.unique(session[chosen]))
            if not sessions:
                continue
            test, baseline = None, float("nan")
            if sessions >= FEWEST:
                a, b = score(chosen)
                test, baseline = paired(a, b), a.mean
            found.append(Segment(cut.by, name, int(chosen.sum()), sessions, test, baseline))
    return _adjusted(found)


def _adjusted(found: list[Segment]) -> list[Segment]:
    """Adjust p for the number of segments, and sort: the worst first, what is not told last."""
    tested = [(one, one.test) for one in found if one.test is not None]
    adjusted = holm([test.p for _, test in tested])
    told = [
        replace(one, test=replace(test, p=p))
        for (one, test), p in zip(tested, adjusted, strict=True)
    ]
    told.sort(key=lambda one: one.test.difference if one.test else 0.0)
    return told + [one for one in found if one.test is None]


def cuts_of_sessions(table: EventTable, kinds: Kinds) -> list[Cut]:
    """Cut by length of the session, its purchases, and how frequent the logged item is."""
    sessions = np.bincount(table.session)
    purchases = np.bincount(table.session, Events(table, kinds).of("purchase"))
    popularity = np.bincount(table.item_id)
    return [
        quartiles("length", "sessions of {} held-out event", sessions[table.session]),
        few("purchases", "sessions with {}", purchases[table.session].astype(int)),
        quartiles("popularity", "items that occur {} time", popularity[table.item_id]),
    ]


def cuts_of_moments(table: EventTable, kinds: Kinds) -> list[Cut]:
    """Cut by what was known before: events so far, purchases so far, the last item's frequency."""
    order = np.lexsort((table.position, table.session))
    bought = Events(table, kinds).of("purchase").astype(int)[order]
    session = table.session[order]
    before = np.cumsum(bought) - bought
    first = np.searchsorted(session, session)  # of the session, in that order
    so_far = np.empty(len(table), int)
    so_far[order] = before - before[first]
    found = [
        quartiles("length", "after {} event", table.position),
        few("purchases", "after {}", so_far),
    ]
    if table.previous_item is not None:
        popularity = np.bincount(table.item_id, minlength=int(table.previous_item.max()) + 1)
        known = np.where(table.previous_item > 0, popularity[table.previous_item], -1)
        found.append(quartiles("popularity", "after an item that occurs {} time", known))
    return found


def quartiles(by: str, words: str, values: np.ndarray) -> Cut:
    """Cut whole numbers [N] into about four parts of as many events; those below 0 are in none.

    ``words`` ends in the singular of what is counted: ``sessions of {} event``.
    """
    there = values[values >= 0]
    if not len(there):
        return Cut(by, (), np.full(len(values), -1))
    upper = np.unique(np.quantile(there, (0.25, 0.5, 0.75, 1.0), method="inverted_cdf"))
    at = np.where(values >= 0, np.searchsorted(upper, values), -1)
    lower = [int(there.min()), *(int(end) + 1 for end in upper[:-1])]
    names = [_span(low, int(high)) for low, high in zip(lower, upper, strict=True)]
    if len(names) > 1:
        names[-1] = f"{lower[-1]:,} or more"
    return Cut(by, tuple(words.format(n) + ("" if n == "1" else "s") for n in names), at)


def few(by: str, words: str, values: np.ndarray) -> Cut:
    """Cut small numbers [N] of purchases into none, one, and two or more."""
    names = ("no purchase", "one purchase", "two or more purchases")
    return Cut(by, tuple(words.format(name) for name in names), np.minimum(values, 2))


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def rows(table: EventTable, chosen: np.ndarray) -> EventTable:
    """Take some of the events of a table, ``chosen`` bool [N]."""
    taken: dict[str, Any] = {}
    for name in (field.name for field in fields(EventTable)):
        column = getattr(table, name)
        taken[name] = None if column is None else column[chosen]
    return EventTable(**taken)
