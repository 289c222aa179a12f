"""What the columns of a log say of how far to believe an estimate made from it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.propensity_quality import (
    Calibration,
    calibration,
    mean_over_sessions,
    summary_of,
)


@dataclass(frozen=True)
class WeightDiagnostics:
    """What the importance weights of a log are like.

    Attributes:
        mean: of the weights, with its standard error; 1 where μ is right and covers π.
        effective: (Σ w)² / Σ w², how many equally weighted events are as much (Kish 1965).
        largest: the largest weight; largest_share: its share of the sum of all.
        of_largest: the share that the largest 1 % of the weights have.
        clipped: the share of events whose weight is above ``clip``.
        below_floor: the share of Σ w that events have whose item μ gives less than the floor.
        unseen: 1 − mean, the share of π that the log has nothing of; 0 where the mean is above 1.
        unsupported: the share of π below the floor, exactly; None where the log does not give it.
    """

    mean: Estimate
    effective: float
    largest: float
    largest_share: float
    of_largest: float
    clipped: float
    below_floor: float
    unseen: float
    unsupported: float | None


@dataclass(frozen=True)
class RewardDiagnostics:
    """How many rewards carry the estimate.

    Attributes:
        rewarded: events whose reward is not 0.
        effective: (Σ |w r|)² / Σ (w r)², how many equal ones are as much.
        of_half: how many of the largest w r make half of the sum of their sizes.
        zero: events of reward 0.
    """

    rewarded: int
    effective: float
    of_half: int
    zero: int


@dataclass(frozen=True)
class ChoiceDiagnostics:
    """How concentrated the first choices of π are.

    Attributes:
        distinct: how many items are a first choice at all.
        top_ten: the share of the ten most frequent.
        gini: of the frequencies of those items: 0 equal, towards 1 all of one.
    """

    distinct: int
    top_ten: float
    gini: float


@dataclass(frozen=True)
class PropensityDiagnostics:
    """How near an estimate of μ is to what was logged.

    Attributes:
        log_error: mean |log μ̂ − log μ|, in nats.
        ratio: mean of μ̂/μ over logged events, with its standard error; 1 where μ̂ covers what μ
            does and each sums to 1.
    """

    log_error: float
    ratio: Estimate


@dataclass(frozen=True)
class Diagnostics:
    """All that is known; None where the log lacks the columns for it."""

    weights: WeightDiagnostics | None
    rewards: RewardDiagnostics
    choices: ChoiceDiagnostics | None
    calibration: Calibration | None
    propensities: PropensityDiagnostics | None

    def plain(self) -> dict[str, Any]:
        """Return them as plain values, for a file."""
        values = asdict(self)
        if self.calibration is not None:
            for name in ("given", "logged", "count"):
                values["calibration"][name] = getattr(self.calibration, name).tolist()
        return values


def diagnose(events: LoggedEvents, clip: float = 30.0, floor: float = 1e-4) -> Diagnostics:
    """Return what the columns say.

    Args:
        events: of the log.
        clip: the weight above which an event counts as clipped.
        floor: the probability below which μ hardly shows an item.
    """
    calibrated, propensities = None, None
    if events.greedy_log_mu is not None and events.greedy_is_logged is not None:
        calibrated = calibration(events.greedy_log_mu, events.greedy_is_logged, events.session)
    if events.log_propensity is not None and events.has_log_mu:
        difference = np.asarray(events.log_mu - events.log_propensity, np.float64)
        ratio = mean_over_sessions(np.exp(np.minimum(difference, 300.0)), events.session)
        propensities = PropensityDiagnostics(float(np.abs(difference).mean()), ratio)
    return Diagnostics(
        of_weights(events, clip, floor) if events.has_log_mu else None,
        of_rewards(events),
        None if events.greedy_item is None else of_choices(events.greedy_item),
        calibrated,
        propensities,
    )


def of_weights(events: LoggedEvents, clip: float, floor: float) -> WeightDiagnostics:
    """Return what the weights are like; arguments as of ``diagnose``."""
    weight = events.weight
    summary = summary_of(weight, events.session)
    largest, total = float(weight.max()), float(weight.sum())
    low = events.log_mu < math.log(floor)
    return WeightDiagnostics(
        mean=summary.mean,
        effective=summary.effective,
        largest=largest,
        largest_share=largest / total if total else float("nan"),
        of_largest=summary.of_largest,
        clipped=float((weight > clip).mean()),
        below_floor=float(weight[low].sum()) / total if total else float("nan"),
        unseen=max(0.0, 1 - summary.mean.mean),
        unsupported=None if events.unsupported is None else float(events.unsupported.mean()),
    )


def of_rewards(events: LoggedEvents) -> RewardDiagnostics:
    """Return how many rewards carry the estimate; unweighted where μ is not known."""
    sizes = np.abs(events.reward * events.weight if events.has_log_mu else events.reward)
    sizes = sizes[sizes > 0]
    rewarded = int(np.count_nonzero(events.reward))
    zero = len(events) - rewarded
    if not len(sizes):
        return RewardDiagnostics(rewarded, 0.0, 0, zero)
    sizes = np.sort(sizes)[::-1] / sizes.max()
    half = int(np.searchsorted(np.cumsum(sizes), sizes.sum() / 2)) + 1
    return RewardDiagnostics(rewarded, float(sizes.sum() ** 2 / np.square(sizes).sum()), half, zero)


def of_choices(greedy_item: np.ndarray) -> ChoiceDiagnostics:
    """Return how concentrated first choices are; ids of items, [N], N ≥ 1."""
    counts = np.sort(np.unique(greedy_item, return_counts=True)[1]).astype(np.float64)
    number, total = len(counts), float(counts.sum())
    rank = np.arange(1, number + 1)
    gini = 2 * float((rank * counts).sum()) / (number * total) - (number + 1) / number
    return ChoiceDiagnostics(number, float(counts[-10:].sum()) / total, gini)
