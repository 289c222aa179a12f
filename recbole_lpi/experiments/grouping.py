"""Which runs are seeds of one policy, and what each policy is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recbole_lpi.evaluation.scores import SessionScore
from recbole_lpi.experiments.runs import FinishedRun
from recbole_lpi.settings import SettingError

SAME_POLICY = 1e-4  # of log μ: another batch size or device moves it less


@dataclass(frozen=True)
class Measured:
    """A run with its score by metric; its ``settings`` hold its logging policy by number."""

    run: FinishedRun
    settings: dict[str, Any]
    scores: dict[str, SessionScore]


def label(model: str, settings: dict[str, Any]) -> str:
    """A model with settings, as they are written on the command line."""

    def spelled(value: Any) -> str:
        return str(value).lower() if isinstance(value, bool) else str(value)

    words = ", ".join(
        f"{key}={'unset' if value is None else spelled(value)}" for key, value in settings.items()
    )
    return f"{model} ({words})" if words else model


class LoggingPolicies:
    """Logging policies told apart by what they say of the events, wherever they were kept.

    A run that estimated its divergences did not keep that: its logging policy goes by its name.
    """

    def __init__(self) -> None:
        self.known: list[tuple[str, np.ndarray]] = []

    def number(self, run: FinishedRun, log_mu: np.ndarray | None) -> int | None:
        """The number of the logging policy that gave ``log_mu`` [N]; None for none."""
        if log_mu is None:
            return None
        own = Path(str(run.config.get("logging_policy"))).name
        for number, (name, other) in enumerate(self.known):
            apart = np.abs(other - log_mu).max(initial=0)
            if name == own if np.isnan(apart) else apart <= SAME_POLICY:
                return number
        self.known.append((own, log_mu))
        return len(self.known) - 1

    def name(self, number: int | None) -> str:
        """The name of a logging policy: its folder's, with a number where two have the same."""
        if number is None:
            return "none"
        names = [name for name, _ in self.known]
        own = names[number]
        return own if names.count(own) == 1 else f"{own} #{number + 1}"


def grouped(measured: Sequence[Measured]) -> list[list[Measured]]:
    """Runs of one policy together, policies of one model together, in the order given."""
    groups: list[list[Measured]] = []
    for one in measured:
        for group in groups:
            if (group[0].run.model, group[0].settings) == (one.run.model, one.settings):
                twin = next((other for other in group if other.run.seed == one.run.seed), None)
                if twin:
                    raise SettingError(
                        f"{twin.run.folder.path} and {one.run.folder.path} are one policy with one "
                        f"seed ({one.run.seed}): two seeds would be counted where there is one; "
                        "leave one out"
                    )
                group.append(one)
                break
        else:
            groups.append([one])
    order = list(dict.fromkeys(group[0].run.model for group in groups))
    return sorted(groups, key=lambda group: order.index(group[0].run.model))


def set_apart(
    group: list[Measured], groups: Sequence[list[Measured]], log_mus: LoggingPolicies
) -> dict[str, Any]:
    """The group's values of the settings in which the groups of its model differ.

    Its logging policy, if that is one of them, goes by its name in ``log_mus``.
    """
    kin = [other[0].settings for other in groups if other[0].run.model == group[0].run.model]
    own = group[0].settings
    keys = sorted({key for settings in kin for key in settings})
    apart = {key: own.get(key) for key in keys if any(k.get(key) != own.get(key) for k in kin)}
    if "logging_policy" in apart:
        apart["logging_policy"] = log_mus.name(apart["logging_policy"])
    return apart
