"""A command that refuses an option given twice, where typer would take the last without a word."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer
from typer.core import TyperCommand


class Once(TyperCommand):
    """A command with every option at most once, but those of which a list is made."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse ``args``; an option that takes one value and is there twice ends the program."""
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for option, times in Counter(given).items():
            if times > 1 and not getattr(option, "multiple", False):
                name = max(option.opts, key=len)
                typer.echo(f"error: {name} is given twice: keep one", err=True)
                raise typer.Exit(2)
        return super().parse_args(ctx, args)
