"""``Objective``: a policy weight, and what an auxiliary head must learn for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

from torch import Tensor

from recbole_lpi.objectives import weights
from recbole_lpi.objectives.advantage_estimators import (
    ADVANTAGE_ESTIMATORS,
    AdvantageEstimator,
    Critic,
)
from recbole_lpi.objectives.baselines import BASELINES, Baseline
from recbole_lpi.objectives.estimates import Estimates
from recbole_lpi.objectives.requirements import check_allowed
from recbole_lpi.objectives.settings import ObjectiveSettings
from recbole_lpi.objectives.value_estimators import VALUE_ESTIMATORS, ValueEstimator

WEIGHT_SETTINGS = ("weight_clip", "weight_normalize", "warmup_epochs")
VALUE_SETTINGS = (
    "gamma", "td_weight", "value_estimator", "q_head", "negative_samples", "expectile",
)  # fmt: skip
ADVANTAGE_SETTINGS = ("advantage_estimator", "advantage_baseline")
DEFAULT_VALUE_ESTIMATORS: dict[Critic, str] = {"q": "double_q", "value": "sarsa"}


@dataclass(frozen=True)
class Objective:
    """What one policy learns.

    Attributes:
        weight: policy weight [N] from the estimates of an event, detached.
        learns: what the weight needs that the logs do not hold: ``q``, ``advantage``,
            ``propensity`` μ(a | x), which some logs do hold, or None.
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

    def critic(self, settings: ObjectiveSettings) -> Critic | None:
        """The head that learns values by the TD error, ``q`` or ``value``; None without values."""
        estimator = self.advantage_estimator(settings)
        if estimator is not None:
            return estimator.critic
        return "q" if self.learns == "q" else None

    def advantage_estimator(self, settings: ObjectiveSettings) -> AdvantageEstimator | None:
        """The row of ``ADVANTAGE_ESTIMATORS`` in its weight, None where it has no advantage."""
        if self.learns != "advantage":
            return None
        return ADVANTAGE_ESTIMATORS[settings.advantage_estimator]

    def value_estimator(self, settings: ObjectiveSettings) -> ValueEstimator | None:
        """The row of ``VALUE_ESTIMATORS`` in its TD target, None where it learns no values."""
        critic = self.critic(settings)
        if critic is None:
            return None
        return VALUE_ESTIMATORS[settings.value_estimator or DEFAULT_VALUE_ESTIMATORS[critic]]

    def baseline(self, settings: ObjectiveSettings) -> Baseline | None:
        """The row of ``BASELINES`` that is subtracted from Q, None where none is."""
        subtracts = self.learns == "advantage" and self.critic(settings) == "q"
        return BASELINES[settings.advantage_baseline] if subtracts else None

    def heads(self, settings: ObjectiveSettings) -> tuple[str, ...]:
        """The auxiliary heads it needs, of ``q``, ``value`` and ``propensity``."""
        if self.learns == "propensity":
            return ("propensity",) if settings.propensity == "head" else ()
        critic = self.critic(settings)
        if critic != "q":
            return () if critic is None else (critic,)
        rows = self.value_estimator(settings), self.baseline(settings)
        return ("q", "value") if any(row and row.value_head for row in rows) else ("q",)

    def q_heads(self, settings: ObjectiveSettings) -> int:
        """How many Q heads it needs, 0 where it learns no Q."""
        estimator = self.value_estimator(settings)
        return estimator.q_heads if estimator and "q" in self.heads(settings) else 0

    def needs_logging_policy(self, settings: ObjectiveSettings) -> bool:
        """Whether the weight or the TD target is computed from a given logging policy."""
        if self.learns == "propensity":
            return settings.propensity == "checkpoint"
        rows = self.baseline(settings), self.value_estimator(settings)
        return any(row is not None and row.logging_policy for row in rows)

    def needs_propensities(self, settings: ObjectiveSettings) -> bool:
        """Whether the weight is computed from the propensities that the log has."""
        return self.learns == "propensity" and settings.propensity == "logged"

    def unread(self, settings: ObjectiveSettings) -> set[str]:
        """Settings of objectives that make no difference to this one."""
        read = set(self.reads)
        if self.weight is not weights.uniform:
            read |= set(WEIGHT_SETTINGS)
        if self.learns == "propensity":
            read.add("propensity")
        if self.learns in ("q", "advantage"):
            read |= set(VALUE_SETTINGS)
        advantage = self.advantage_estimator(settings)
        if advantage is not None:
            read |= {*ADVANTAGE_SETTINGS, *advantage.reads}
        if "q" not in self.heads(settings):
            read.discard("q_head")
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
        refuse_others = partial(check_allowed, name, settings)
        critic = self.critic(settings)
        if critic is None:
            values = ("value_estimator", *ADVANTAGE_SETTINGS, "negative_samples", "expectile")
            refuse_others("it learns no values", _defaults(*values))
        if self.learns == "q":
            refuse_others("its weight is not an advantage", _defaults(*ADVANTAGE_SETTINGS))
        if self.learns != "propensity":
            refuse_others("it has no importance ratio", _defaults("propensity"))
        if critic == "value":
            why = f"{settings.advantage_estimator} learns V(x) alone, and subtracts it"
            refuse_others(why, _allowed_beside_v())
        elif "value" not in self.heads(settings):
            why = "no value head is regressed on Q, as by advantage_baseline: value"
            refuse_others(why, _defaults("expectile"))
        if critic == "q":
            known = (name for name, row in VALUE_ESTIMATORS.items() if row.of_q)
            refuse_others("it learns Q(x, a)", {"value_estimator": (None, *known)})
        for row in self._rows(settings):
            for requirement in row.requires:
                requirement.check(name, settings)
        if self.bandit:
            why = "it is the contextual bandit (section 3.1); LPIRL discounts"
            refuse_others(why, {"gamma": (0.0,)})

    def _rows(
        self, settings: ObjectiveSettings
    ) -> list[ValueEstimator | AdvantageEstimator | Baseline]:
        """The rows that the settings choose, of the tables that this objective reads."""
        rows = (
            self.value_estimator(settings),
            self.advantage_estimator(settings),
            self.baseline(settings),
        )
        return [row for row in rows if row is not None]


def _allowed_beside_v() -> dict[str, tuple[object, ...]]:
    """What settings may be where V(x) alone is learnt: no Q, no negatives, no regression on Q."""
    defaults = _defaults("advantage_baseline", "negative_samples", "expectile")
    estimators = (name for name, row in VALUE_ESTIMATORS.items() if row.of_v)
    subtract_v = (name for name, row in BASELINES.items() if row.value_head)
    baselines = (*defaults.pop("advantage_baseline"), *subtract_v)
    return {
        "value_estimator": (None, *estimators), "advantage_baseline": baselines, **defaults,
    }  # fmt: skip


def _defaults(*names: str) -> dict[str, tuple[object, ...]]:
    """The default alone as what each setting may be."""
    return {name: (ObjectiveSettings.__dataclass_fields__[name].default,) for name in names}
