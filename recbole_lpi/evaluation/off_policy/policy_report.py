"""Everything that a log says of a policy: estimates with intervals, diagnostics and verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy.diagnostics import (
    Diagnostics,
    diagnose,
    weight_diagnostics,
)
from recbole_lpi.evaluation.off_policy.estimator import Estimator
from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS
from recbole_lpi.evaluation.off_policy.event_estimators import log_smoothing_rate, logged_reward
from recbole_lpi.evaluation.off_policy.intervals import (
    Interval,
    bernstein_bound,
    bootstrap_interval,
    log_smoothing_bound,
    t_interval,
)
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.session_estimators import logged_return
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums
from recbole_lpi.evaluation.off_policy.settings import EstimationSettings
from recbole_lpi.evaluation.off_policy.verdict import REFUSED, Evidence, Verdict, unknown, verdict

BETTER, WORSE, UNTOLD = "better", "worse", "cannot tell"
ENGAGED = (
    "Every event of this log has a reward above 0: it holds what users took, and not what they "
    "were shown and left. What made such a log is system and user together, and a weight says how "
    "much more often a policy puts first what was taken. That is a smoothed ranking metric, and no "
    "estimate of what would be earned: the log cannot tell whether an item would have been taken "
    "that was not. Log what is shown, with its propensities."
)


@dataclass(frozen=True)
class EstimateReport:
    """One estimate of a policy.

    Attributes:
        name: of the row of ESTIMATORS. title: plain words.
        per_session: whether it is of the reward of a session, and not of an event.
        improvement: whether it is of the difference to the log.
        value, stderr: with the error over sessions; NaN where it could not be computed.
        interval: Student's. bootstrap: percentiles.
        safe_bound: a lower bound that holds for any tail of the weights; None where there is none.
        verdict: whether it may be used.
        better: of an improvement: ``better`` or ``worse`` where its interval excludes 0 and it is
            not refused, else ``cannot tell``; None of other estimates.
    """

    name: str
    title: str
    per_session: bool
    improvement: bool
    value: float
    stderr: float
    interval: Interval
    bootstrap: Interval
    safe_bound: float | None
    verdict: Verdict
    better: str | None


@dataclass(frozen=True)
class PolicyReport:
    """What a log says of one policy.

    Attributes:
        name: of the policy.
        events, sessions: of the log.
        event, session: what the log is worth: reward of an event, return of a session.
        estimates: by name.
        diagnostics: what they rest on.
        warning: what such numbers can mean, where the log cannot tell what a policy would earn.
    """

    name: str
    events: int
    sessions: int
    event: Estimate
    session: Estimate
    estimates: dict[str, EstimateReport]
    diagnostics: Diagnostics
    warning: str | None


def report(
    name: str,
    log: LoggedEvents,
    how: EstimationSettings | None = None,
    only: tuple[str, ...] | None = None,
) -> PolicyReport:
    """Estimate what a policy is worth in every way that the log allows.

    Args:
        name: of the policy.
        log: the events, with what the policy makes of them.
        how: settings; None: the defaults.
        only: names of estimators; None: all.
    """
    how = how or EstimationSettings()
    found = diagnose(log, how.clip)
    event, session = logged_reward(log), logged_return(log, how)
    estimates = {}
    for key in only or ESTIMATORS:
        row = ESTIMATORS[key]
        if all(log.has(column) for column in row.needs if column != "log_mu"):
            worth = (session if row.per_session else event).value
            estimates[key] = _estimate(key, row, log, found, worth, how)
    return PolicyReport(
        name, len(log), len(log.session_sizes), _as_estimate(event), _as_estimate(session),
        estimates, found, ENGAGED if found.engaged_only else None,
    )  # fmt: skip


def _estimate(
    key: str, row: Estimator, log: LoggedEvents, found: Diagnostics, worth: float,
    how: EstimationSettings,
) -> EstimateReport:  # fmt: skip
    """One estimate, with all that is said of it."""
    refused = unknown(row, log)
    if refused is not None:
        none, nowhere = float("nan"), Interval(*[float("nan")] * 3)
        return EstimateReport(
            key, row.title, row.per_session, row.improvement, none, none, nowhere, nowhere, None,
            refused, UNTOLD if row.improvement else None,
        )  # fmt: skip
    sums = row.sums(log, how)
    interval = t_interval(sums, how.confidence)
    compared = None
    if row.trades is not None and log.has_log_mu:
        compared = ESTIMATORS[row.trades].sums(log, how)
    own = None
    if row.weight is not None:
        own = weight_diagnostics(row.weight(log, how), log, how.clip)
    judged = verdict(row, Evidence(sums, interval, compared, own, worth), found, how)
    return EstimateReport(
        key, row.title, row.per_session, row.improvement, sums.value, sums.stderr, interval,
        bootstrap_interval(sums, how.confidence, how.resamples, how.seed),
        _safe_bound(key, sums, log, how), judged,
        _better(interval, judged) if row.improvement else None,
    )  # fmt: skip


def _safe_bound(
    key: str, sums: SessionSums, log: LoggedEvents, how: EstimationSettings
) -> float | None:
    """A lower bound that holds whatever the tail of the weights is, of rewards ≥ 0.

    Terms are the sums of sessions; the events of a session are taken to be as many as they are on
    average.
    """
    if bool((log.reward < 0).any()):
        return None
    events = len(log) / len(log.session_sizes)
    if key == "logarithmic_smoothing":
        terms = log.per_session(log.weight * log.reward)
        return log_smoothing_bound(terms, log_smoothing_rate(log, how), how.confidence) / events
    if key == "clipped_ips":
        span = how.clip * float(log.reward.max()) * float(log.session_sizes.max())
        return bernstein_bound(sums.numerators[0], span, how.confidence) / events
    return None


def _better(interval: Interval, judged: Verdict) -> str:
    """Whether a policy is better than the log's, as far as it can be told."""
    if judged.word == REFUSED:
        return UNTOLD
    if interval.low > 0:
        return BETTER
    return WORSE if interval.high < 0 else UNTOLD


def _as_estimate(sums: SessionSums) -> Estimate:
    stderr = sums.stderr
    return Estimate(sums.value, stderr if np.isfinite(stderr) else float("nan"), len(sums))
