"""What is estimated of each policy, and how surely."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from recbole_lpi.evaluation.off_policy.estimate_verdicts import VerdictSettings
from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
from recbole_lpi.evaluation.off_policy.estimators import ESTIMATORS
from recbole_lpi.roles import Role


@dataclass(frozen=True)
class ReportSettings:
    """What is estimated of each policy, and how surely. ValueError names the setting.

    Attributes:
        level: of intervals and lower bounds, between 0 and 1.
        resamples: of the bootstrap; 0: none is made.
        seed: of the bootstrap.
        floor: the probability below which μ hardly shows an item.
        largest_reward: the most that an event can bring, which finite-sample bounds need; None:
            the largest of the log, which is right where all rewards of a kind are equal.
        estimators: by name, those that are made; empty: all that the columns allow.
        terms: how estimators treat large weights.
        verdicts: the thresholds.
    """

    ROLE: ClassVar[Role] = Role.MEASURING

    level: float = 0.95
    resamples: int = 400
    seed: int = 0
    floor: float = 1e-4
    largest_reward: float | None = None
    estimators: tuple[str, ...] = ()
    terms: EstimatorSettings = field(default_factory=EstimatorSettings)
    verdicts: VerdictSettings = field(default_factory=VerdictSettings)

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise ValueError(f"level must be between 0 and 1, got {self.level}")
        if not 0 < self.floor < 1:
            raise ValueError(f"floor must be between 0 and 1, got {self.floor}")
        if not (self.resamples == 0 or self.resamples >= 100):
            raise ValueError(f"resamples must be 0 or at least 100, got {self.resamples}")
        if self.largest_reward is not None and not self.largest_reward > 0:
            raise ValueError(f"largest_reward must be > 0, got {self.largest_reward}")
        for kind, names in (("estimators", self.estimators), ("assumed", self.verdicts.assumed)):
            for name in names:
                if name not in ESTIMATORS:
                    raise ValueError(f"{kind}: '{name}' is none of {', '.join(ESTIMATORS)}")
