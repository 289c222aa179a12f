"""A command that refuses an option given twice, where typer would take the last without a word."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand


class Once(TyperCommand):
    """Every option at most once, but those of which a list is made."""

    def make_parser(self, ctx: Any) -> Any:
        """The parser of the command line, which ends the program for an option given twice."""
        parser: Any = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_once(args: list[str]) -> Any:
            values, left, order = parse(args=args)
            for param in order:
                if not getattr(param, "multiple", False) and order.count(param) > 1:
                    ctx.fail(f"{max(param.opts, key=len)} is given twice")
            return values, left, order

        parser.parse_args = parse_once
        return parser
