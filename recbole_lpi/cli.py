"""The command line: ``recbole-lpi run`` and ``recbole-lpi prepare``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console

from recbole_lpi.host.values import parse
from recbole_lpi.settings import SettingError

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
prepare = typer.Typer(no_args_is_help=True, help="Convert a raw log to RecBole's atomic files.")
app.add_typer(prepare, name="prepare")

SWITCHES = ("overwrite", "download")
EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.callback()
def describe() -> None:
    """Local policy improvement for recommender systems, as a RecBole plug-in."""


@app.command(context_settings=EXTRA)
def run(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="A policy: LPIRL, LoggingPolicy; or a rival")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="A data set: its folder's name")] = None,
    config_files: Annotated[
        str, typer.Option("--config_files", "--config-files", help='YAML files: "a.yaml b.yaml"')
    ] = "",
    run_dir: Annotated[
        str | None, typer.Option("--run_dir", "--run-dir", help="Folder to keep the run in")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Folder of a run that broke off: go on with it")
    ] = None,
) -> None:
    """Train a policy, a floor or a sequential model of RecBole, measure it, and keep it.

    Any setting can follow as --setting=value. --overwrite replaces the run that is in --run_dir,
    --download fetches RecBole's published files of a data set that is not there.
    """
    named = {"run_dir": run_dir, "resume": resume}
    with one_line_errors():
        given = settings_of(context.args)
        given |= {key: value for key, value in named.items() if value is not None}
        # RecBole takes seconds to import: not before the command line is known to be sound.
        from recbole_lpi.host.memory import keep_freed_memory
        from recbole_lpi.host.report import show
        from recbole_lpi.host.runner import run as run_policy

        keep_freed_memory()
        show(run_policy(model, dataset, config_files.split(), given))


def settings_of(arguments: Sequence[str]) -> dict[str, Any]:
    """``--setting=value`` arguments as a dictionary; SettingError for anything else.

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
        given[name] = parse(value)
    return given


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A mistake of the user's is told in plain words, and ends the program with status 2."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "recbole":
            raise
        say = "error: RecBole is not installed: pip install --no-deps recbole==1.2.1"
        Console(stderr=True, highlight=False).print(say, markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except (SettingError, FloatingPointError) as error:
        Console(stderr=True, highlight=False).print(f"error: {error}", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: go on with --resume=<the run folder>")
        raise typer.Exit(130) from None


def _mount_converters() -> None:
    from dataset_prep import csv, retailrocket, yoochoose

    for name, converter in {
        "retailrocket": retailrocket,
        "yoochoose": yoochoose,
        "csv": csv,
    }.items():
        prepare.command(name)(converter.main)


_mount_converters()


def program() -> None:
    """``recbole-lpi``."""
    app(prog_name="recbole-lpi")


def run_program() -> None:
    """``run_recbole_lpi.py``: the command ``run`` without its name."""
    app(["run", *sys.argv[1:]], prog_name="run_recbole_lpi.py")
