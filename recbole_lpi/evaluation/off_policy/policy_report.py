"""Everything that a log says of one policy: estimates, intervals, bounds, diagnostics, verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy import bounds
from recbole_lpi.evaluation.off_policy.diagnostics import Diagnostics, diagnose
from recbole_lpi.evaluation.off_policy.estimate_verdicts import (
    EstimateVerdict,
    Evidence,
    pass_verdict,
)
from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS, Estimator
from recbole_lpi.evaluation.off_policy.improvement import of_the_log
from recbole_lpi.evaluation.off_policy.intervals import Interval, bootstrap_interval, t_interval
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums
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
class LowerBounds:
    """Bounds that hold for any number of sessions, if μ is right; None where they are not for it.

    Attributes:
        bernstein: on π's value, from weights cut off. logarithmic: likewise, by logarithms.
        improvement: on π's value less that of the log.
    """

    bernstein: float | None = None
    logarithmic: float | None = None
    improvement: float | None = None


@dataclass(frozen=True)
class PolicyReport:
    """What a log says of a policy.

    Attributes:
        name: of the policy.
        events, sessions: of the log.
        log_value: the mean reward of the log with its standard error: what runs now.
        estimates: in the order of ESTIMATORS.
        not_made: of estimators that were not made, the reason, by name.
        bounds: that hold for any number of sessions.
        diagnostics: of weights, rewards and choices.
        warnings: what the numbers cannot mean, a sentence each.
    """

    name: str
    events: int
    sessions: int
    log_value: Estimate
    estimates: tuple[PolicyEstimate, ...]
    not_made: dict[str, str]
    bounds: LowerBounds
    diagnostics: Diagnostics
    warnings: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for a file."""
        rows = {
            row.estimator.name: {
                "title": row.estimator.title, "source": row.estimator.source,
                "improvement": row.estimator.improves, "per": row.estimator.per,
                "value": row.value, "stderr": row.stderr, "t": asdict(row.t),
                "bootstrap": asdict(row.bootstrap), "verdict": row.verdict.status,
                "reasons": list(row.verdict.reasons),
            }
            for row in self.estimates
        }  # fmt: skip
        return {
            "events": self.events, "sessions": self.sessions,
            "log_value": asdict(self.log_value), "estimates": rows, "not_made": self.not_made,
            "lower_bounds": asdict(self.bounds), "diagnostics": self.diagnostics.plain(),
            "warnings": list(self.warnings),
        }  # fmt: skip


def report_on(
    name: str,
    events: LoggedEvents,
    settings: ReportSettings,
    progress: Callable[[str], None] = lambda said: None,
) -> PolicyReport:
    """Return everything that a log says of a policy.

    Args:
        name: of the policy.
        events: of the log.
        settings: what is estimated, and how surely.
        progress: is told what is made next.
    """
    log_sums = of_the_log(events)
    maker = _Maker(events, settings, log_sums)
    chosen = settings.estimators or tuple(ESTIMATORS)
    reasons = {key: _reason(ESTIMATORS[key], events) for key in chosen}
    estimates = []
    for key in chosen:
        if reasons[key] is None:
            progress(f"{name}: {ESTIMATORS[key].title}")
            estimates.append(maker.estimate(ESTIMATORS[key]))
    return PolicyReport(
        name, len(events), len(log_sums),
        Estimate(log_sums.value, log_sums.stderr, len(events)), tuple(estimates),
        {key: reason for key, reason in reasons.items() if reason is not None},
        _lower_bounds(events, settings),
        diagnose(events, settings.terms.clip, settings.floor), _warnings(events),
    )  # fmt: skip


