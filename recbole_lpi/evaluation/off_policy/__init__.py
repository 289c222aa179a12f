"""What another policy is worth, from a log of the one that ran: estimates, errors and verdicts.

Everything here is a function of a table with a row for each logged event, which anybody can make.
There is no model in it, and torch is not imported.

    logged_events      the columns, and what they must be
    session_sums       an estimate as a sum of ratios of sums over sessions
    estimators         ESTIMATORS: value per event, and improvement over the log
"""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
    from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS, Estimator
    from recbole_lpi.evaluation.off_policy.logged_events import ColumnError, LoggedEvents
    from recbole_lpi.evaluation.off_policy.session_sums import SessionSums

__all__ = [
    "ESTIMATORS",
    "ColumnError",
    "Estimator",
    "EstimatorSettings",
    "LoggedEvents",
    "SessionSums",
]

__getattr__ = lazily(
    __name__,
    {
        "ESTIMATORS": "estimators",
        "ColumnError": "logged_events",
        "Estimator": "estimators",
        "EstimatorSettings": "estimator_settings",
        "LoggedEvents": "logged_events",
        "SessionSums": "session_sums",
    },
)
