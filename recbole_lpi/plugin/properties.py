"""Find the property files, in a checkout or installed, and read what they say of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.plugin.names import properties_folder as properties_folder
from recbole_lpi.plugin.setting_names import names, shared_settings
from recbole_lpi.roles import OF_DATA
from recbole_lpi.settings import coerce
from recbole_lpi.yaml_values import read_file

SPACE = "tune"  # the key of a property file under which stands what a search tries


def property_files(model: str, dataset: str) -> list[Path]:
    """List the files of defaults of all policies, of this model and of the data set."""
    ours = properties_folder()
    files = [ours / "policy.yaml", ours / f"{model}.yaml", ours / "dataset" / f"{dataset}.yaml"]
    return [file for file in files if file.is_file()]


def file_beside(dataset: str, data_path: str | Path) -> Path:
    """Name the file of settings that lies beside a data set, in its folder."""
    return Path(data_path) / dataset / f"{dataset}.yaml"


def defaults(model: str, dataset: str) -> dict[str, Any]:
    """Read a model's defaults from our files: for one that is no policy, only the protocol's."""
    policies, *own = property_files(kind_of_file(model), dataset)
    values = _settings(policies)
    if model not in OBJECTIVES:
        values = {name: value for name, value in values.items() if name in shared_settings()}
    for file in own:
        values.update(_settings(file))
    return values


def search_space(model: str) -> dict[str, Any]:
    """Read what a search tries of a model by default: ranges and choices, by setting.

    Those of all policies stand under ``tune`` in ``policy.yaml``; a model adds its own in its own
    file, and takes one away by leaving it empty.
    """
    stems = ["policy", model] if model in OBJECTIVES else [kind_of_file(model)]
    files = [properties_folder() / f"{stem}.yaml" for stem in stems]
    found: dict[str, Any] = {}
    for file in files:
        own = read_file(file).get(SPACE) if file.is_file() else None
        found.update(coerce(f"{file}: {SPACE}", own or {}, dict[str, Any]))
    return {name: values for name, values in found.items() if values is not None}


def _settings(file: Path) -> dict[str, Any]:
    """Read the settings of a property file, without what a search tries of them."""
    return {name: value for name, value in read_file(file).items() if name != SPACE}


def kind_of_file(model: str) -> str:
    """Name the stem of a model's property file; all of RecBole's models share one."""
    return model if model in OBJECTIVES or model in BASELINES else "recbole"


def policies_alone() -> set[str]:
    """List settings of policy.yaml that no other model reads."""
    return set(_settings(properties_folder() / "policy.yaml")) - shared_settings()


def settings_of_the_data() -> set[str]:
    """List settings that a file beside data may hold: what the data are, and how they are split."""
    return set(names(*OF_DATA))
