"""The settings that objectives read, checked once."""

from __future__ import annotations

from dataclasses import dataclass

ADVANTAGE_ESTIMATORS = ("analytic", "td_residual")
ADVANTAGE_BASELINES = ("policy", "logging", "max")


@dataclass(frozen=True)
class ObjectiveSettings:
    """Settings of an objective; ValueError names the setting, its value and what it may be.

    Attributes:
        gamma: discount γ, in [0, 1) (section 3.2); 0 is the contextual bandit.
        beta: temperature β > 0 of exp(A/β), the price of moving away from μ (Eq. 7, 8).
        td_weight: λ ≥ 0, the weight of the TD loss (Eq. 10).
        weight_clip: upper bound of the policy weight, or None (the paper states none).
        weight_normalize: divide the weights of a batch by their mean, so that β does not also
            act as a learning rate.
        advantage_estimator: ``analytic``, A = Q(x, a) − baseline from a Q head (section 4.2), or
            ``td_residual``, A = r + γ V(x') − V(x) from a state-value head.
        advantage_baseline: under which policy the analytic baseline is taken: ``policy`` E_π[Q],
            ``logging`` E_μ̂[Q], or ``max`` max_a Q. ``td_residual`` has no choice here.
    """

    gamma: float = 0.5
    beta: float = 1.0
    td_weight: float = 1.0
    weight_clip: float | None = None
    weight_normalize: bool = False
    advantage_estimator: str = "analytic"
    advantage_baseline: str = "policy"

    def __post_init__(self) -> None:
        _require(0 <= self.gamma < 1, "gamma", self.gamma, "in [0, 1)")
        _require(0 < self.beta < float("inf"), "beta", self.beta, "> 0 and finite")
        _require(0 <= self.td_weight < float("inf"), "td_weight", self.td_weight, ">= 0 and finite")
        clip = self.weight_clip
        _require(clip is None or clip > 0, "weight_clip", clip, "> 0, or null")
        for name, known in (
            ("advantage_estimator", ADVANTAGE_ESTIMATORS),
            ("advantage_baseline", ADVANTAGE_BASELINES),
        ):
            value = getattr(self, name)
            _require(value in known, name, value, f"one of {', '.join(known)}")
        if self.advantage_estimator == "td_residual" and self.advantage_baseline != "policy":
            raise ValueError(
                f"advantage_baseline {self.advantage_baseline} is of the analytic advantage: set "
                "advantage_estimator to analytic too; td_residual subtracts its state value"
            )


def _require(ok: bool, name: str, value: object, rule: str) -> None:
    if not ok:
        raise ValueError(f"{name} must be {rule}, got {value!r}")
