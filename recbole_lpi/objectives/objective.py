"""A row of OBJECTIVES: a policy weight, and what an auxiliary head must learn for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from torch import Tensor

from recbole_lpi.objectives import weights
from recbole_lpi.objectives.estimates import Estimates
from recbole_lpi.objectives.settings import ObjectiveSettings

# What each kind of learning reads of ObjectiveSettings, beyond what the row itself reads.
OF_WEIGHT = ("weight_clip", "weight_normalize", "warmup_steps")
OF_VALUES = ("gamma", "td_weight", "value_estimator", "negative_samples", "expectile")
OF_ADVANTAGE = ("advantage_estimator", "advantage_baseline", "gae_lambda")
READS = {
    None: (),
    "propensity": ("propensity",),
    "q": OF_VALUES,
    "advantage": (*OF_VALUES, *OF_ADVANTAGE),
}


@dataclass(frozen=True)
class Objective:
    """One policy.

    Attributes:
        weight: policy weight [N] from the estimates of an event, detached.
        learns: what the weight needs that the logs do not hold: ``q``, ``advantage``,
            ``propensity`` μ̂(a | x), or None.
        reads: settings that the weight itself reads.
        bandit: contexts are independent of earlier actions (section 3.1), so γ must be 0.
    """

    weight: Callable[[Estimates, ObjectiveSettings], Tensor]
    learns: str | None = None
    reads: tuple[str, ...] = ()
    bandit: bool = False

    def heads(self, settings: ObjectiveSettings) -> tuple[str, ...]:
        """The auxiliary heads it needs: of ``q``, ``value`` and ``propensity``."""
        if self.learns == "propensity":
            return ("propensity",) if settings.propensity == "head" else ()
        if self.learns is None:
            return ()
        if self.learns == "advantage" and settings.advantage_estimator != "analytic":
            return ("value",)
        baseline = self.learns == "advantage" and settings.advantage_baseline == "value"
        return ("q", "value") if baseline or settings.value_estimator == "state_value" else ("q",)

    def needs_logging_policy(self, settings: ObjectiveSettings) -> bool:
        """Whether the weight is computed from a given logging policy."""
        if self.learns == "propensity":
            return settings.propensity == "checkpoint"
        return "q" in self.heads(settings) and settings.advantage_baseline == "logging"

    def unread(self) -> set[str]:
        """Settings of objectives that make no difference to this one."""
        read = {*self.reads, *READS[self.learns]}
        if self.weight is not weights.uniform:
            read |= set(OF_WEIGHT)
        return {field.name for field in fields(ObjectiveSettings)} - read

    def check(self, name: str, settings: ObjectiveSettings) -> None:
        """ValueError, with the reason, for settings that make no sense in the policy ``name``."""
        refuse = _Refusal(name, settings)
        heads, estimator = self.heads(settings), settings.value_estimator
        if self.learns in (None, "propensity"):
            for setting in ("value_estimator", *OF_ADVANTAGE[:2], "negative_samples", "expectile"):
                refuse.unless_default(setting, "it learns no values")
        elif self.learns == "q":
            for setting in OF_ADVANTAGE[:2]:
                refuse.unless_default(setting, "its weight is not an advantage")
        if self.learns != "propensity":
            refuse.unless_default("propensity", "it has no importance ratio")
        if heads == ("value",):
            if estimator not in (None, "sarsa", "monte_carlo"):
                refuse(
                    "value_estimator",
                    f"{settings.advantage_estimator} learns V(x) alone; it may be sarsa (TD(0)) "
                    "or monte_carlo, or set advantage_estimator: analytic",
                )
            why = f"{settings.advantage_estimator} subtracts its value head, and learns no Q"
            for setting in ("advantage_baseline", "negative_samples"):
                refuse.unless_default(setting, f"{why}; set advantage_estimator: analytic too")
        if heads != ("q", "value"):
            refuse.unless_default(
                "expectile",
                "no value head is regressed on Q; set advantage_baseline: value too",
            )
        if settings.advantage_baseline == "negatives" and not settings.negative_samples:
            refuse("advantage_baseline", "no negatives are drawn; set negative_samples too")
        if self.bandit and settings.gamma:
            refuse("gamma", "it is the contextual bandit, γ = 0 (section 3.1); LPIRL discounts")


@dataclass(frozen=True)
class _Refusal:
    name: str
    settings: ObjectiveSettings

    def __call__(self, setting: str, reason: str) -> None:
        value = getattr(self.settings, setting)
        raise ValueError(f"{setting} cannot be {value!r} for {self.name}: {reason}")

    def unless_default(self, setting: str, reason: str) -> None:
        default = ObjectiveSettings.__dataclass_fields__[setting].default
        if getattr(self.settings, setting) != default:
            self(setting, reason)
