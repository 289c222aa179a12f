"""``recbole-lpi tune``: a search for the best settings of one model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import prepare_torch, say, say_written
from recbole_lpi.plugin.names import models_in_words
from recbole_lpi.processes import refuse_several
from recbole_lpi.settings import SettingError


def tune(
    context: typer.Context,
    model: Annotated[str, typer.Option(help=models_in_words())],
    dataset: Annotated[str, typer.Option(help="A data set: its folder's name")],
    trials: Annotated[int, typer.Option(min=1, help="Of all workers together")] = 20,
    objective: Annotated[
        str | None, typer.Option(help="Metric of validation to improve, if not valid_metric")
    ] = None,
    front: Annotated[
        bool, typer.Option("--front", help="A second objective: little JS divergence")
    ] = False,
    max_js: Annotated[
        float | None,
        typer.Option("--max_js", "--max-js", min=0, help="Pick a trial no farther than this"),
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(help="A YAML file of what is tried, in place of the model's own"),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(help="URL of a database, or a journal file, that several workers share"),
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Name of the search; DATASET/MODEL, for a front -front")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder to keep the runs in")] = Path("runs/tune"),
    seed_of_search: Annotated[
        int, typer.Option("--seed_of_search", "--seed-of-search", min=0, help="Of what is tried")
    ] = 0,
    prune: Annotated[bool, typer.Option(help="Stop trials that are worse than the median")] = True,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the report; the folder of the search")
    ] = None,
    train: Annotated[bool, typer.Option(help="Make what is missing before reporting")] = True,
) -> None:
    """Search for the best settings of a model on validation, and say how to train it with them.

    Stopped, it goes on when started again; started several times, it shares the work. Settings of
    all trials can follow as --setting=value: what is given is not searched.
    """
    with one_line_errors():
        given = settings_of(context.args)
        refuse_several("tune")
        from recbole_lpi.experiments import tuning_report
        from recbole_lpi.experiments.search_space import read_space
        from recbole_lpi.experiments.trial_storage import optuna
        from recbole_lpi.experiments.tuning import Tuning
        from recbole_lpi.experiments.tuning_work import work as make_trials
        from recbole_lpi.plugin.runner import check_model

        check_model(model)
        optuna()
        searched, fixed = read_space(model, space, given)
        if fixed:
            say(f"given, and not searched: {', '.join(fixed)}")
        name = study or f"{dataset}/{model}{'-front' if front else ''}"
        search = Tuning(
            model, dataset, runs / name, name, given, searched, trials, front, objective, storage
        )
        if max_js is not None and not front:
            raise SettingError("--max_js picks from a front: give --front as well")
        if front and prune and train:
            say("with two objectives no trial is stopped early: Optuna prunes by one value alone")
        if train:
            prepare_torch(threads)
            make_trials(search, seed_of_search, prune)
        folder = output or search.root
        sys.stdout.write(tuning_report.write(search, folder, max_js))
        say_written(folder)
