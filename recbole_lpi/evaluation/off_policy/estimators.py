"""Off-policy estimates of the mean reward per logged event under π, and ESTIMATORS, all rows.

A row is a pure function of columns of the log. It gives sums over sessions, so one standard error,
one bootstrap and one test of bias serve all of them (``session_sums``). w is the importance weight
π/μ, q the estimated reward of the logged item and v_π = E_π q.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from recbole_lpi.evaluation.off_policy import improvement, weightings
from recbole_lpi.evaluation.off_policy.estimator import Estimator, Weighting
from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.session_estimators import SESSION_ROWS
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums, mean_of
from recbole_lpi.evaluation.propensity_quality import weights_of

WEIGHTS = ("log_mu",)
MODEL = ("q", "v_pi")
CLUSTERS = ("log_pi_cluster", "log_mu_cluster")


def weighted_mean(weighting: Weighting, events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return 1/N Σ ŵ r, of weights ŵ [N] that ``weighting`` makes of w."""
    numerator = events.per_session(weighting(events, s) * events.reward)
    return mean_of(numerator, events.session_sizes)


def snips(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return Σ w r / Σ w."""
    numerator = events.per_session(events.weight * events.reward)
    return mean_of(numerator, events.per_session(events.weight))


def direct_method(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return 1/N Σ v_π."""
    return mean_of(events.per_session(_column(events.v_pi)), events.session_sizes)


def doubly_robust(weighting: Weighting, events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return 1/N Σ v_π + ŵ (r − q), of weights ŵ [N] that ``weighting`` makes of w."""
    residual = weighting(events, s) * (events.reward - _column(events.q))
    return mean_of(events.per_session(_column(events.v_pi) + residual), events.session_sizes)


def self_normalised_dr(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return 1/N Σ v_π + Σ w (r − q) / Σ w."""
    residual = events.per_session(events.weight * (events.reward - _column(events.q)))
    corrected = mean_of(residual, events.per_session(events.weight))
    return direct_method(events, s) + corrected


def logarithmic_smoothing(events: LoggedEvents, s: EstimatorSettings) -> SessionSums:
    """Return 1/N Σ log(1 + λ w r) / λ, for rewards ≥ 0."""
    strength = s.smoothing or 1 / np.sqrt(len(events))
    terms = np.log1p(strength * events.weight * events.reward) / strength
    return mean_of(events.per_session(terms), events.session_sizes)


def cluster_weight(events: LoggedEvents, s: EstimatorSettings) -> np.ndarray:
    """Return π(cluster | x) / μ(cluster | x) of the logged item's cluster, [N]."""
    return weights_of(_column(events.log_pi_cluster), _column(events.log_mu_cluster))


def _column(values: np.ndarray | None) -> np.ndarray:
    """A column that the row's ``needs`` names, so that it is there."""
    if values is None:
        raise ValueError("the events lack a column that this estimator needs")
    return values


_ROWS = (
    Estimator(
        "ips", "IPS", WEIGHTS, "Horvitz & Thompson 1952; Strehl et al. 2010",
        partial(weighted_mean, weightings.plain),
    ),
    Estimator(
        "clipped_ips", "clipped IPS", WEIGHTS, "Ionides 2008; Bottou et al. 2013",
        partial(weighted_mean, weightings.clipped), reference="ips",
    ),
    Estimator("snips", "SNIPS", WEIGHTS, "Hájek 1971; Swaminathan & Joachims 2015", snips),
    Estimator(
        "dm", "direct method", MODEL, "Beygelzimer & Langford 2009", direct_method,
        reference="dr", assumes="q is right of what π takes", weight=None,
    ),
    Estimator(
        "dr", "doubly robust", (*WEIGHTS, *MODEL), "Dudík et al. 2011",
        partial(doubly_robust, weightings.plain),
    ),
    Estimator(
        "sndr", "self-normalised DR", (*WEIGHTS, *MODEL), "Thomas & Brunskill 2016",
        self_normalised_dr,
    ),
    Estimator(
        "switch_dr", "Switch-DR", (*WEIGHTS, *MODEL), "Wang et al. 2017",
        partial(doubly_robust, weightings.switched), reference="dr",
    ),
    Estimator(
        "dros", "DR, optimistic shrinkage", (*WEIGHTS, *MODEL), "Su et al. 2020",
        partial(doubly_robust, weightings.shrunk), reference="dr",
    ),
    Estimator(
        "exponential", "exponential smoothing", WEIGHTS, "Aouali et al. 2023",
        partial(weighted_mean, weightings.exponential), reference="ips",
    ),
    Estimator(
        "implicit_exploration", "implicit exploration", WEIGHTS, "Gabbianelli et al. 2024",
        partial(weighted_mean, weightings.explored), reference="ips",
    ),
    Estimator(
        "logarithmic", "logarithmic smoothing", WEIGHTS, "Sakhi et al. 2024",
        logarithmic_smoothing, reference="ips", nonnegative=True,
    ),
    Estimator(
        "mips", "MIPS over clusters", CLUSTERS, "Saito & Joachims 2022",
        partial(weighted_mean, cluster_weight), reference="ips",
        assumes="an item's reward is that of its cluster", weight=cluster_weight,
    ),
    Estimator(
        "offcem", "OffCEM over clusters", (*CLUSTERS, *MODEL), "Saito et al. 2023",
        partial(doubly_robust, cluster_weight), reference="dr",
        assumes="q is right of differences within a cluster", weight=cluster_weight,
    ),
    Estimator(
        "delta_ips", "Δ-IPS", WEIGHTS, "Jeunen & Ustimenko 2024", improvement.delta_ips,
        improves=True,
    ),
    Estimator(
        "delta_snips", "Δ-SNIPS", WEIGHTS, "Jeunen & Ustimenko 2024", improvement.delta_snips,
        improves=True,
    ),
    Estimator(
        "delta_dr", "Δ-DR", (*WEIGHTS, *MODEL, "v_mu"), "Dudík et al. 2011, as a pair",
        improvement.delta_dr, improves=True,
    ),
)  # fmt: skip

ESTIMATORS: Mapping[str, Estimator] = {row.name: row for row in (*_ROWS, *SESSION_ROWS)}
