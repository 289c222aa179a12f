"""Off-policy estimates of the return of a session under π, from the functions of ``sequential``."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbole_lpi.evaluation.metrics import Influence
from recbole_lpi.evaluation.off_policy import sequential
from recbole_lpi.evaluation.off_policy.estimator import Estimator, Terms
from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.sequential import Trajectories
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums, mean_of

WEIGHTS, MODEL = ("log_mu",), ("action_value", "state_value")


def logged_return(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return the mean Σ γᵗ r of a logged session: what the log's own policy is worth."""
    return _as_sums(sequential.logged_return(_trajectories(events, s)))


def session_weights(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return the product of the weights of each session, [S]."""
    log = _trajectories(events, s)
    return np.asarray(log.ratio[log.offsets[1:] - 1])


def of_weights(function: Callable[[Trajectories], Influence]) -> Terms:
    """Make an estimate of what asks for the log alone."""
    return lambda events, s: _as_sums(function(_trajectories(events, s)))


def doubly_robust(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return ``sequential.doubly_robust``."""
    q, v = (events.in_order(events.need(name)) for name in MODEL)
    return _as_sums(sequential.doubly_robust(_trajectories(events, s), q, v))


def fitted_q(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return ``sequential.fitted_q``."""
    value = events.in_order(events.need("state_value"))
    return _as_sums(sequential.fitted_q(_trajectories(events, s), value))


def first_order(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return ``sequential.first_order``."""
    advantage = events.in_order(events.need("expected_advantage"))
    return _as_sums(sequential.first_order(_trajectories(events, s), advantage))


def _less_log(terms: Terms) -> Terms:
    """The difference to what sessions were worth as they were logged."""
    return lambda events, s: terms(events, s) - logged_return(events, s)


def _trajectories(events: LoggedEvents, s: EstimatorSettings) -> Trajectories:
    kept = events.trajectories
    if kept.gamma != s.gamma:
        return Trajectories(kept.reward, kept.log_weight, kept.offsets, s.gamma)
    return kept


def _as_sums(found: Influence) -> SessionSums:
    """An estimate to first order: of a mean it is exact, of a ratio the delta method."""
    terms = found.mean + found.count * found.pulls
    return mean_of(terms, np.ones_like(terms))


RIGHT_Q = "Q is right of what π takes"
NEAR = "Q of μ is right, and π so near to μ that its states are"
SESSION_ROWS = (
    Estimator(
        "pdis", "PDIS", WEIGHTS, "Precup, Sutton & Singh 2000",
        of_weights(sequential.per_decision), per="session", weight=session_weights,
    ),
    Estimator(
        "wpdis", "weighted PDIS", WEIGHTS, "Thomas 2015",
        of_weights(sequential.weighted_per_decision), per="session", weight=session_weights,
    ),
    Estimator(
        "sequential_dr", "sequential DR", (*WEIGHTS, *MODEL), "Jiang & Li 2016", doubly_robust,
        per="session", weight=session_weights,
    ),
    Estimator(
        "fqe", "fitted Q evaluation", ("state_value",), "Le, Voloshin & Yue 2019", fitted_q,
        per="session", reference="sequential_dr", assumes=RIGHT_Q, weight=None,
    ),
    Estimator(
        "first_order", "first order", ("expected_advantage",),
        "Kakade & Langford 2002; Liang & Vlassis, section 3.2", first_order, per="session",
        reference="sequential_dr", assumes=NEAR, weight=None,
    ),
    Estimator(
        "delta_wpdis", "Δ-weighted PDIS", WEIGHTS, "Thomas 2015",
        _less_log(of_weights(sequential.weighted_per_decision)), improves=True, per="session",
        weight=session_weights,
    ),
    Estimator(
        "delta_sequential_dr", "Δ-sequential DR", (*WEIGHTS, *MODEL), "Jiang & Li 2016",
        _less_log(doubly_robust), improves=True, per="session", weight=session_weights,
    ),
    Estimator(
        "delta_first_order", "Δ-first order", ("expected_advantage",),
        "Kakade & Langford 2002; Liang & Vlassis, section 3.2", _less_log(first_order),
        improves=True, per="session", reference="delta_sequential_dr", assumes=NEAR, weight=None,
    ),
)  # fmt: skip
