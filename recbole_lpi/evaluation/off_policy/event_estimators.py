"""Estimators of the reward of an event, from a few columns of a log: a row each.

They estimate E_{x ~ μ} E_{a ~ π} r(x, a), the reward of an event that the log's histories
lead to; ``session_estimators`` are of whole sessions. Each returns sums over sessions, from which
its value, its error and its intervals follow (``SessionSums``).

    w = π/μ,  q = q(x, a) of the logged item,  v_π = E_{a ~ π} q(x, a)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbole_lpi.evaluation.off_policy.estimator import Estimator
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums, mean_of
from recbole_lpi.evaluation.off_policy.settings import EstimationSettings

Estimate = Callable[[LoggedEvents, EstimationSettings], SessionSums]
WEIGHED = ("log_mu",)
MODELLED = ("q", "v_pi")
BOTH = (*WEIGHED, *MODELLED)


def per_event(log: LoggedEvents, terms: np.ndarray) -> SessionSums:
    """The mean of terms [N]."""
    return mean_of(log.per_session(terms), log.session_sizes)


def logged_reward(log: LoggedEvents) -> SessionSums:
    """The mean reward of a logged event: what μ itself is worth."""
    return per_event(log, log.reward)


def weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """w."""
    return log.weight


def clipped_weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """min(w, clip)."""
    return np.minimum(log.weight, how.clip)


def smoothed_weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """π / μ^α."""
    return np.exp(log.log_pi - how.smoothing * log.log_mu)


def explored_weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """π / (μ + γ)."""
    gamma = how.exploration or 0.5 / np.sqrt(len(log))
    return np.asarray(np.exp(log.log_pi) / (np.exp(log.log_mu) + gamma))


def cluster_weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """π / μ of the cluster that the logged item lies in."""
    return log.cluster_weight


def shrunk_weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """λ w / (w² + λ)."""
    return how.shrinkage * log.weight / (np.square(log.weight) + how.shrinkage)


def switched_weights(log: LoggedEvents, how: EstimationSettings) -> np.ndarray:
    """w up to τ, and 0 above."""
    return np.where(log.weight <= how.switch, log.weight, 0.0)


Weights = Callable[[LoggedEvents, EstimationSettings], np.ndarray]


def weighted(weigh: Weights) -> Estimate:
    """Mean of weight × r."""
    return lambda log, how: per_event(log, weigh(log, how) * log.reward)


def self_normalised(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """Σ w r / Σ w."""
    return mean_of(log.per_session(log.weight * log.reward), log.per_session(log.weight))


def direct(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """Mean of v_π."""
    return per_event(log, log.need("v_pi"))


def corrected(weigh: Weights) -> Estimate:
    """Mean of v_π + weight × (r − q)."""
    return lambda log, how: per_event(
        log, log.need("v_pi") + weigh(log, how) * (log.reward - log.need("q"))
    )


def self_normalised_dr(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """Mean of v_π + Σ w (r − q) / Σ w."""
    residual = log.weight * (log.reward - log.need("q"))
    return direct(log, how) + mean_of(log.per_session(residual), log.per_session(log.weight))


def logarithmic(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """Mean of log(1 + λ w r) / λ, of rewards ≥ 0."""
    rate = log_smoothing_rate(log, how)
    return per_event(log, np.log1p(rate * log.weight * log.reward) / rate)


def log_smoothing_rate(log: LoggedEvents, how: EstimationSettings) -> float:
    """λ of logarithmic smoothing."""
    return how.log_smoothing or 1 / float(np.sqrt(len(log.session_sizes)))


def delta_ips(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """Mean of (w − 1)(r − b), where b = E[(w − 1)² r] / E[(w − 1)²] gives the least variance.

    Subtracting b changes nothing in expectation, for E[w] = 1.
    """
    excess = log.weight - 1
    square = np.square(excess)
    total = float(square.sum())
    baseline = float((square * log.reward).sum()) / total if total else 0.0
    return per_event(log, excess * (log.reward - baseline))


def delta_snips(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """Σ w r / Σ w − mean of r."""
    return self_normalised(log, how) - logged_reward(log)


def delta_dr(log: LoggedEvents, how: EstimationSettings) -> SessionSums:
    """Mean of v_π − v_μ + (w − 1)(r − q): both policies by the same model."""
    residual = (log.weight - 1) * (log.reward - log.need("q"))
    return per_event(log, log.need("v_pi") - log.need("v_mu") + residual)


EVENT_ESTIMATORS: dict[str, Estimator] = {
    "ips": Estimator(
        "importance weights", weighted(weights), WEIGHED, "Horvitz & Thompson 1952", weight=weights
    ),
    "clipped_ips": Estimator(
        "importance weights, clipped", weighted(clipped_weights), WEIGHED,
        "Ionides 2008; paper, section 4.1", weight=clipped_weights, trades="ips",
    ),
    "snips": Estimator(
        "importance weights, self-normalised", self_normalised, WEIGHED,
        "Swaminathan & Joachims 2015", weight=weights,
    ),
    "exponential_smoothing": Estimator(
        "importance weights, exponentially smoothed", weighted(smoothed_weights), WEIGHED,
        "Aouali et al. 2023", weight=smoothed_weights, trades="ips",
    ),
    "implicit_exploration": Estimator(
        "importance weights, implicit exploration", weighted(explored_weights), WEIGHED,
        "Gabbianelli, Neu & Papini 2024", weight=explored_weights, trades="ips",
    ),
    "logarithmic_smoothing": Estimator(
        "importance weights, logarithmically smoothed", logarithmic, WEIGHED,
        "Sakhi et al. 2024", positive=True, weight=weights, trades="ips",
    ),
    "mips": Estimator(
        "weights of clusters of items", weighted(cluster_weights),
        ("log_pi_cluster", "log_mu_cluster"), "Saito & Joachims 2022", weight=cluster_weights,
        trades="ips",
    ),
    "dm": Estimator(
        "direct method: the model alone", direct, ("v_pi",), "Beygelzimer & Langford 2009"
    ),
    "dr": Estimator(
        "doubly robust", corrected(weights), BOTH, "Dudík, Langford & Li 2011", weight=weights
    ),
    "sndr": Estimator(
        "doubly robust, self-normalised", self_normalised_dr, BOTH, "Thomas & Brunskill 2016",
        weight=weights,
    ),
    "switch_dr": Estimator(
        "doubly robust, large weights dropped", corrected(switched_weights), BOTH,
        "Wang, Agarwal & Dudík 2017", weight=switched_weights, trades="dr",
    ),
    "dros": Estimator(
        "doubly robust, weights shrunk", corrected(shrunk_weights), BOTH, "Su et al. 2020",
        weight=shrunk_weights,
        trades="dr",
    ),
    "offcem": Estimator(
        "doubly robust over clusters of items", corrected(cluster_weights),
        ("log_pi_cluster", "log_mu_cluster", *MODELLED), "Saito, Ren & Joachims 2023",
        weight=cluster_weights, trades="dr",
    ),
    "delta_ips": Estimator(
        "improvement: importance weights, best baseline", delta_ips, WEIGHED,
        "Jeunen & Ustimenko 2024", improvement=True, weight=weights,
    ),
    "delta_snips": Estimator(
        "improvement: self-normalised weights", delta_snips, WEIGHED, "Jeunen & Ustimenko 2024",
        improvement=True, weight=weights,
    ),
    "delta_dr": Estimator(
        "improvement: doubly robust", delta_dr, (*BOTH, "v_mu"), "Jeunen & Ustimenko 2024",
        improvement=True, weight=weights,
    ),
}  # fmt: skip
