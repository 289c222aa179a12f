"""Plans of sweeps: rows of models, what is tried of each, and what all runs share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recbole_lpi.plugin.names import properties_folder
from recbole_lpi.settings import SettingError
from recbole_lpi.yaml_values import read_file

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Row:
    """One row of the table: a model, what it is always given, and what is tried on validation."""

    name: str
    model: str
    fixed: Settings
    tries: tuple[Settings, ...]
    seeded: bool = True  # a model that draws nothing is run once


@dataclass(frozen=True)
class Plan:
    """What a sweep is to run.

    Attributes:
        shared: settings of every run; its ``valid_metric`` also picks among the tries.
        reference: name of the row whose best run is the logging policy of all others.
        rows: in the order of the table.
        title: what the table is of; the name of the plan's file if it does not say.
    """

    shared: Settings
    reference: str
    rows: tuple[Row, ...]
    title: str


def plan_file(name: str, kind: str) -> Path:
    """Return a YAML file, or ``properties/<kind>/<name>.yaml``; SettingError if it is neither."""
    path = Path(name)
    if not path.is_file():
        path = properties_folder() / kind / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.yaml")))
        raise SettingError(f"there is no plan '{name}': give a YAML file or one of {known}")
    return path


def read_plan(name: str) -> Plan:
    """Read a plan from a YAML file, or from ``properties/experiment/<name>.yaml``.

    SettingError names the file and what is wrong.
    """
    path = plan_file(name, "experiment")
    content = read_file(path)
    needed = {"shared", "reference", "rows"}
    if set(content) - {"title"} != needed or not isinstance(content["rows"], Mapping):
        raise SettingError(
            f"{path}: not a plan, which has the keys shared, reference, rows and perhaps title"
        )
    rows = tuple(_row(path, name, given or {}) for name, given in content["rows"].items())
    title = str(content.get("title") or path.stem)
    plan = Plan(content["shared"] or {}, content["reference"], rows, title)
    if plan.reference not in {row.name for row in rows}:
        raise SettingError(f"{path}: reference is {plan.reference}, which is not one of its rows")
    return plan


def _row(path: Path, name: str, given: Any) -> Row:
    known = ("model", "fixed", "tries", "seeded")
    try:
        unknown = [key for key in given if key not in known]
        fixed, tries = dict(given.get("fixed") or {}), [dict(t) for t in given.get("tries") or [{}]]
    except (AttributeError, TypeError, ValueError):
        raise SettingError(f"{path}: row {name} is no mapping of {', '.join(known)}") from None
    if unknown:
        raise SettingError(
            f"{path}: row {name} has {', '.join(unknown)}; known are {', '.join(known)}"
        )
    return Row(name, given.get("model", name), fixed, tuple(tries), given.get("seeded", True))
