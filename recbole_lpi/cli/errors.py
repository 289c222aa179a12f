"""Errors of the user's, told in a line that ends the program."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from recbole_lpi.processes import LostProcess, first_here
from recbole_lpi.settings import SettingError
from recbole_lpi.text import visible


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Tell a mistake of the user's in plain words, and end the program with status 2.

    Of several processes all make it, and the first of each machine tells; what none of them is to
    blame for ends it with status 1.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "recbole":
            raise
        _say("error: RecBole is not installed: pip install --no-deps recbole==1.2.1")
        raise typer.Exit(2) from None
    except (SettingError, FloatingPointError, LostProcess, OSError) as error:
        say = f"error: {error}"
        if isinstance(error, OSError):
            say += ": check the path, the disk's free space and the permissions"
        _say(say)
        raise typer.Exit(1 if isinstance(error, LostProcess) else 2) from None
    except KeyboardInterrupt:
        _say(
            "interrupted: a run goes on with --resume=<the run folder it named first>, a sweep "
            "when started again"
        )
        raise typer.Exit(130) from None


def _say(line: str) -> None:
    if first_here():
        typer.echo(visible(line), err=True)
