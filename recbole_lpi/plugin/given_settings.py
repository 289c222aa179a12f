"""Collect what a Config is given, by files, callers and command lines, and refuse the unknown."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from recbole_lpi import settings
from recbole_lpi.objectives import OBJECTIVES, ObjectiveSettings
from recbole_lpi.plugin.models import BASELINES, PolicyRecommender
from recbole_lpi.plugin.names import recbole_folder
from recbole_lpi.plugin.properties import (
    defaults,
    file_beside,
    kind_of_file,
    policies_alone,
    settings_of_the_data,
)
from recbole_lpi.plugin.recbole_table import TABLE, unread
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.policy import encoders
from recbole_lpi.policy.encoders import unread_settings
from recbole_lpi.roles import Role
from recbole_lpi.settings import SettingError, Values, suggest
from recbole_lpi.training import devices
from recbole_lpi.yaml_values import read_file

SHIPPED = "ml-100k"  # RecBole reads its own, whatever data_path says


def load_ours(config: Any, model: str, dataset: str) -> None:
    """Load our defaults, what lies beside the data, and what was given; check every name."""
    internal = config.internal_config_dict
    internal.update(defaults(model, dataset))
    internal["gpu_id"] = devices.default_gpus() or internal["gpu_id"]
    known = set(internal) | known_settings() | policies_alone()
    config.external_config_dict = external = _given(config, known)
    named = getattr(config, "named_by_user", None)
    encoders.allow((external if named is None else named).get("encoder"))
    where = settings.coerce("data_path", {**internal, **external}["data_path"], str)
    if external.get("loss_type", internal.get("loss_type")) == "CE":
        internal["train_neg_sample_args"] = None
    beside = file_beside(dataset, where)
    if beside.is_file():
        if dataset == SHIPPED:
            raise SettingError(
                f"{dataset} is what RecBole ships, and read in place of {beside.parent}: "
                f"convert into a folder of another name, such as {dataset}-raw"
            )
        read = read_file(beside)
        refuse_unknown(read, known, internal, f"{beside}: ")
        refuse_of_others(read, beside)
        internal.update(read)
    refuse_unknown(external, known, internal)
    say_unread(model, external, internal)


def _given(config: Any, known: set[str]) -> dict[str, Any]:
    """Merge settings of files, of the caller and of the command line, each over those before.

    Only text of a command line is parsed. A script's command line is its own: what is no setting
    there is left to it, and said.
    """
    command_line = config.cmd_config_dict
    for name in [name for name in command_line if name not in known]:
        near = suggest(name, config.internal_config_dict) or suggest(name, known)
        hint = f"; should it have been {near}?" if near else ""
        logging.getLogger().warning(
            f"--{name} of the program's command line is no setting, and left to the program{hint}"
        )
        del command_line[name]
    if command_line:
        listed = ", ".join(f"--{name}" for name in command_line)
        logging.getLogger().info(f"settings from the program's command line: {listed}")
    given = {**config.file_config_dict, **config.as_given, **command_line}
    return {key: os.fspath(v) if isinstance(v, os.PathLike) else v for key, v in given.items()}


def refuse_path(dataset: str) -> None:
    """Raise SettingError for a path: property files of that name are read, wherever it leads."""
    if not dataset.isprintable() or {"/", "\\"}.intersection(dataset) or dataset in ("", ".", ".."):
        raise SettingError(
            f"dataset must be the name of a folder, not a path, got {dataset!r}: --data_path says "
            "where that folder lies"
        )


def refuse_of_others(read: Iterable[str], beside: Path) -> None:
    """Raise SettingError for a setting not of the data: others may have written that file."""
    for name in read:
        if name not in settings_of_the_data():
            raise SettingError(
                f"{beside}: {name} is no setting of the data, and a file beside data holds no "
                f"other: give it as --{name}=…, or in a file of your own by --config_files"
            )


def refuse_subclass(model: str, model_class: Any) -> None:
    """Raise SettingError for a class made from one of ours that OBJECTIVES does not know."""
    if issubclass(model_class, PolicyRecommender) and model not in OBJECTIVES:
        raise SettingError(
            f"{model} is no policy: OBJECTIVES has no row of that name, which says what it learns; "
            f"add OBJECTIVES['{model}'] = OBJECTIVES['{model_class.__mro__[1].__name__}'] and "
            f"MODELS['{model}'] = {model} (docs/adding-a-policy.md)"
        )


def refuse_unknown(
    given: Iterable[str], known: set[str], preferred: Iterable[str] = (), where: str = ""
) -> None:
    """Raise SettingError for the first setting that nothing reads, naming the nearest known."""
    for key in given:
        if key not in known:
            near = suggest(key, preferred) or suggest(key, known)
            hint = f"; did you mean {near}?" if near else ""
            raise SettingError(f"{where}unknown setting '{key}'{hint}")


def say_unread(model: str, given: Mapping[str, Any], internal: Mapping[str, Any]) -> None:
    """Warn of every given setting that ``model`` under these settings does not read."""
    # A configuration that comes back from a run's own file repeats RecBole's defaults.
    named = [key for key in sorted(given) if given[key] != internal.get(key)]
    merged = Values({**internal, **given})
    for reader, passed_over, why in unread_of(model, named, merged, set(internal)):
        logging.getLogger().warning(f"{reader} does not read {', '.join(passed_over)}{why}")


def unread_of(
    model: str, named: Iterable[str], values: Values, readable: set[str]
) -> Iterator[tuple[str, list[str], str]]:
    """List the settings among ``named`` that ``model`` with these ``values`` does not read.

    Args:
        readable: the settings that the model's files have.

    Yields: by whom they are passed over, those settings, and who else reads them.
    """
    not_read = unread(by_recboles=kind_of_file(model) == "recbole")
    if model in BASELINES:
        not_read |= {*names(Role.TRAINING, Role.SPEED)}
    read = (readable | _of_programs()) - not_read
    named = list(named)
    readers = [(model, [key for key in named if key not in read], ", which other models do")]
    if model in OBJECTIVES:
        of_others = OBJECTIVES[model].unread(settings.read(ObjectiveSettings, values))
        encoder = values["encoder"]
        readers += [
            (model, [key for key in named if key in of_others], ", which other policies do"),
            (f"encoder {encoder}", [k for k in named if k in unread_settings(encoder)], ""),
        ]
    yield from (reader for reader in readers if reader[1])


@cache
def known_settings() -> frozenset[str]:
    """List the settings that RecBole itself knows, for any of its models and programs."""
    keys = set(_of_programs())
    for file in (recbole_folder() / "properties").rglob("*.yaml"):
        if file.name != "url.yaml":
            keys |= set(read_file(file))
    return frozenset(keys)


@cache
def _of_programs() -> frozenset[str]:
    """List settings of RecBole's programs, which its property files need not name."""
    from recbole.utils import argument_list

    lists = [part for part in vars(argument_list).values() if isinstance(part, list)]
    derived = names(Role.DERIVED)
    ours = {name for name, entry in TABLE.items() if entry.read_by != "none"}.difference(derived)
    return frozenset(ours.union(*lists))
