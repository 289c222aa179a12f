"""Whether an off-policy estimate may be used: a verdict with its reasons in words.

Refused is what may be wrong by more than its interval says. Too wide is what is right, and says
too little. The rest is usable, and its 95 % intervals are to hold the truth 95 times in 100, which
``benchmarks/interval_coverage.py`` counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy.session_sums import SessionSums
from recbole_lpi.roles import Role

Status = Literal["usable", "too wide", "refused"]


@dataclass(frozen=True)
class VerdictSettings:
    """Thresholds of the verdicts. ValueError names the setting and what it may be.

    Attributes:
        min_effective: equally weighted events that the weights are to be worth, (Σ w)² / Σ w²
            (Kish 1965). Below about 100 the error of a weighted mean is itself known to no better
            than 10 % (relative error 1/√(2 n)) even with normal terms.
        min_carrying: rewards that are to carry the error, by the spread of weights and of rewards
            (``Evidence.carrying``). Cochran (1977, section 2.15): 95 % intervals err in at most
            6 % where n > 25 G², G the skewness, which 25 carrying rewards imply. A third of it is
            asked of the sessions that carried it in this log (``effective_sessions``).
        weight_errors: standard errors by which the mean weight may be off 1; by 3 it is in 0.3 %
            of logs by chance.
        weight_rounding: by which it may be off besides, which moves the estimate by as little.
        max_unsupported: the share of π on items that μ hardly shows, where the log gives it
            exactly; the estimate can be off by as much, times the largest reward.
        max_bias: of the error, by which regularised weights may have moved an estimate, with two
            standard errors of the shift. Normal theory: shifted by a quarter of its error, a 95 %
            interval holds the truth in 94.3 %; by a half, in 92.1 %.
        max_half_width: of a 95 % interval, relative to the value of the log. A choice: ± 50 % is
            no answer to how much better.
        all_shown: you vouch that the log has everything that was shown, though all of it has a
            reward. Without that, such a log is taken for one of engaged items only, and refused:
            in a world whose truth is known intervals of values per event never held it
            (docs/truth.md).
        assumed: estimators whose assumption you vouch for, by name, such as ``mips``.
    """

    ROLE: ClassVar[Role] = Role.MEASURING

    min_effective: float = 100.0
    min_carrying: float = 25.0
    weight_errors: float = 3.0
    weight_rounding: float = 0.01
    max_unsupported: float = 0.01
    max_bias: float = 0.25
    max_half_width: float = 0.5
    all_shown: bool = False
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name not in ("assumed", "all_shown") and not value >= 0:
                raise ValueError(f"{name} must be ≥ 0, got {value}")


@dataclass(frozen=True)
class EstimateVerdict:
    """A verdict, and why, a clause each."""

    status: Status
    reasons: tuple[str, ...] = ()

    @property
    def usable(self) -> bool:
        """Whether the estimate and its intervals may be used."""
        return self.status == "usable"

    def __str__(self) -> str:
        return f"{self.status}: {'; '.join(self.reasons)}" if self.reasons else self.status


@dataclass(frozen=True)
class Evidence:
    """What a verdict is passed on.

    Attributes:
        sums: of the estimate.
        half_width: of its two-sided interval.
        log_value: the mean reward of the log, in the unit of the estimate.
        weight_mean: of the weights it corrects by, which is to be 1; None: it has none.
        weight_at_least: a lower bound on that mean for any number of sessions; None: not known.
        effective: how many equally weighted events they are worth.
        carrying: about how many rewards carry the error, if they fall independently of weights:
            (Σ u²)² / Σ u⁴ · (Σ y²)² / (N Σ y⁴) for weights u and rewards y. What the log happened
            to pay for large weights is not in it, or logs with a low estimate would pass more
            often than others. None: it has no weights. Infinite: it has no
            error, for all weights of an improvement are 1.
        unsupported: the share of π that μ hardly shows, exactly; None: not known.
        bias: how far it is off an estimate without its bias, paired; None: it has no bias.
        reference: the title of that estimate.
        assumes: what no log can show and it needs; None: nothing, or somebody vouches for it.
        engaged_only: whether every event of the log has a reward.
    """

    sums: SessionSums
    half_width: float
    log_value: float
    weight_mean: Estimate | None = None
    weight_at_least: float | None = None
    effective: float | None = None
    carrying: float | None = None
    unsupported: float | None = None
    bias: Estimate | None = None
    reference: str = ""
    assumes: str | None = None
    engaged_only: bool = False


def pass_verdict(evidence: Evidence, settings: VerdictSettings) -> EstimateVerdict:
    """Return the verdict on an estimate."""
    reasons = [
        *_of_support(evidence, settings), *_of_numbers(evidence, settings),
        *_of_bias(evidence, settings),
    ]  # fmt: skip
    if reasons:
        return EstimateVerdict("refused", tuple(reasons))
    most = settings.max_half_width * abs(evidence.log_value)
    if not evidence.half_width <= most:
        wide = f"± {evidence.half_width:.3g} beside the log's value of {evidence.log_value:.3g}"
        return EstimateVerdict("too wide", (wide,))
    return EstimateVerdict("usable")


def _of_support(evidence: Evidence, settings: VerdictSettings) -> list[str]:
    """Why the log may lack what π takes."""
    reasons = []
    if evidence.engaged_only and not settings.all_shown:
        reasons.append("the log has what was engaged with only, and not what was shown and left")
    mean = evidence.weight_mean
    if mean is not None:
        allowed = settings.weight_errors * mean.stderr + settings.weight_rounding
        if not abs(mean.mean - 1) <= allowed:
            why = "the log lacks part of what π takes, or μ is wrong"
            why = why if mean.mean < 1 else "μ is smaller than what it logged says"
            reasons.append(f"mean weight {mean.mean:.3g} ± {mean.stderr:.2g}, not 1: {why}")
    least = evidence.weight_at_least
    if least is not None and least > 1 + settings.weight_rounding:
        reasons.append(f"the mean weight is at least {least:.3g}, not 1: μ is wrong")
    share = evidence.unsupported
    if share is not None and share > settings.max_unsupported:
        reasons.append(f"{share:.1%} of π lies on items that μ hardly shows")
    return reasons


def _of_numbers(evidence: Evidence, settings: VerdictSettings) -> list[str]:
    """Why there may be too little for an error to be known."""
    reasons = []
    if evidence.effective is not None and not evidence.effective >= settings.min_effective:
        reasons.append(
            f"the weights are worth {evidence.effective:,.0f} events of equal weight, fewer than "
            f"{settings.min_effective:,.0f}"
        )
    if evidence.carrying == math.inf:
        return reasons
    there = evidence.sums.effective_sessions
    asked = settings.min_carrying / 3
    if evidence.carrying is not None and not evidence.carrying >= settings.min_carrying:
        there, asked = evidence.carrying, settings.min_carrying
    if not there >= asked:
        number = "less than one reward carries" if there < 1 else f"about {there:.0f} rewards carry"
        reasons.append(f"{number} its error, fewer than {asked:.0f}: nobody knows how large it is")
    return reasons


def _of_bias(evidence: Evidence, settings: VerdictSettings) -> list[str]:
    """Why its interval may be about another number than π's value."""
    if evidence.assumes is not None:
        return [f"it is right only if {evidence.assumes}, which no log shows"]
    bias = evidence.bias
    if bias is None:
        return []
    most = settings.max_bias * evidence.sums.stderr
    if abs(bias.mean) + 2 * bias.stderr <= most:
        return []
    return [
        f"it is {bias.mean:+.2g} ± {bias.stderr:.2g} off {evidence.reference}, beside an error of "
        f"{evidence.sums.stderr:.2g}: its interval may miss the value"
    ]
