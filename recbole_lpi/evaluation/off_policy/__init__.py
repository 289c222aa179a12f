"""What another policy is worth, from a log of the one that ran: estimates, errors and verdicts.

Everything here is a function of a table with a row for each logged event, which anybody can make.
There is no model in it, and torch is not imported.

    logged_events      the columns, and what they must be
    event_files        the same from anybody's Parquet file
    session_sums       an estimate as a sum of ratios of sums over sessions
    estimators         ESTIMATORS: value per event, and improvement over the log
    session_estimators value per session, and improvement
    sequential         the same as functions of trajectories
    weightings         what estimators make of large weights
    improvement        paired with the policy that logged
    intervals, bounds  around an estimate; below it for any number of sessions
    diagnostics        what the columns say of how far to believe it
    estimate_verdicts  usable, too wide or refused, and why
    estimation         estimates of one log with intervals and verdicts
    policy_report      everything a log says of one policy
    selection          which offline number finds the better policy, where the truth is known
"""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.evaluation.off_policy.diagnostics import Diagnostics
    from recbole_lpi.evaluation.off_policy.estimate_verdicts import EstimateVerdict, VerdictSettings
    from recbole_lpi.evaluation.off_policy.estimation import Estimation, PolicyEstimate
    from recbole_lpi.evaluation.off_policy.estimator import Estimator
    from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
    from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS
    from recbole_lpi.evaluation.off_policy.event_files import read_logged_events
    from recbole_lpi.evaluation.off_policy.intervals import Interval
    from recbole_lpi.evaluation.off_policy.logged_events import ColumnError, LoggedEvents
    from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport, report_on
    from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
    from recbole_lpi.evaluation.off_policy.session_sums import SessionSums

__all__ = [
    "ESTIMATORS",
    "ColumnError",
    "Diagnostics",
    "EstimateVerdict",
    "Estimation",
    "Estimator",
    "EstimatorSettings",
    "Interval",
    "LoggedEvents",
    "PolicyEstimate",
    "PolicyReport",
    "ReportSettings",
    "SessionSums",
    "VerdictSettings",
    "read_logged_events",
    "report_on",
]

__getattr__ = lazily(
    __name__,
    {
        "ESTIMATORS": "estimators",
        "ColumnError": "logged_events",
        "Diagnostics": "diagnostics",
        "EstimateVerdict": "estimate_verdicts",
        "Estimation": "estimation",
        "Estimator": "estimator",
        "EstimatorSettings": "estimator_settings",
        "Interval": "intervals",
        "LoggedEvents": "logged_events",
        "PolicyEstimate": "estimation",
        "PolicyReport": "policy_report",
        "ReportSettings": "report_settings",
        "SessionSums": "session_sums",
        "VerdictSettings": "estimate_verdicts",
        "read_logged_events": "event_files",
        "report_on": "policy_report",
    },
)
