"""Off-policy estimates: what another policy would have earned, from the log of one."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.evaluation.off_policy.estimator import Estimator
    from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS
    from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
    from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport, report
    from recbole_lpi.evaluation.off_policy.selection import OfflineNumber, judge
    from recbole_lpi.evaluation.off_policy.sequential import Trajectories
    from recbole_lpi.evaluation.off_policy.session_sums import SessionSums
    from recbole_lpi.evaluation.off_policy.settings import EstimationSettings

__all__ = [
    "ESTIMATORS",
    "EstimationSettings",
    "Estimator",
    "LoggedEvents",
    "OfflineNumber",
    "PolicyReport",
    "SessionSums",
    "Trajectories",
    "judge",
    "report",
]

__getattr__ = lazily(
    __name__,
    {
        "ESTIMATORS": "estimators",
        "EstimationSettings": "settings",
        "Estimator": "estimator",
        "LoggedEvents": "logged_events",
        "OfflineNumber": "selection",
        "PolicyReport": "policy_report",
        "SessionSums": "session_sums",
        "Trajectories": "sequential",
        "judge": "selection",
        "report": "policy_report",
    },
)
