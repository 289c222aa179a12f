"""Every estimator, by its name: of the reward of an event, and of a session."""

from recbole_lpi.evaluation.off_policy.estimator import Estimator
from recbole_lpi.evaluation.off_policy.event_estimators import EVENT_ESTIMATORS
from recbole_lpi.evaluation.off_policy.session_estimators import SESSION_ESTIMATORS

ESTIMATORS: dict[str, Estimator] = {**EVENT_ESTIMATORS, **SESSION_ESTIMATORS}
