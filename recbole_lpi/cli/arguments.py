"""Read what a command line says beyond a command's options: settings, and files of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_lpi.settings import SettingError
from recbole_lpi.yaml_values import parse

SWITCHES = ("overwrite", "download")
SETTINGS_FOLLOW = {"allow_extra_args": True, "ignore_unknown_options": True}  # of a typer command


def files_of(text: str) -> list[str]:
    """Split what ``--config_files`` says at spaces, unless it is one file with spaces in it."""
    return [text] if Path(text).is_file() else text.split()


def settings_of(arguments: Sequence[str]) -> dict[str, Any]:
    """Read ``--setting=value`` arguments into a dictionary; SettingError for anything else.

    A switch may stand alone: ``--overwrite`` is ``--overwrite=true``.
    """
    given: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.removeprefix("--").partition("=")
        if not equals and name in SWITCHES:
            equals, value = "=", "true"
        if not argument.startswith("--") or not equals or not name:
            raise SettingError(f"'{argument}' is not --setting=value")
        if name in given:
            raise SettingError(f"--{name} is given twice")
        try:
            given[name] = parse(value)
        except SettingError as error:
            raise SettingError(f"--{name}, {error}") from None
    return given
