"""Read values of settings as plain YAML, from text of the command line and from files."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from recbole_lpi.settings import SettingError

MOST_VALUES = 100_000  # of a file of settings: aliases of aliases make billions of a few lines


class SettingsLoader(yaml.SafeLoader):
    """Load plain YAML: no objects, dates or keys given twice; 1e-3 is a number, None is null."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Make a mapping of a node; SettingError for a key given twice, whose last would win."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if (key.tag, key.value) in seen:
                    line = key.start_mark.line + 1
                    raise SettingError(f"line {line}: {key.value} is given twice")
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


SettingsLoader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
SettingsLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9_]+)[eE][-+]?[0-9]+$"),
    list("-+0123456789."),
)
SettingsLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"None$"), ["N"])


def parse(text: str) -> Any:
    """Read a value of the command line: plain YAML, else the text as it is.

    Text in quotes loses them; blank text stays as it is, and nothing at all is null. SettingError
    for a key that stands twice in a mapping.
    """
    if text and not text.strip():
        return text
    try:
        value = _loaded(text)
    except yaml.YAMLError:
        return text
    if isinstance(value, str) and text.strip()[:1] in ("'", '"'):
        return value
    return value if isinstance(value, (type(None), bool, int, float, list, dict)) else text


def read_file(path: str | Path) -> dict[str, Any]:
    """Read the settings of a YAML file; SettingError names the file and the wrong line."""
    try:
        loaded = _loaded(Path(path).read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise SettingError(f"no settings file at {path}") from None
    except SettingError as error:
        raise SettingError(f"{path}, {error}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        said = " ".join(str(error).split())
        raise SettingError(f"{path} is not plain YAML: {said}") from None
    if not isinstance(loaded, Mapping):
        raise SettingError(f"{path} must hold lines of 'setting: value'")
    for name in loaded:
        if not isinstance(name, str):
            raise SettingError(f"{path}: {name!r} is no name of a setting: write it in quotes")
    return dict(loaded)


def _loaded(text: str) -> Any:
    try:
        value = yaml.load(text, SettingsLoader)
    except SettingError:
        raise
    except RecursionError:
        raise yaml.YAMLError("it is nested too deep") from None
    except (ValueError, OverflowError) as error:  # such as 0b_, which YAML takes for a number
        raise yaml.YAMLError(str(error)) from None
    left, count = [value], 0
    while left:
        inner = left.pop()
        count += 1
        if count > MOST_VALUES:
            raise yaml.YAMLError(f"it has more than {MOST_VALUES:,} values, or holds itself")
        if isinstance(inner, Mapping):
            left += inner.values()
        elif isinstance(inner, (list, tuple)):
            left += inner
    return value
