"""``Estimator``: one way to estimate what a policy is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums
from recbole_lpi.evaluation.off_policy.settings import EstimationSettings


@dataclass(frozen=True)
class Estimator:
    """One way to estimate what a policy is worth.

    Attributes:
        title: plain words.
        sums: the estimate.
        needs: columns of ``LoggedEvents`` beyond those that all have.
        source: where it comes from.
        per_session: whether it is of the reward of a session, and not of an event.
        improvement: whether it is of the difference to the log's own policy.
        positive: whether rewards must be ≥ 0.
        weight: how it weighs events, for its diagnostics; None: it does not.
        trades: name of the estimator without the bias that this one accepts for less variance.
    """

    title: str
    sums: Callable[[LoggedEvents, EstimationSettings], SessionSums]
    needs: tuple[str, ...]
    source: str
    per_session: bool = False
    improvement: bool = False
    positive: bool = False
    weight: Callable[[LoggedEvents, EstimationSettings], np.ndarray] | None = None
    trades: str | None = None
