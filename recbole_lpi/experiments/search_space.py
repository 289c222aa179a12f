"""What a search may try: settings, each with a range or a list of choices."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.plugin.properties import search_space
from recbole_lpi.plugin.setting_names import known
from recbole_lpi.roles import Role, name_of, role_of
from recbole_lpi.settings import SettingError, coerce, suggest
from recbole_lpi.yaml_values import read_file

if TYPE_CHECKING:
    from optuna.trial import Trial

# What makes another model of the same data, so that trials are measured on the same events.
SEARCHED = (Role.MODEL, Role.CODE, Role.TRAINING, Role.SAMPLING, Role.WINDOWS)
FORM = "{low: 0.1, high: 4.0, log: true} or a list of choices such as [64, 128]"


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both included: whole ones if both are whole.

    ``log``: as likely between 1 and 2 as between 2 and 4.
    """

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """The two values whose settings are checked before the first trial."""
        return self.low, self.high

    def suggest(self, trial: Trial, name: str) -> Any:
        """Let the search choose."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(name, self.low, self.high, log=self.log)
        return trial.suggest_float(name, self.low, self.high, log=self.log)

    def enqueued(self, value: Any) -> Any:
        """Return ``value`` as it is put into a queue of trials; LookupError if it is outside."""
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise LookupError
        if not self.low <= value <= self.high:
            raise LookupError
        return value


@dataclass(frozen=True)
class Choices:
    """Plain values, lists and mappings among them, of which one is tried at a time."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """Every one of them: all are checked before the first trial."""
        return self.values

    def suggest(self, trial: Trial, name: str) -> Any:
        """Let the search choose; Optuna keeps each as JSON."""
        return json.loads(trial.suggest_categorical(name, [json.dumps(v) for v in self.values]))

    def enqueued(self, value: Any) -> Any:
        """Return ``value`` as it is put into a queue of trials; LookupError if it is none."""
        if value not in self.values:
            raise LookupError
        return json.dumps(self.values[self.values.index(value)])


Space = Mapping[str, Range | Choices]


def read_space(model: str, file: Path | None, given: Mapping[str, Any]) -> tuple[Space, list[str]]:
    """Read what is searched over, from ``file`` or else from the model's property files.

    Returns: the space, and which settings of it are not searched, since they are ``given``.

    Raises:
        SettingError: a setting is unknown, cannot be searched over, or has no range.
    """
    source = "the space of its property files" if file is None else str(file)
    content = search_space(model) if file is None else read_file(file)
    space = {name: _read(model, source, name, values) for name, values in content.items()}
    fixed = [name for name in space if name in given]
    space = {name: values for name, values in space.items() if name not in given}
    if not space:
        why = f"; {', '.join(fixed)} is given" if fixed else ""
        raise SettingError(f"{model}: {source} leaves nothing to search{why}: give a --space FILE")
    return space, fixed


def suggested(space: Space, trial: Trial) -> dict[str, Any]:
    """The settings of a trial; those that it had before, if it goes on."""
    return {name: values.suggest(trial, name) for name, values in space.items()}


def corners(space: Space) -> list[dict[str, Any]]:
    """Settings that reach every end and choice of the space: as many as its longest list."""
    most = max(len(values.ends) for values in space.values())
    return [
        {name: values.ends[min(n, len(values.ends) - 1)] for name, values in space.items()}
        for n in range(most)
    ]


def _read(model: str, source: str, name: str, values: Any) -> Range | Choices:
    classes = BASELINES[model].setting_classes if model in BASELINES else ()
    roles = {name: setting.role for name, setting in known().items()}
    roles |= {name_of(field): role_of(c, field) for c in classes for field in fields(c)}
    role = roles.get(name)
    if role is None:
        near = suggest(name, roles)
        raise SettingError(
            f"{source}: unknown setting '{name}'{near and f'; did you mean {near}?'}"
        )
    if role not in SEARCHED:
        raise SettingError(
            f"{source}: {name} cannot be searched over: it says {role.value}, and trials "
            "are to be models of the same data, measured alike"
        )
    if isinstance(values, list) and values:
        choices = Choices(tuple(coerce(f"{source}: {name}", values, list[Any])))
        foreign = [v for v in choices.values if role is Role.CODE and not str(v).isalnum()]
        if foreign:
            raise SettingError(
                f"{source}: {name} {foreign[0]} is code of your own, which no file has imported: "
                f"give it to all trials as --{name}={foreign[0]}"
            )
        return choices
    if not isinstance(values, Mapping):
        raise SettingError(f"{source}: {name} must be {FORM}, got {values!r}")
    return _range(f"{source}: {name}", values)


def _range(where: str, values: Mapping[str, Any]) -> Range:
    unknown = [key for key in values if key not in ("low", "high", "log")]
    ends = values.get("low"), values.get("high")
    numbers = [v for v in ends if isinstance(v, (int, float)) and not isinstance(v, bool)]
    if unknown or len(numbers) < 2 or not isinstance(values.get("log", False), bool):
        raise SettingError(f"{where} must be {FORM}, got {dict(values)!r}")
    low, high = numbers
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise SettingError(f"{where}: low must be less than high, got {low} and {high}")
    if values.get("log") and low <= 0:
        raise SettingError(f"{where}: a log range must begin above 0, got {low}")
    return Range(low, high, values.get("log", False))
