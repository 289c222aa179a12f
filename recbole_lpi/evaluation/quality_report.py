"""How good the estimate μ̂ of the logging policy is: what is measured of it, and in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.likelihood_floor import COMPONENTS, fit_floor
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.propensity_agreement import PropensityAgreement, agreement
from recbole_lpi.evaluation.propensity_quality import (
    Calibration,
    ImportanceWeights,
    calibration,
    differs,
    importance_weights,
    mean_over_sessions,
    plus_minus,
)


@dataclass(frozen=True)
class LoggingPolicyQuality:
    """What held-out events say of μ̂.

    Attributes:
        nll, floor_nll: mean −log probability of logged items under μ̂ and under the fitted mixture
            of ``likelihood_floor``, in nats.
        floor_weights: of the mixture's components, by name.
        better_by: mean of log μ̂ − log mixture, paired by event; > 0: μ̂ is better.
        weights: the importance weights of another policy.
        weights_of: that policy, ``policy`` where a run has one, or the ``mixture``.
        calibration: of the first choices of μ̂; None where they are another policy's.
        agreement: of μ̂ with the propensities of the log; None where the log has none.
    """

    nll: float
    floor_nll: float
    floor_weights: dict[str, float]
    better_by: Estimate
    weights: ImportanceWeights
    weights_of: str
    calibration: Calibration | None = None
    agreement: PropensityAgreement | None = None

    @property
    def beats_floor(self) -> bool:
        """Whether μ̂ predicts the log better than the mixture, by more than two errors."""
        return self.better_by.mean > 0 and differs(self.better_by, 0.0)

    def lines(self) -> Iterator[str]:
        """Say it in words, the main thing first, with a warning below what it is about."""
        yield from self._of_likelihood()
        if self.agreement is not None:
            yield from self.agreement.lines()
        yield from self._of_weights()
        if self.calibration is not None:
            yield from _of_calibration(self.calibration)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for metrics.json."""
        values = asdict(self)
        if self.calibration is not None:
            for name in ("given", "logged", "count"):
                values["calibration"][name] = getattr(self.calibration, name).tolist()
        values["agreement"] = None if self.agreement is None else self.agreement.plain()
        return values

    def _of_likelihood(self) -> Iterator[str]:
        shares = ", ".join(
            f"{name} {w:.2f}" for name, w in self.floor_weights.items() if w >= 0.005
        )
        gain = self.better_by
        if self.beats_floor:
            verdict = f"the estimate is better by {plus_minus(gain)}"
        elif differs(gain, 0.0):
            verdict = f"the mixture is better by {plus_minus(gain, -1)}"
        else:
            verdict = f"the estimate is better by {plus_minus(gain)}, which may be chance"
        yield (
            f"Estimated logging policy μ̂: NLL {self.nll:.2f} per event, a fitted mixture of counts "
            f"{self.floor_nll:.2f} ({shares}): {verdict}."
        )
        if not self.beats_floor:
            yield (
                "Warning: counting items predicts this log as well as μ̂, or better. Do not trust "
                "divergences or importance weights measured from μ̂: train it for more epochs, on "
                "every event (no loss_on_last), or with another learning_rate or dropout."
            )

    def _of_weights(self) -> Iterator[str]:
        w, mixed = self.weights, self.weights_of == "mixture"
        whose = "of the mixture, mixture/μ̂," if mixed else "of this policy, π/μ̂,"
        yield (
            f"Importance weights {whose} average {plus_minus(w.mean)}, and must average 1 if μ̂ is "
            f"right. The largest 1% of them have {w.of_largest:.0%} of their sum; "
            f"{w.mean.count:,} events are worth {w.effective:,.0f} equally weighted ones."
        )
        if not w.average_one:
            liked = "mixture" if mixed else "policy"
            yield (
                f"Warning: that is more than two standard errors from 1. What the {liked} prefers "
                "was logged "
                + (
                    "more often than μ̂ says: estimates of rewards by these weights are too large."
                    if w.mean.mean > 1
                    else "less often than μ̂ says, or so rarely that these events have not enough "
                    "of it: estimates of rewards by these weights are too small."
                )
            )


def _of_calibration(found: Calibration) -> Iterator[str]:
    logged = float((found.count * found.logged).sum() / found.count.sum())
    yield (
        f"Calibration: the first choice of μ̂ is given {logged + found.excess.mean:.3f} on average, "
        f"and was logged in {logged:.3f} of the events; expected calibration error "
        f"{found.error:.3f}, about {found.by_chance:.3f} by chance alone. By tenths of the events:"
    )
    yield from found.table
    if differs(found.excess, 0.0):
        over = found.excess.mean > 0
        by = plus_minus(found.excess, 1 if over else -1)
        yield (
            f"Warning: μ̂ is {'over' if over else 'under'}-confident by {by}. "
            + (
                "Train it for fewer epochs, or with more dropout."
                if over
                else "Train it for more epochs, or with less dropout."
            )
        )


def judge(
    table: EventTable, train: SessionData, valid: SessionData, held: SessionData, is_estimate: bool
) -> LoggingPolicyQuality | None:
    """Judge μ̂ by a part of the log; None if the table does not say what μ̂ gives its events.

    Args:
        table: of all events of ``held``.
        train, valid: what the mixture is fitted to.
        is_estimate: whether the table is of μ̂ itself, and not of a policy compared with one.
    """
    compared = table.has("log_mu")
    if not (compared or is_estimate) or not len(table) or not len(valid.places):
        return None
    log_mu = np.asarray(table.log_mu if compared else table.log_pi, np.float64)
    floor = fit_floor(train, valid)
    log_floor = floor.log_probabilities(held)
    first = None if compared else table.greedy_log_pi
    return LoggingPolicyQuality(
        nll=-float(log_mu.mean()),
        floor_nll=-float(log_floor.mean()),
        floor_weights=dict(zip(COMPONENTS, floor.weights.tolist(), strict=True)),
        better_by=mean_over_sessions(log_mu - log_floor, table.session),
        weights=importance_weights(table.log_pi if compared else log_floor, log_mu, table.session),
        weights_of="policy" if compared else "mixture",
        calibration=None
        if first is None
        else calibration(first, table.greedy_item == table.item_id, table.session),
        agreement=None
        if table.log_propensity is None
        else agreement(log_mu, table.log_propensity, table.session),
    )
