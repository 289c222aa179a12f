"""``recbole-lpi prepare``: the converters of raw logs."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from dataset_prep.once import Once


class Converters(TyperGroup):
    """The group of converters, each imported when it is asked for."""

    NAMES = ("retailrocket", "yoochoose", "netflix", "movielens", "open_bandit", "csv")

    def list_commands(self, ctx: Any) -> list[str]:
        """List the names of the converters."""
        return list(self.NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the converter of that name; None if there is none."""
        if cmd_name not in self.NAMES:
            return None
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        converter = importlib.import_module(f"dataset_prep.{cmd_name}")
        alone.command(cmd_name, cls=Once)(converter.main)
        return typer.main.get_command(alone)


prepare = typer.Typer(
    cls=Converters, no_args_is_help=True, help="Convert a raw log to RecBole's atomic files."
)
