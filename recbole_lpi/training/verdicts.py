"""What the test part tells of a run besides its metrics: whether, and how far, to believe them."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field
from typing import Any

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.quality_report import LoggingPolicyQuality
from recbole_lpi.training import run_warnings
from recbole_lpi.training.settings import TrainingSettings

Estimates = dict[str, Estimate]  # by name of a metric


@dataclass
class Verdicts:
    """What is told beside the metrics of a run.

    Attributes:
        floors: of two rules that learn nothing on the test events, by rule and metric.
        noise_floor: how far two seeds of the logging policy are apart there, by metric; None: it
            is not known.
        quality: how good the estimate of the logging policy is; None: there is none to judge.
        warnings: what else is to be said, a sentence each; they were logged.
    """

    floors: dict[str, Estimates] = field(default_factory=dict)
    noise_floor: Estimates | None = None
    quality: LoggingPolicyQuality | None = None
    warnings: list[str] = field(default_factory=list)

    def warn(self, *warnings: str | None) -> None:
        """Log what there is, and keep it."""
        for warning in warnings:
            if warning is not None:
                self.warnings.append(warning)
                logging.getLogger().warning(warning)

    def warn_of(
        self,
        table: EventTable,
        estimates: Estimates,
        settings: TrainingSettings,
        learns: bool,
    ) -> None:
        """Say what is doubtful of a model's ``estimates`` on the events of ``table``.

        ``learns``: whether it is one that is trained.
        """
        if learns:
            self.warn(*run_warnings.of_choices(table))
            self.warn(run_warnings.of_floors(settings, estimates, self.floors))
        self.warn(run_warnings.of_untrained(table))

    def plain(self) -> dict[str, Any]:
        """Return what metrics.json has of them."""
        return {
            "logging_policy_quality": None if self.quality is None else self.quality.plain(),
            "noise_floor": None if self.noise_floor is None else plain(self.noise_floor),
            "floors": {rule: plain(found) for rule, found in self.floors.items()},
        }


def plain(found: Estimates) -> dict[str, Any]:
    """Return estimates as plain values, by name."""
    return {name: asdict(estimate) for name, estimate in found.items()}
