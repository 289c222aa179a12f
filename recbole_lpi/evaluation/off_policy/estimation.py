"""Estimates of one log, each with its intervals and its verdict."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy.bounds import mean_bound
from recbole_lpi.evaluation.off_policy.estimate_verdicts import (
    EstimateVerdict,
    Evidence,
    pass_verdict,
)
from recbole_lpi.evaluation.off_policy.estimator import Estimator, Weighting
from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS
from recbole_lpi.evaluation.off_policy.improvement import of_the_log
from recbole_lpi.evaluation.off_policy.intervals import Interval, bootstrap_interval, t_interval
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums, effective_number
from recbole_lpi.evaluation.propensity_quality import summary_of

NOTHING = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True)
class PolicyEstimate:
    """One estimate of a policy.

    Attributes:
        estimator: the row of ESTIMATORS.
        value, stderr: the estimate and its standard error, clustered by session.
        t, bootstrap: its intervals; NaN where there are none.
        verdict: whether it may be used.
    """

    estimator: Estimator
    value: float
    stderr: float
    t: Interval
    bootstrap: Interval
    verdict: EstimateVerdict


@dataclass(frozen=True)
class _Weighed:
    """What the weights of a row are like: their mean, how many they are worth, their spread."""

    mean: Estimate
    at_least: float
    effective: float
    spread: float  # (Σ u²)² / Σ u⁴
    spread_of_excess: float  # likewise of u − 1


class Estimation:
    """Makes the estimates of one log; what several of them need is made once.

    Attributes:
        events: of the log.
        settings: what is estimated, and how surely.
        log: the sums of the log's own value.
    """

    def __init__(self, events: LoggedEvents, settings: ReportSettings) -> None:
        self.events, self.settings = events, settings
        self.log = of_the_log(events)
        self._weights: dict[Weighting, _Weighed] = {}
        self._references: dict[str, SessionSums] = {}
        self._shares: dict[tuple[bool, bool], float] = {}

    def estimate(self, row: Estimator) -> PolicyEstimate:
        """Return the estimate of a row of ESTIMATORS, with intervals and verdict."""
        s = self.settings
        sums = self._reference(row) if row.name in _REFERENCES else row.terms(self.events, s.terms)
        t = t_interval(sums, s.level)
        boot = bootstrap_interval(sums, s.level, s.resamples, s.seed) if s.resamples else NOTHING
        verdict = pass_verdict(self._evidence(row, sums, t), s.verdicts)
        return PolicyEstimate(row, sums.value, sums.stderr, t, boot, verdict)

    def _evidence(self, row: Estimator, sums: SessionSums, t: Interval) -> Evidence:
        weighed = self._weighed(row.weight) if row.weight else None
        vouched = row.name in self.settings.verdicts.assumed
        bias = None if vouched else self._bias(row, sums)
        unsupported = self.events.unsupported
        return Evidence(
            sums,
            half_width=(t.high - t.low) / 2,
            log_value=self.log.value * self._events_per_unit(row),
            weight_mean=None if weighed is None else weighed.mean,
            weight_at_least=None if weighed is None else weighed.at_least,
            effective=None if weighed is None else weighed.effective,
            carrying=None if weighed is None else self._carrying(row, weighed),
            unsupported=None if unsupported is None else float(unsupported.mean()),
            bias=bias,
            reference=ESTIMATORS[row.reference].title if row.reference else "",
            assumes=None if vouched or bias is not None else row.assumes,
            engaged_only=not bool((self.events.reward == 0).any()),
        )

    def _events_per_unit(self, row: Estimator) -> float:
        return 1.0 if row.per == "event" else len(self.events) / len(self.log)

    def _weighed(self, weighting: Weighting) -> _Weighed:
        """What the weights are like that a row corrects by."""
        if weighting not in self._weights:
            weight = weighting(self.events, self.settings.terms)
            of_sessions = len(weight) != len(self.events)
            session = np.arange(len(weight)) if of_sessions else self.events.session
            summary = summary_of(weight, session)
            at_least = mean_bound(weight, session, self.settings.level)
            spreads = effective_number(weight), effective_number(weight - 1)
            self._weights[weighting] = _Weighed(summary.mean, at_least, summary.effective, *spreads)
        return self._weights[weighting]

    def _carrying(self, row: Estimator, weighed: _Weighed) -> float:
        """About how many rewards carry the error: ``Evidence.carrying``."""
        if row.improves and not weighed.spread_of_excess:
            return math.inf
        key = ("q" in row.needs, row.per == "session")
        if key not in self._shares:
            of_rewards = self.events.reward
            if key[0] and self.events.q is not None:
                of_rewards = of_rewards - self.events.q
            if key[1]:
                of_rewards = self.events.per_session(of_rewards)
            self._shares[key] = effective_number(of_rewards) / len(of_rewards)
        return self._shares[key] * (weighed.spread_of_excess if row.improves else weighed.spread)

    def _bias(self, row: Estimator, sums: SessionSums) -> Estimate | None:
        """What a regularised estimate is off its unregularised form, paired by session."""
        if row.reference is None or ESTIMATORS[row.reference].missing(self.events):
            return None
        difference = sums - self._reference(ESTIMATORS[row.reference])
        return Estimate(difference.value, difference.stderr, len(difference))

    def _reference(self, row: Estimator) -> SessionSums:
        if row.name not in self._references:
            self._references[row.name] = row.terms(self.events, self.settings.terms)
        return self._references[row.name]


_REFERENCES = {row.reference for row in ESTIMATORS.values()}
