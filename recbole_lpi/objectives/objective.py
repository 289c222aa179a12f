"""A row of OBJECTIVES: a policy weight, and what an auxiliary head must learn for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

from torch import Tensor

from recbole_lpi.objectives import weights
from recbole_lpi.objectives.estimates import Estimates
from recbole_lpi.objectives.settings import ObjectiveSettings

# What each kind of learning reads of ObjectiveSettings, beyond what the row itself reads.
OF_WEIGHT = ("weight_clip", "weight_normalize", "warmup_epochs")
OF_VALUES = ("gamma", "td_weight", "value_estimator", "q_head", "negative_samples", "expectile")
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
        rewards: what those of training must be for the weight to teach what it should: ``some > 0``
            where it is a multiple of the reward, ``all >= 0`` where it bounds the value only then.
    """

    weight: Callable[[Estimates, ObjectiveSettings], Tensor]
    learns: str | None = None
    reads: tuple[str, ...] = ()
    bandit: bool = False
    rewards: str | None = None

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

    def unread(self, settings: ObjectiveSettings) -> set[str]:
        """Settings of objectives that make no difference to this one."""
        read = {*self.reads, *READS[self.learns]}
        if settings.advantage_estimator != "gae":
            read.discard("gae_lambda")
        if "q" not in self.heads(settings):
            read.discard("q_head")
        if self.weight is not weights.uniform:
            read |= set(OF_WEIGHT)
        return {field.name for field in fields(ObjectiveSettings)} - read

    def check_rewards(self, name: str, lowest: float, highest: float) -> None:
        """ValueError for training rewards from which ``name`` learns nothing, or the opposite."""
        cures = "set reward_field or rating_to_reward, or take LPI or LPIRL, which any rewards suit"
        if self.rewards and highest <= 0:
            raise ValueError(
                f"{name} weighs an event by its reward, and none of training has one above "
                f"0 (they are {lowest:g} to {highest:g}): it would learn nothing, or to avoid what "
                f"was logged; {cures}"
            )
        if self.rewards == "all >= 0" and lowest < 0:
            raise ValueError(
                f"{name} bounds the value of a policy where rewards are >= 0 (Eq. 4), and the "
                f"lowest of training is {lowest:g}; {cures}"
            )

    def check(self, name: str, settings: ObjectiveSettings) -> None:
        """ValueError, with the reason, for settings that make no sense in the policy ``name``."""
        heads, estimator = self.heads(settings), settings.advantage_estimator
        values = ("value_estimator", *OF_ADVANTAGE[:2], "negative_samples", "expectile")
        if self.learns in (None, "propensity"):
            _only(name, settings, "it learns no values", **_defaults(*values))
        if self.learns == "q":
            _only(name, settings, "its weight is not an advantage", **_defaults(*OF_ADVANTAGE[:2]))
        if self.learns != "propensity":
            _only(name, settings, "it has no importance ratio", **_defaults("propensity"))
        if heads == ("value",):
            _only(
                name, settings, f"{estimator} learns V(x) alone, and subtracts it",
                value_estimator=(None, "sarsa", "monte_carlo"),
                advantage_baseline=("policy", "value"),
                negative_samples=(0,), expectile=(0.5,),
            )  # fmt: skip
        elif heads != ("q", "value"):
            why = "no value head is regressed on Q, as by advantage_baseline: value"
            _only(name, settings, why, **_defaults("expectile"))
        if settings.advantage_baseline == "negatives" and not settings.negative_samples:
            _only(name, settings, "no negatives are drawn", negative_samples=(1, 10))
        if self.bandit:
            why = "it is the contextual bandit (section 3.1); LPIRL discounts"
            _only(name, settings, why, gamma=(0.0,))


def _only(name: str, settings: ObjectiveSettings, why: str, **allowed: tuple[object, ...]) -> None:
    """ValueError that names all settings with a value not allowed, and what they may be."""
    wrong = {key: may for key, may in allowed.items() if getattr(settings, key) not in may}
    if wrong:
        found = " and ".join(f"{key} cannot be {getattr(settings, key)!r}" for key in wrong)
        cures = ", ".join(
            f"{key}: {' or '.join('~' if value is None else str(value) for value in may)}"
            for key, may in wrong.items()
        )
        raise ValueError(f"{found} for {name}: {why}; set {cures}")


def _defaults(*names: str) -> dict[str, tuple[object, ...]]:
    return {name: (ObjectiveSettings.__dataclass_fields__[name].default,) for name in names}
