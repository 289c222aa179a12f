"""How concentrated the first choices of a policy are, beside what was logged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.off_policy.diagnostics import of_choices
from recbole_lpi.evaluation.variety import effective_number


@dataclass(frozen=True)
class Concentration:
    """How items are spread over events.

    Attributes:
        name: of what chose them.
        distinct: items that occur.
        as_varied_as: equally frequent items that would be as varied: exp of the entropy.
        top_ten: the share of the ten most frequent.
        gini: 0 where all that occur do alike, towards 1 where one has all.
        the_last: the share that is the item of the event before; None: not known.
    """

    name: str
    distinct: int
    as_varied_as: float
    top_ten: float
    gini: float
    the_last: float | None


def concentration(name: str, items: np.ndarray, table: EventTable) -> Concentration:
    """Measure how concentrated ``items`` [N] are, which stand for the events of a table."""
    found, again = of_choices(items), None
    if table.previous_item is not None and (before := table.previous_item > 0).any():
        again = float((items[before] == table.previous_item[before]).mean())
    return Concentration(
        name, found.distinct, effective_number(items), found.top_ten, found.gini, again
    )
