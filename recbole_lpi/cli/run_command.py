"""``recbole-lpi run``: train one model, measure it and keep it."""

from __future__ import annotations

from typing import Annotated

import typer

from recbole_lpi.cli.arguments import files_of, settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.plugin.names import models_in_words


def run(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help=models_in_words())] = None,
    dataset: Annotated[str | None, typer.Option(help="A data set: its folder's name")] = None,
    config_files: Annotated[
        list[str] | None,
        typer.Option("--config_files", "--config-files", help='YAML files: "a.yaml b.yaml"'),
    ] = None,
    run_dir: Annotated[
        str | None, typer.Option("--run_dir", "--run-dir", help="Folder to keep the run in")
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Folder of a run that broke off: go on with it")
    ] = None,
) -> None:
    """Train a policy, a baseline or a sequential model of RecBole, measure it, and keep it.

    Any setting can follow as --setting=value. --overwrite replaces the run that is in --run_dir,
    --download fetches RecBole's published files of a data set that is not there.
    """
    named = {"run_dir": run_dir, "resume": resume}
    with one_line_errors():
        given = settings_of(context.args)
        given |= {key: value for key, value in named.items() if value is not None}
        # RecBole takes seconds to import: not before the command line is known to be sound.
        from recbole_lpi.cli.run_report import show
        from recbole_lpi.plugin.runner import run as run_policy
        from recbole_lpi.training import distributed
        from recbole_lpi.training.memory import keep_freed_memory

        keep_freed_memory()
        files = [file for text in config_files or () for file in files_of(text)]
        finished = run_policy(model, dataset, files, given)
        if distributed.ranks().first:
            show(finished)
        distributed.leave()
