"""By how much a policy improves on its log, by off-policy estimates of all of its runs.

Δ-SNIPS decides, always: of several estimates the one with the best bound would be picked by chance.
Sessions and seeds are both draws, as for any metric (``evaluation.scores``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recbole_lpi.evaluation.off_policy import ESTIMATORS, LoggedEvents, PolicyReport
from recbole_lpi.evaluation.off_policy.event_files import read_logged_events
from recbole_lpi.evaluation.off_policy.policy_report import report_on
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.evaluation.scores import PolicyScore, SessionScore

DECIDES = "delta_snips"
SHOWN = ("snips", "delta_ips", DECIDES)


@dataclass(frozen=True)
class RunEstimates:
    """What the log says of one run.

    Attributes:
        events: of the test part, with the weights of the run's policy.
        report: its estimates with their verdicts.
    """

    events: LoggedEvents
    report: PolicyReport

    @property
    def refusal(self) -> str:
        """Why the estimate that decides may not be used; empty if it may."""
        for row in self.report.estimates:
            if row.estimator.name == DECIDES:
                return "" if row.verdict.usable else "; ".join(row.verdict.reasons)
        return self.report.not_made[DECIDES]


def estimate(name: str, events: Path, level: float) -> RunEstimates:
    """Estimate a run's improvement on its log from its event table; SettingError if it has none."""
    read = read_logged_events(events)
    settings = ReportSettings(level=level, resamples=0, estimators=SHOWN)
    return RunEstimates(read, report_on(name, read, settings))


def improvement(events: LoggedEvents) -> SessionScore:
    """Score Δ-SNIPS as a metric is scored: its value, and what each session does to it."""
    sums = ESTIMATORS[DECIDES].terms(events, ReportSettings().terms)
    return SessionScore(sums.value, len(events), sums.pulls)


def of_policy(runs: Sequence[LoggedEvents]) -> PolicyScore:
    """Pool the improvements of a policy's runs."""
    return PolicyScore.of([improvement(events) for events in runs])


def of_the_log(events: LoggedEvents) -> PolicyScore:
    """Score the log itself, which improves on itself by 0."""
    return PolicyScore(np.zeros(1), len(events), np.zeros((1, len(events.session_sizes))))


def at(events: LoggedEvents, chosen: np.ndarray) -> LoggedEvents:
    """Take some of the events, ``chosen`` bool [N], with what the improvement is made of."""
    return LoggedEvents(
        events.reward[chosen],
        events.log_pi[chosen],
        events.log_mu[chosen],
        np.unique(events.session[chosen], return_inverse=True)[1],
        events.position[chosen],
    )
