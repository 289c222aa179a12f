"""Whether an estimate may be used, is too wide to tell, or is refused, and why.

An interval knows what sessions could have been otherwise. It does not know a wrong μ̂, an item that
was never shown, the error of a model, or a session that has not been drawn and would weigh as much
as all others. What can be seen of these is looked at here.
"""

from __future__ import annotations

from dataclasses import dataclass

from recbole_lpi.evaluation.off_policy.diagnostics import Diagnostics, WeightDiagnostics
from recbole_lpi.evaluation.off_policy.estimator import Estimator
from recbole_lpi.evaluation.off_policy.intervals import Interval
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums
from recbole_lpi.evaluation.off_policy.settings import EstimationSettings

USABLE, WIDE, REFUSED = "usable", "too wide to tell", "refused"
ROUNDING = 1e-3  # by which a mean weight may be off, however small its error
BIAS = 0.3  # of the error of an estimate: 95 % intervals then hold the truth in 94 %
CANDIDATES = (
    "log μ was not measured: divergences were estimated on candidates; set divergence_candidates "
    "to nothing and measure again"
)
NO_MU = "log μ of what was logged is not known: log propensities, or name a logging policy"
MODEL = (
    "it rests on the model alone, and its interval leaves the error of the model out: read the "
    "doubly robust one"
)


@dataclass(frozen=True)
class Verdict:
    """What may be done with an estimate.

    Attributes:
        word: ``usable``, ``too wide to tell`` or ``refused``.
        reasons: why it is not usable, a sentence each; empty where it is.
    """

    word: str
    reasons: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the estimate may be used."""
        return self.word == USABLE


@dataclass(frozen=True)
class Evidence:
    """What a verdict looks at.

    Attributes:
        sums: the estimate. interval: its interval.
        unbiased: the estimate that it trades bias against; None: it is that itself.
        weights: what its weights are like; None: it has none.
        log_value: what the log is worth, in the unit of the estimate.
    """

    sums: SessionSums
    interval: Interval
    unbiased: SessionSums | None
    weights: WeightDiagnostics | None
    log_value: float


def unknown(row: Estimator, log: LoggedEvents) -> Verdict | None:
    """Refuse what cannot be computed: None where it can, or needs a column that is optional."""
    if "log_mu" in row.needs and not log.has_log_mu:
        return Verdict(REFUSED, (CANDIDATES if log.candidates_only else NO_MU,))
    if row.positive and bool((log.reward < 0).any()):
        return Verdict(REFUSED, ("it is of rewards ≥ 0, and some are below",))
    return None


def verdict(
    row: Estimator, evidence: Evidence, found: Diagnostics, how: EstimationSettings
) -> Verdict:
    """Return whether an estimate may be used.

    Args:
        row: the estimator.
        evidence: what it gave.
        found: what is known of policy and log.
        how: the thresholds.
    """
    reasons = _of_weights(row, evidence, found, how)
    if row.weight is None:
        reasons.append(MODEL)
    if evidence.unbiased is not None:
        reasons += _of_bias(evidence, evidence.unbiased)
    if reasons:
        return Verdict(REFUSED, tuple(reasons))
    wide = [*_of_carriers(evidence, how), *_of_width(evidence, how)]
    return Verdict(WIDE, tuple(wide)) if wide else Verdict(USABLE)


def _of_weights(
    row: Estimator, evidence: Evidence, found: Diagnostics, how: EstimationSettings
) -> list[str]:
    """Say what is wrong with the weights of an estimate."""
    if row.weight is None:
        return []
    reasons = []
    raw, own = found.weights, evidence.weights
    if raw is not None and "log_mu" in row.needs:
        mean = raw.mean
        if abs(mean.mean - 1) > how.most_off * mean.stderr + ROUNDING:
            reasons.append(
                f"the mean weight is {mean.mean:.3g} ± {mean.stderr:.2g} and must be 1: μ is wrong "
                "somewhere, or does not show what the policy does"
            )
    if own is not None and own.effective < how.least_effective:
        reasons.append(
            f"{own.effective:.3g} events carry the weights, of {how.least_effective:g} that are "
            "asked for: the policy is too far from what was logged"
        )
    if found.unsupported is not None and found.unsupported > how.most_unsupported:
        reasons.append(
            f"{found.unsupported:.1%} of the policy lies where the log has next to nothing: "
            f"at most {how.most_unsupported:.0%} may"
        )
    return reasons


def _of_carriers(evidence: Evidence, how: EstimationSettings) -> list[str]:
    """Say that too few sessions carry the error for an interval to hold as often as it says.

    Of few it is Student's with few degrees of freedom, which is wide.
    """
    carriers, own = evidence.sums.effective_sessions, evidence.weights
    even = own is not None and own.effective >= how.even_share * own.mean.count
    if carriers >= (how.least_carriers_even if even else how.least_carriers):
        return []
    return [
        f"{carriers:.3g} of {len(evidence.sums):,} sessions carry its error: collect more, or take "
        "a policy nearer to the log"
    ]


def _of_width(evidence: Evidence, how: EstimationSettings) -> list[str]:
    """Say that the interval is wide beside what the log is worth."""
    half, worth = (evidence.interval.high - evidence.interval.low) / 2, abs(evidence.log_value)
    if half <= how.most_width * worth:
        return []
    return [f"± {half:.3g}, and the log itself is worth {worth:.3g}"]


def _of_bias(evidence: Evidence, unbiased: SessionSums) -> list[str]:
    """Say that an estimate may be biased by more than its interval allows for.

    The bias is the difference to the unbiased estimate, of the same sessions. Where that one knows
    too little, nobody can tell how large the bias is, and the interval cannot be trusted either.
    """
    bias = evidence.sums - unbiased
    if abs(bias.value) + bias.stderr <= BIAS * evidence.sums.stderr:
        return []
    return [
        f"it is {bias.value:+.2g} ± {bias.stderr:.2g} off the estimate without its bias, and its "
        f"own error is {evidence.sums.stderr:.2g}: its interval need not hold the truth"
    ]
