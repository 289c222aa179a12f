"""Values of settings as plain YAML: from the command line, a dictionary or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from recbole_lpi.settings import SettingError


class SettingsLoader(yaml.SafeLoader):
    """Plain YAML, no objects; 1e-3 is a number as it is to RecBole, and a date is text."""


SettingsLoader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
SettingsLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)


def parse(text: str) -> Any:
    """A value from the command line or a string in a dictionary: plain YAML, else the text."""
    if text.strip() == "None":
        return None
    try:
        value = yaml.load(text, SettingsLoader)
    except yaml.YAMLError:
        return text
    return value if isinstance(value, (type(None), bool, int, float, list, dict)) else text


def read_file(path: str | Path) -> dict[str, Any]:
    """Settings of a YAML file. SettingError names the file and the line that is wrong."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        loaded = yaml.load(text, SettingsLoader) or {}
    except FileNotFoundError:
        raise SettingError(f"no settings file at {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise SettingError(f"{path} is not plain YAML: {said}") from None
    if not isinstance(loaded, Mapping):
        raise SettingError(f"{path} must hold lines of 'setting: value'")
    return dict(loaded)
