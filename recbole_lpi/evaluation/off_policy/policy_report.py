"""Everything that a log says of one policy: estimates, intervals, bounds, diagnostics, verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy import bounds
from recbole_lpi.evaluation.off_policy.diagnostics import Diagnostics, diagnose
from recbole_lpi.evaluation.off_policy.estimation import Estimation, PolicyEstimate
from recbole_lpi.evaluation.off_policy.estimator import Estimator
from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.settings import SettingError


@dataclass(frozen=True)
class LowerBounds:
    """Bounds that hold for any number of sessions, if μ is right.

    None where μ is not known, or where rewards are below 0. Where the mean weight shows that μ is
    wrong, there are none of values either.

    Attributes:
        mean_weight: on the mean weight, which is at most 1 if μ is right.
        bernstein: on π's value, from weights cut off. logarithmic: likewise, by logarithms.
        improvement: on π's value less that of the log.
    """

    mean_weight: float | None = None
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
    lower_bounds = _lower_bounds(events, settings)
    estimation = Estimation(events, settings)
    chosen = settings.estimators or tuple(ESTIMATORS)
    reasons = {key: _reason(ESTIMATORS[key], events) for key in chosen}
    estimates = []
    for key in chosen:
        if reasons[key] is None:
            progress(f"{name}: {ESTIMATORS[key].title}")
            estimates.append(estimation.estimate(ESTIMATORS[key]))
    return PolicyReport(
        name, len(events), len(estimation.log),
        Estimate(estimation.log.value, estimation.log.stderr, len(events)), tuple(estimates),
        {key: reason for key, reason in reasons.items() if reason is not None},
        lower_bounds,
        diagnose(events, settings.terms.clip, settings.floor), _warnings(events),
    )  # fmt: skip


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
    """The bounds that hold for any number of sessions, where μ is right and rewards are ≥ 0."""
    most = float(events.reward.max())
    if s.largest_reward is not None and s.largest_reward < most:
        raise SettingError(
            f"largest_reward is {s.largest_reward}, and the log has a reward of {most}: it must be "
            "at least as large"
        )
    largest = s.largest_reward or most
    if not events.has_log_mu:
        return LowerBounds()
    mean_weight = bounds.mean_bound(events.weight, events.session, s.level)
    wrong = mean_weight > 1 + s.verdicts.weight_rounding
    if wrong or events.reward.min() < 0 or largest <= 0:
        return LowerBounds(mean_weight)
    values = bounds.session_values(events)
    return LowerBounds(
        mean_weight,
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
    elif events.estimated and events.has_log_mu:
        found.append(
            "μ is an estimate, and no log shows that an estimate is right: a mean weight of 1 does "
            "not. In worlds whose truth is known, intervals per event from estimated propensities "
            "held it in fewer than one of ten cases (docs/truth.md). Use these numbers to order "
            "policies. To promise a value, log the propensities."
        )
    return tuple(found)
