"""What estimators make of the importance weights w = π/μ, so that large ones count for less.

Each takes the events and the settings, and gives weights [N]. All but the first are smaller than w
somewhere, which costs a bias and saves variance.
"""

from __future__ import annotations

import numpy as np

from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents


def plain(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return w."""
    return events.weight


def clipped(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return min(w, λ) (Ionides 2008)."""
    return np.asarray(np.minimum(events.weight, s.clip))


def switched(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return w where w ≤ τ, and 0 elsewhere (Wang et al. 2017)."""
    return np.where(events.weight <= s.switch, events.weight, 0.0)


def shrunk(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return λ w / (w² + λ), which is w for small w and λ/w for large (Su et al. 2020)."""
    weight = events.weight
    return np.asarray(s.shrinkage * weight / (np.square(weight) + s.shrinkage))


def exponential(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return π / μ^α (Aouali et al. 2023)."""
    return np.exp(np.minimum(events.log_pi - s.exponent * events.log_mu, 300.0))


def explored(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return π / (μ + γ) (Neu 2015; Gabbianelli et al. 2024)."""
    gamma = 1 / np.sqrt(len(events)) if s.exploration is None else s.exploration
    return np.asarray(np.exp(events.log_pi) / (np.exp(events.log_mu) + gamma))
