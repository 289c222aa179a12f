"""Evaluation: one event table per run, and metrics that reduce it."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.evaluation.event_ranking import EvaluationPass, rank_policy
    from recbole_lpi.evaluation.event_table import EventTable, read_events
    from recbole_lpi.evaluation.metrics import Estimate, Kinds, Metric, evaluate

__all__ = [
    "Estimate",
    "EvaluationPass",
    "EventTable",
    "Kinds",
    "Metric",
    "evaluate",
    "rank_policy",
    "read_events",
]

__getattr__ = lazily(
    __name__,
    {
        "Estimate": "metrics",
        "EvaluationPass": "event_ranking",
        "EventTable": "event_table",
        "Kinds": "metrics",
        "Metric": "metrics",
        "evaluate": "metrics",
        "rank_policy": "event_ranking",
        "read_events": "event_table",
    },
)
