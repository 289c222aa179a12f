"""``recbole-lpi report``: ship, hold or cannot tell, and everything that rests on, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say, say_written
from recbole_lpi.settings import SettingError, refused


def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs")],
    output: Annotated[Path, typer.Option(help="The HTML file to write")],
    against: Annotated[
        list[Path] | None,
        typer.Option(help="A run to compare with, in place of the logging policy; may be repeated"),
    ] = None,
    max_js: Annotated[
        str,
        typer.Option("--max_js", "--max-js", help="Budget of JS divergence from it, or none"),
    ] = "0.2",
    level: Annotated[float, typer.Option(help="Of bounds and tests")] = 0.95,
    topk: Annotated[int, typer.Option(help="Cut-off of ranking metrics")] = 20,
    data_path: Annotated[
        Path | None,
        typer.Option("--data_path", "--data-path", help="Where the data are, if they have moved"),
    ] = None,
) -> None:
    """Ship, hold or cannot tell: policies beside what runs now, as one HTML file.

    Runs of one policy with different seeds are one policy. The file asks no network for anything.
    """
    with one_line_errors():
        if output.suffix.lower() not in (".html", ".htm"):
            raise SettingError(f"--output must end in .html, got {output}")
        from recbole_lpi.experiments.decision.rules import Rules

        with refused("--max_js, --level or --topk"):
            rules = Rules(_budget(max_js), level, topk)
        from recbole_lpi.experiments.decision.content import gather
        from recbole_lpi.experiments.decision.page import write_page

        content = gather(runs, against or [], rules, output, data_path, say)
        write_page(content, output)
        for one in content.judged:
            say(f"{one.label}: {one.decision.word}. {one.decision.reason}")
        say_written(output)


def _budget(text: str) -> float | None:
    """Read ``0.2`` or ``none``; ValueError for anything else."""
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"max_js must be a number, or none, got {text}") from None
