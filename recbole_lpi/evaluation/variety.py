"""How many items a model's first choices are spread over, and whether they are the last one."""

from __future__ import annotations

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable

MOST = 0.5  # of the first choices
FEW = 0.05  # of as many as the log has


def effective_number(items: np.ndarray) -> float:
    """How many items occur, as exp of the entropy: n where n do alike, 1 where one alone does."""
    share = np.unique(items, return_counts=True)[1] / len(items)
    return float(np.exp(-(share * np.log(share)).sum()))


def nearly_constant(table: EventTable) -> str | None:
    """A warning if first choices are far less varied than the log, as where training diverged.

    Hit rates of such a model may still look like something: they are those of a few popular items.
    """
    chosen, logged = effective_number(table.greedy_item), effective_number(table.item_id)
    if chosen >= FEW * logged:
        return None
    distinct = len(np.unique(table.greedy_item))
    return (
        f"first choices are nearly constant: {distinct} distinct items at {len(table)} events, as "
        f"varied as {chosen:.1f} equally frequent ones, the log's as {logged:.1f}; a model that "
        "learnt nothing of its contexts, or diverged, looks like this: see the losses, lower "
        "learning_rate or train for longer"
    )


def mostly_the_item_before(table: EventTable) -> str | None:
    """A warning if most first choices, of events that have one before, are the item of that."""
    if table.previous_item is None:
        return None
    before = table.previous_item > 0
    again = table.greedy_item[before] == table.previous_item[before]
    share = float(again.mean()) if len(again) else 0.0
    if share <= MOST:
        return None
    return (
        f"{share:.0%} of first choices are the item of the event before: compare with the floor "
        "that does nothing else"
    )
