"""Plans of repeated deployment: who learns, how often, and from how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.settings import SettingError, coerce
from recbole_lpi.yaml_values import read_file


@dataclass(frozen=True)
class Contender:
    """Who learns: a policy and its settings; ValueError where there is no such policy.

    Attributes:
        name: as tables and figures print it.
        model: the policy.
        settings: those that are not as its property file has them.
    """

    name: str
    model: str
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.model not in OBJECTIVES:
            raise ValueError(
                f"{self.name}: model must be one of {', '.join(OBJECTIVES)}, got {self.model!r}"
            )


@dataclass(frozen=True)
class DeploymentSettings:
    """How often, and from how much. ValueError names the setting and what it may be.

    Attributes:
        sessions: that each deployed policy logs, ≥ 1.
        rounds: deployments after the first logging policy, ≥ 1.
        epochs, learning_rate, batch_size: how each policy is trained on its log.
        rollouts: sessions that the value of each is measured in, ≥ 2.
    """

    sessions: int = 10_000
    rounds: int = 5
    epochs: int = 5
    learning_rate: float = 0.003
    batch_size: int = 128
    rollouts: int = 20_000

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        for name, least in (
            ("sessions", 1), ("rounds", 1), ("epochs", 1), ("batch_size", 1), ("rollouts", 2),
        ):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")


def read_contenders(path: Path) -> tuple[list[Contender], DeploymentSettings]:
    """Read who learns, and how, from a plan; SettingError names what is wrong in it."""
    plan = read_file(path)
    rows = plan.get("contenders")
    if not isinstance(rows, dict) or not rows:
        raise SettingError(f"{path} has no contenders: rows of a name, a model and its settings")
    found = []
    for name, row in rows.items():
        values = dict(row or {})
        model = str(values.pop("model", name))
        try:
            found.append(Contender(str(name), model, values))
        except ValueError as error:
            raise SettingError(f"{path}: {error}") from None
    return found, coerce("deployment", dict(plan.get("deployment") or {}), DeploymentSettings)
