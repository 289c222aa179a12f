"""What two rules that learn nothing reach on the events of a run (``evaluation.floors``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from recbole_lpi.data.sessions import Sessions
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.floors import last_item_ranks, session_popularity_ranks
from recbole_lpi.evaluation.metrics import Estimate, Kinds, Metric, evaluate
from recbole_lpi.policy.popularity import PopularitySettings, SessionPopularitySettings

# Measures that are a matter of the rank alone: of floors nothing else is known.
OF_RANK = frozenset({"hit", "recall", "ndcg", "mrr", "precision", "reward_weighted_ndcg"})


def floors(
    table: EventTable,
    sessions: Sessions,
    item_counts: np.ndarray,
    names: Iterable[str],
    kinds: Kinds,
) -> dict[str, dict[str, Estimate]]:
    """Metrics of the rules ``last_item`` and ``session_popularity`` on the events of a table.

    Args:
        table: of the events; nothing of its policy is read.
        sessions: the log, whose earlier events of a session are the history of an event.
        item_counts: training events of each item, [A].
        names: full names of metrics; those that ranks do not decide are left out.
        kinds: the events that are purchases and clicks.
    """
    counts = item_counts + PopularitySettings().pseudo_count
    popularity = counts / counts.sum()
    places = sessions.offsets[table.session] + table.position
    smoothing = SessionPopularitySettings().smoothing
    ranks = {
        "last_item": last_item_ranks(sessions, places, popularity),
        "session_popularity": session_popularity_ranks(sessions, places, popularity, smoothing),
    }
    measured = [name for name in names if Metric.parse(name).measure.name in OF_RANK]
    return {
        name: evaluate(replace(table, rank=rank.astype(np.float32)), measured, kinds)
        for name, rank in ranks.items()
    }
