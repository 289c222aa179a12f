"""What an estimate rests on: how many events carry it, and whether its weights can be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.propensity_quality import (
    Calibration,
    calibration,
    mean_over_sessions,
)

TOP = 10  # items that recommendations may be concentrated on


@dataclass(frozen=True)
class WeightDiagnostics:
    """What weights are like.

    Attributes:
        effective: (Σ w)² / Σ w², how many equally weighted events are as much (Kong 1992).
        largest: the largest weight. largest_share: its share of their sum.
        mean: of the weights with its error; 1 in expectation, if μ is right and π within it.
        above_clip: the share of events whose weight is above ``clip``.
    """

    effective: float
    largest: float
    largest_share: float
    mean: Estimate
    above_clip: float


@dataclass(frozen=True)
class RewardDiagnostics:
    """How many rewards carry an estimate.

    Attributes:
        rewarded: events with a reward other than 0.
        effective: (Σ |w r|)² / Σ (w r)², how many equal contributions are as much.
        half: how many of the largest contributions make up half of their sum.
    """

    rewarded: int
    effective: float
    half: int


@dataclass(frozen=True)
class Concentration:
    """On how few items the first choices of π are.

    Attributes:
        top_share: the share of the ten that are chosen most.
        distinct: how many items are a first choice anywhere.
        gini: of their numbers, 0 where all are chosen alike, towards 1 where one is.
    """

    top_share: float
    distinct: int
    gini: float


@dataclass(frozen=True)
class PropensityError:
    """How far estimated propensities are from those that were logged.

    Attributes:
        absolute: mean |log μ̂ − log μ|, in nats.
        ratio: mean of μ/μ̂ with its error.
    """

    absolute: float
    ratio: Estimate


@dataclass(frozen=True)
class Diagnostics:
    """All that is known of a policy and a log, None where the log has not got it.

    Attributes:
        engaged_only: whether every event has a reward above 0, so that nothing is known of what
            was shown and not taken.
        unsupported: the mean probability that π gives to items to which μ gives too little.
    """

    weights: WeightDiagnostics | None
    rewards: RewardDiagnostics | None
    concentration: Concentration | None
    calibration: Calibration | None
    propensities: PropensityError | None
    unsupported: float | None
    engaged_only: bool


def diagnose(log: LoggedEvents, clip: float) -> Diagnostics:
    """Return what is known of a policy and a log; ``clip`` is the weight of clipped IPS."""
    known = log.has_log_mu
    greedy, logged = log.greedy_log_mu, log.greedy_is_logged
    calibrated = None
    if greedy is not None and logged is not None:
        calibrated = calibration(greedy, logged, log.session)
    return Diagnostics(
        weight_diagnostics(log.weight, log, clip) if known else None,
        reward_diagnostics(log.weight, log.reward) if known else None,
        None if log.greedy_item is None else concentration(log.greedy_item),
        calibrated,
        propensity_error(log) if known and log.log_propensity is not None else None,
        None if log.unsupported is None else float(log.unsupported.mean()),
        bool((log.reward > 0).all()),
    )


def weight_diagnostics(weight: np.ndarray, log: LoggedEvents, clip: float) -> WeightDiagnostics:
    """Return what weights [N] of the events of a log are like."""
    total, square = float(weight.sum()), float(weight @ weight)
    return WeightDiagnostics(
        total**2 / square if square else 0.0,
        float(weight.max()),
        float(weight.max()) / total if total else 0.0,
        mean_over_sessions(weight, log.session),
        float((weight > clip).mean()),
    )


def reward_diagnostics(weight: np.ndarray, reward: np.ndarray) -> RewardDiagnostics:
    """Return how many rewards [N] carry an estimate with weights [N]."""
    parts = np.abs(weight * reward)[reward != 0]
    total = float(parts.sum())
    if not total:
        return RewardDiagnostics(len(parts), 0.0, 0)
    ordered = np.sort(parts)[::-1].cumsum()
    return RewardDiagnostics(
        len(parts),
        total**2 / float(parts @ parts),
        int(np.searchsorted(ordered, total / 2) + 1),
    )


def concentration(greedy_item: np.ndarray) -> Concentration:
    """Return on how few items first choices [N] are."""
    counts = np.sort(np.unique(greedy_item, return_counts=True)[1])
    number, place = len(counts), np.arange(1, len(counts) + 1)
    gini = float((2 * place - number - 1) @ counts / (number * counts.sum()))
    return Concentration(float(counts[-TOP:].sum() / counts.sum()), number, gini)


def propensity_error(log: LoggedEvents) -> PropensityError:
    """Return how far ``log_mu`` is from ``log_propensity``."""
    off = log.need("log_propensity") - log.log_mu
    ratio = np.exp(np.minimum(off, 300.0))
    return PropensityError(float(np.abs(off).mean()), mean_over_sessions(ratio, log.session))
