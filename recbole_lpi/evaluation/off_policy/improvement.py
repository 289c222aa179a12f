"""By how much π is better than the policy that logged: paired, for both are seen in every event.

V(π) − V(μ) is often known far better than V(π), because the rewards of the log are in both terms
(Jeunen & Ustimenko, "Δ-OPE", RecSys 2024). Where μ logged, its own weights are 1.
"""

from __future__ import annotations

import numpy as np

from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums, mean_of


def delta_ips(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return 1/N Σ (w − 1)(r − β), with the baseline β of least variance.

    E[w − 1] = 0, so any β leaves the mean as it is; β moves the estimate by nothing to first order.
    """
    excess = events.weight - 1
    gain = events.per_session(excess * events.reward)
    surplus = events.per_session(excess)
    return mean_of(gain - optimal_baseline(gain, surplus) * surplus, events.session_sizes)


def optimal_baseline(gain: np.ndarray, surplus: np.ndarray) -> float:
    """Return β = Σ g_s u_s / Σ u_s², which makes Σ (g_s − β u_s)² least.

    With sessions of one event it is the paper's, Σ (w − 1)² r / Σ (w − 1)²; the sums over sessions
    make it right for events that are not independent. 0 where all weights are 1.

    Args:
        gain: Σ (w − 1) r over each session, [S].
        surplus: Σ (w − 1) likewise.
    """
    squares = float(np.square(surplus).sum())
    return float((gain * surplus).sum()) / squares if squares else 0.0


def delta_snips(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return Σ w r / Σ w − Σ r / N."""
    of_pi = mean_of(
        events.per_session(events.weight * events.reward), events.per_session(events.weight)
    )
    return of_pi - of_the_log(events)


def delta_dr(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return 1/N Σ v_π − v_μ + (w − 1)(r − q): doubly robust for both policies, and paired."""
    if events.q is None or events.v_pi is None or events.v_mu is None:
        raise ValueError("the events lack q, v_pi or v_mu, which this estimator needs")
    terms = events.v_pi - events.v_mu + (events.weight - 1) * (events.reward - events.q)
    return mean_of(events.per_session(terms), events.session_sizes)


def of_the_log(events: LoggedEvents) -> SessionSums:
    """Return Σ r / N, the value of the policy that logged."""
    return mean_of(events.per_session(events.reward), events.session_sizes)
