"""Estimators of the reward of a session, a row each, from the functions of ``sequential``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbole_lpi.evaluation.metrics import Influence
from recbole_lpi.evaluation.off_policy import sequential
from recbole_lpi.evaluation.off_policy.estimator import Estimator
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.sequential import Trajectories
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums, mean_of
from recbole_lpi.evaluation.off_policy.settings import EstimationSettings

WEIGHED, MODELLED = ("log_mu",), ("action_value", "state_value")


def logged_return(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """The mean Σ γᵗ r of a logged session: what μ itself is worth."""
    return _as_sums(sequential.logged_return(_trajectories(log, how)))


def weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """ρ_t, the product of the weights up to each event, in the order of sessions."""
    return _trajectories(log, how).ratio


def of_weights(function: Callable[[Trajectories], Influence]) -> Callable[..., SessionSums]:
    """Make an estimate of what asks for the log alone."""
    return lambda log, how: _as_sums(function(_trajectories(log, how)))


def doubly_robust(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """``sequential.doubly_robust``."""
    q, v = (log.in_order(log.need(name)) for name in MODELLED)
    return _as_sums(sequential.doubly_robust(_trajectories(log, how), q, v))


def fitted_q(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """``sequential.fitted_q``."""
    value = log.in_order(log.need("state_value"))
    return _as_sums(sequential.fitted_q(_trajectories(log, how), value))


def first_order(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """``sequential.first_order``."""
    advantage = log.in_order(log.need("expected_advantage"))
    return _as_sums(sequential.first_order(_trajectories(log, how), advantage))


def _less_log(estimate: Callable[..., SessionSums]) -> Callable[..., SessionSums]:
    """The difference to what sessions were worth as they were logged."""
    return lambda log, how: estimate(log, how) - logged_return(log, how)


def _trajectories(log: LoggedEvents, how: EstimationSettings) -> Trajectories:
    kept = log.trajectories
    if kept.gamma != how.gamma:
        return Trajectories(kept.reward, kept.log_weight, kept.offsets, how.gamma)
    return kept


def _as_sums(found: Influence) -> SessionSums:
    """An estimate to first order: of a mean it is exact, of a ratio the delta method."""
    terms = found.mean + found.count * found.pulls
    return mean_of(terms, np.ones_like(terms))


SESSION_ESTIMATORS: dict[str, Estimator] = {
    "pdis": Estimator(
        "per-decision importance weights", of_weights(sequential.per_decision), WEIGHED,
        "Precup, Sutton & Singh 2000", per_session=True, weight=weights,
    ),
    "wpdis": Estimator(
        "per-decision importance weights, self-normalised",
        of_weights(sequential.weighted_per_decision), WEIGHED, "Thomas 2015", per_session=True,
        weight=weights,
    ),
    "sequential_dr": Estimator(
        "doubly robust, step by step", doubly_robust, (*WEIGHED, *MODELLED), "Jiang & Li 2016",
        per_session=True, weight=weights,
    ),
    "fqe": Estimator(
        "fitted Q evaluation: the model alone", fitted_q, ("state_value",),
        "Le, Voloshin & Yue 2019", per_session=True,
    ),
    "first_order": Estimator(
        "first order: what local policy improvement raises", first_order, ("expected_advantage",),
        "Kakade & Langford 2002; paper, section 3.2", per_session=True,
    ),
    "delta_wpdis": Estimator(
        "improvement: per-decision, self-normalised",
        _less_log(of_weights(sequential.weighted_per_decision)), WEIGHED, "Thomas 2015",
        per_session=True, improvement=True, weight=weights,
    ),
    "delta_sequential_dr": Estimator(
        "improvement: doubly robust, step by step", _less_log(doubly_robust),
        (*WEIGHED, *MODELLED), "Jiang & Li 2016", per_session=True, improvement=True,
        weight=weights,
    ),
    "delta_first_order": Estimator(
        "improvement: first order", _less_log(first_order), ("expected_advantage",),
        "Kakade & Langford 2002; paper, section 3.2", per_session=True, improvement=True,
    ),
}  # fmt: skip