class _Maker:
    """Makes estimates of one log, what several need once."""

    def __init__(self, events: LoggedEvents, settings: ReportSettings, log: SessionSums) -> None:
        self.events, self.settings, self.log = events, settings, log
        self._weights: dict[Any, tuple[Estimate, float]] = {}
        self._references: dict[str, SessionSums] = {}

    def estimate(self, row: Estimator) -> PolicyEstimate:
        """Return the estimate of a row of ESTIMATORS, with intervals and verdict."""
        s = self.settings
        sums = row.terms(self.events, s.terms)
        if row.name in ("ips", "dr"):
            self._references[row.name] = sums
        t = t_interval(sums, s.level)
        boot = bootstrap_interval(sums, s.level, s.resamples, s.seed) if s.resamples else NOTHING
        verdict = pass_verdict(self._evidence(row, sums, t), s.verdicts)
        return PolicyEstimate(row, sums.value, sums.stderr, t, boot, verdict)

    def _evidence(self, row: Estimator, sums: SessionSums, t: Interval) -> Evidence:
        mean, effective = self._weighed(row) if row.weight else (None, None)
        vouched = row.name in self.settings.verdicts.assumed
        bias = None
        if row.reference and not vouched:
            bias = self._bias(sums, ESTIMATORS[row.reference])
        per_unit = 1.0 if row.per == "event" else len(self.events) / len(sums)
        return Evidence(
            sums, (t.high - t.low) / 2, self.log.value * per_unit, mean, effective,
            self.events.unsupported.mean() if self.events.unsupported is not None else None,
            bias, None if vouched or bias is not None else row.assumes,
        )  # fmt: skip

    def _weighed(self, row: Estimator) -> tuple[Estimate, float]:
        """Mean and effective number of the weights that a row corrects by."""
        assert row.weight is not None
        if row.weight not in self._weights:
            weight = row.weight(self.events, self.settings.terms)
            of_sessions = len(weight) != len(self.events)
            session = np.arange(len(weight)) if of_sessions else self.events.session
            summary = summary_of(weight, session)
            self._weights[row.weight] = (summary.mean, summary.effective)
        return self._weights[row.weight]

    def _bias(self, sums: SessionSums, reference: Estimator) -> Estimate | None:
        """What a regularised estimate is off its unregularised form, paired by session."""
        if reference.missing(self.events):
            return None
        if reference.name not in self._references:
            self._references[reference.name] = reference.terms(self.events, self.settings.terms)
        difference = sums - self._references[reference.name]
        return Estimate(difference.value, difference.stderr, len(difference))


def _reason(row: Estimator, events: LoggedEvents) -> str | None:
    """Why an estimate cannot be made of these events; None if it can."""
    missing = row.missing(events)
    if "log_mu" in missing:
        why = "was compared on drawn candidates only" if events.candidates_only else "is not known"
        return f"log μ of the logged items {why}"
    if missing:
        return f"the table has no {', '.join(missing)}"
    if row.nonnegative and events.reward.min() < 0:
        return "it is for rewards ≥ 0"
    return None


def _lower_bounds(events: LoggedEvents, s: ReportSettings) -> LowerBounds:
    """The bounds that hold for any number of sessions; none without μ, or with rewards below 0."""
    largest = s.largest_reward or float(events.reward.max())
    if not events.has_log_mu or events.reward.min() < 0 or largest <= 0:
        return LowerBounds()
    values = bounds.session_values(events)
    return LowerBounds(
        bounds.empirical_bernstein_bound(values, s.terms.clip * largest, s.level),
        bounds.logarithmic_smoothing_bound(values, largest, s.level),
        bounds.improvement_bound(events, largest, s.level),
    )


def _warnings(events: LoggedEvents) -> tuple[str, ...]:
    """What the numbers cannot mean."""
    found = []
    if not (events.reward == 0).any():
        found.append(
            "The log has no event of reward 0: it is a log of engaged items only. Its μ is the "
            "probability that an item was engaged with, not that it was shown, so these numbers "
            "are the mean reward of engagements, reweighted to what π would predict. They are not "
            "the reward of showing π's items: that takes a log with what was shown and not taken."
        )
    return tuple(found)
