"""How far an estimate μ̂ of the logging policy is from the propensities μ(a | x) of the log.

    E_{a ~ μ}[log μ(a | x) − log μ̂(a | x)] = KL(μ ‖ μ̂) ≥ 0,      0 only if μ̂ = μ
    E_{a ~ μ}[μ̂(a | x) / μ(a | x)] = Σ_{a: μ > 0} μ̂(a | x) ≤ 1,    1 where μ can show every item

Both are means over everything that was shown, and need the propensity of nothing else. What breaks
an inequality by more than chance tells against the propensities, or of impressions that the log
leaves out, such as those that were not taken; and not against μ̂.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.propensity_quality import (
    BOUND,
    differs,
    mean_over_sessions,
    plus_minus,
)


@dataclass(frozen=True)
class PropensityAgreement:
    """What logged propensities say of μ̂.

    Attributes:
        nll: mean −log μ of logged items, in nats.
        divergence: mean of log μ − log μ̂, with its standard error; estimates KL(μ ‖ μ̂).
        distance: mean |log μ̂ − log μ|.
        ratio: mean of μ̂/μ, with its standard error; the share of μ̂ on what μ can show.
        logged, estimated: geometric means of μ and of μ̂ in each bin of events [B], from the least
            probable ones under μ.
        count: events of each bin, [B].
    """

    nll: float
    divergence: Estimate
    distance: float
    ratio: Estimate
    logged: np.ndarray
    estimated: np.ndarray
    count: np.ndarray

    def lines(self) -> Iterator[str]:
        """Say it in words, with a warning below what it is about."""
        gap = self.divergence
        yield (
            f"Propensities μ of the log: NLL {self.nll:.2f} per event, so that μ̂ is "
            f"{plus_minus(gap)} nats from them (KL(μ ‖ μ̂), 0 if μ̂ = μ). |log μ̂ − log μ| is "
            f"{self.distance:.2f} on average, a factor of {np.exp(min(self.distance, BOUND)):.3g}."
        )
        if gap.mean < 0 and differs(gap, 0.0):
            yield (
                "Warning: μ̂ predicts the log better than its propensities do, which no estimate "
                "can if these are right: they are not the probabilities with which these items "
                "were shown, or the log leaves out some of what was shown, as what was not taken."
            )
        yield (
            f"μ̂/μ averages {plus_minus(self.ratio)}: the share of μ̂ on items that μ can show, at "
            "most 1. Geometric means by tenths of the events, from the least probable under μ:"
        )
        yield from self.table
        if self.ratio.mean > 1 and differs(self.ratio, 1.0):
            yield (
                "Warning: an average above 1 cannot be if the propensities are right and the log "
                "has everything that was shown: those of what μ̂ prefers are too small."
            )

    @property
    def table(self) -> list[str]:
        """The bins as two lines of text, from the least probable items under μ."""
        rows = [[f"{x:.2g}" for x in values] for values in (self.logged, self.estimated)]
        width = max(map(len, [*rows[0], *rows[1]]))
        names = ("  μ  ", "  μ̂  ")  # the second takes as much room, of one character more
        return [
            name + " ".join(cell.rjust(width) for cell in row)
            for name, row in zip(names, rows, strict=True)
        ]

    def plain(self) -> dict[str, Any]:
        """Return it as plain values, for metrics.json."""
        arrays = ("logged", "estimated", "count")
        return {**asdict(self), **{name: getattr(self, name).tolist() for name in arrays}}


def agreement(
    log_estimate: np.ndarray, log_propensity: np.ndarray, session: np.ndarray, bins: int = 10
) -> PropensityAgreement:
    """Compare log μ̂ with the logged log μ of the same events.

    Args:
        log_estimate, log_propensity: of the logged items, [N], N ≥ 1.
        session: of the events, [N]; those of one session are one draw.
        bins: of as many events each as can be, by their propensity.
    """
    given, logged = (np.asarray(x, np.float64) for x in (log_estimate, log_propensity))
    gap = logged - given
    parts = np.array_split(np.argsort(logged, kind="stable"), min(bins, len(logged)))
    return PropensityAgreement(
        nll=-float(logged.mean()),
        divergence=mean_over_sessions(gap, session),
        distance=float(np.abs(gap).mean()),
        ratio=mean_over_sessions(np.exp(np.minimum(-gap, BOUND)), session),
        logged=np.exp([logged[part].mean() for part in parts]),
        estimated=np.exp([given[part].mean() for part in parts]),
        count=np.array([len(part) for part in parts]),
    )
