"""What a log is of: everything that was shown, or only what somebody took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.measures import KINDS, Events, Kinds

NOT_A_VALUE = "The rank of the next logged item is not what a policy would earn."


@dataclass(frozen=True)
class LogKind:
    """What a log is of, and so what of it may decide.

    Attributes:
        impressions: whether it has what was shown and not taken: events that are neither purchase
            nor click, and have no reward.
        propensities: whether it says how likely each item was to be shown.
    """

    impressions: bool
    propensities: bool

    @property
    def words(self) -> str:
        """What the log is of, in words."""
        if not self.impressions:
            return "engaged items only"
        return f"impressions {'with' if self.propensities else 'without'} propensities"

    @property
    def caution(self) -> str:
        """What the numbers that decide cannot mean."""
        if not self.impressions:
            return (
                f"{NOT_A_VALUE} This log has only what people took, so nobody can tell from it "
                "what else they would have taken. In a simulated shop logged like this, the "
                "order of policies by purchase nDCG was close to that of their true values "
                "(correlation .87), and no estimate of a value held."
            )
        return (
            "The estimate is of one recommendation at the moments that the log reached. It does "
            "not say where sessions would go from there. Ranking metrics are shown, but decide "
            "nothing: where everything shown is logged, they reward copying what ran."
        )


def kind_of(table: EventTable, kinds: Kinds) -> LogKind:
    """Tell what the log of an event table is of."""
    events = Events(table, kinds)
    known = np.logical_or.reduce([events.of(kind) for kind in KINDS])
    shown = bool((~known & (table.reward == 0)).any())
    return LogKind(shown, table.log_propensity is not None)


def deciding_metric(table: EventTable, kinds: Kinds, k: int) -> str:
    """Name the ranking metric that matters: of purchases, or clicks if there are none, or all."""
    events = Events(table, kinds)
    for kind in KINDS:
        if events.of(kind).any():
            return f"{kind}_ndcg@{k}"
    return f"ndcg@{k}"
