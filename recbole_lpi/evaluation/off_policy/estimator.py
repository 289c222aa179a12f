"""``Estimator``: a row of ESTIMATORS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from recbole_lpi.evaluation.off_policy import weightings
from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums

Unit = Literal["event", "session"]
Terms = Callable[[LoggedEvents, EstimatorSettings], SessionSums]
Weighting = Callable[[LoggedEvents, EstimatorSettings], np.ndarray]


@dataclass(frozen=True)
class Estimator:
    """A row of ESTIMATORS.

    Attributes:
        name: by which settings and files call it.
        title: for tables and figures.
        needs: the columns that it reads besides reward, log_pi, session and position.
        source: where it is from, with the year.
        terms: its sums over sessions.
        improves: whether it estimates π's value less that of the log's own policy.
        per: the unit of the value: reward per ``event`` or per ``session``.
        reference: the estimator without its bias, to compare it with; None: it is consistent,
            where μ is right and covers π.
        nonnegative: whether it is for rewards ≥ 0 alone.
        assumes: what must hold for it to be without bias, and no log can show; None: nothing.
        weight: the weights it corrects by, [N], or [S] of a row per session, which average 1 where
            it can be trusted; None: it has none.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    source: str
    terms: Terms
    improves: bool = False
    per: Unit = "event"
    reference: str | None = None
    nonnegative: bool = False
    assumes: str | None = None
    weight: Weighting | None = weightings.plain

    def missing(self, events: LoggedEvents) -> tuple[str, ...]:
        """The columns that it needs and these events do not have."""
        return tuple(name for name in self.needs if not events.has(name))
