"""``recbole-lpi figure``: the paper's figures, and more, each with its table as CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dataset_prep.once import Once
from recbole_lpi.cli.arguments import SETTINGS_FOLLOW, settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say, say_written, work_through, write
from recbole_lpi.processes import refuse_several
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from recbole_lpi.experiments.run_figures.named_policies import NamedPolicy
    from recbole_lpi.experiments.sweep import Sweep

figure = typer.Typer(
    no_args_is_help=True,
    help="The paper's figures, and more, each with its table as CSV. No run is made twice.",
)
Runs = Annotated[list[Path], typer.Argument(help="Folders of finished runs")]
Output = Annotated[Path, typer.Option(help="A .png, .svg or .pdf; the table is written beside it")]
Dataset = Annotated[str, typer.Option(help="A data set: its folder's name")]
Kept = Annotated[Path, typer.Option(help="Folder to keep the runs in")]
Seeds = Annotated[int, typer.Option(min=1, help="Of the best settings of each row")]
Threads = Annotated[int | None, typer.Option(min=1, help="Of torch")]
Train = Annotated[bool, typer.Option(help="Run what is missing before drawing")]
DataPath = Annotated[
    Path | None, typer.Option("--data-path", "--data_path", help="Where the data of the runs are")
]


@figure.command(context_settings=SETTINGS_FOLLOW, cls=Once)
def hyperparameters(
    context: typer.Context,
    dataset: Dataset,
    output: Output,
    plan: Annotated[str, typer.Option(help="A YAML file, or one of ours")] = "hyperparameters",
    runs: Kept = Path("runs/hyperparameters"),
    seeds: Seeds = 1,
    threads: Threads = None,
    train: Train = True,
) -> None:
    """Figure 2: validation nDCG and divergence of LPI-RL over β and over λ.

    Settings of all runs can follow as --setting=value.
    """
    with one_line_errors():
        from recbole_lpi.experiments.run_figures import hyperparameters as drawn

        work = _worked(plan, dataset, runs, context, seeds, "", output, threads, train)
        found = drawn.table(work)
        _write(found, drawn.draw(found, dataset, _noise_floor(work)), output)


@figure.command(context_settings=SETTINGS_FOLLOW, cls=Once)
def counts(
    context: typer.Context,
    output: Output,
    given: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUNS]...", help="Folders of finished runs, or none: --dataset"),
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, help="Cut-off of nDCG")] = 20,
    bounds: Annotated[
        str, typer.Option(help="Largest count of each bucket but the last")
    ] = "5,10,20",
    dataset: Annotated[
        str, typer.Option(help="In the place of runs: train rows of a plan on this data set")
    ] = "",
    plan: Annotated[str, typer.Option(help="A YAML file, or one of ours")] = "policies",
    only: Annotated[
        str, typer.Option(help="Rows of the plan, separated by commas")
    ] = "LoggingPolicy,SQN,SAC,LPIRL",
    runs: Kept = Path("runs/sweep"),
    seeds: Seeds = 3,
    threads: Threads = None,
    train: Train = True,
) -> None:
    """Figures 3 and 4: nDCG by the number of clicks and of purchases in a session, with tests."""
    with one_line_errors():
        from recbole_lpi.cli.compare_command import cut_offs
        from recbole_lpi.experiments.run_figures import counts as drawn

        settings = [word for word in given or [] if word.startswith("--")]
        folders = [Path(word) for word in given or [] if word not in settings]
        context.args += settings
        if bool(folders) == bool(dataset):
            raise SettingError("give folders of runs, or --dataset to train them: one of the two")
        if dataset:
            work = _worked(plan, dataset, runs, context, seeds, only, output, threads, train)
            folders = [run.path for row in work.rows for run in work.runs(row)]
        elif context.args:
            raise SettingError(f"{context.args[0]}: settings are for runs that --dataset trains")
        policies, name = _policies(folders, output)
        found = drawn.table(policies, k, cut_offs(bounds.split(",")))
        _write(found, drawn.draw(found, k, name), output)


@figure.command(cls=Once)
def learning(runs: Runs, output: Output) -> None:
    """Learning curves: every part of the loss, and the criterion of validation, by epoch."""
    with one_line_errors():
        from recbole_lpi.experiments.run_figures import learning as drawn

        policies, name = _policies(runs, output)
        found = drawn.table(policies)
        _write(found, drawn.draw(policies, found, name), output)


@figure.command(cls=Once)
def divergence(runs: Runs, output: Output) -> None:
    """How far policies are from the logging policy, by length of the session and of the history."""
    with one_line_errors():
        from recbole_lpi.experiments.run_figures import divergence as drawn

        policies, name = _policies(runs, output)
        found = drawn.table(policies)
        _write(found, drawn.draw(found, name), output)


@figure.command(cls=Once)
def weights(runs: Runs, output: Output, data_path: DataPath = None) -> None:
    """How unequal the weights are that a policy gives to events, measured on the test part."""
    with one_line_errors():
        from recbole_lpi.experiments.run_figures import weights as drawn

        events, name = _held_out(runs, output, data_path)
        found = drawn.table(events)
        _write(found, drawn.draw(found, name), output)


@figure.command(cls=Once)
def calibration(runs: Runs, output: Output, data_path: DataPath = None) -> None:
    """Whether the values that a policy has learnt are those of the log: Q against returns."""
    with one_line_errors():
        from recbole_lpi.experiments.run_figures import calibration as drawn

        events, name = _held_out(runs, output, data_path)
        found = drawn.table(events)
        _write(found, drawn.draw(found, name), output)


def _worked(
    plan: str, dataset: str, runs: Path, context: typer.Context, seeds: int, only: str,
    output: Path, threads: int | None, train: bool,
) -> Sweep:  # fmt: skip
    """Return the sweep of a plan, with what was missing made."""
    given = settings_of(context.args)
    refuse_several("figure")
    from recbole_lpi.experiments.figure_style import check_suffix
    from recbole_lpi.experiments.plans import read_plan
    from recbole_lpi.experiments.sweep import Sweep

    check_suffix(output, "--output")
    chosen = [row for row in only.split(",") if row]
    work = Sweep(read_plan(plan), dataset, runs / dataset, given, seeds, chosen)
    if train:
        work_through(work, threads)
    return work


def _noise_floor(work: Sweep) -> float | None:
    """How far two seeds of the logging policy are apart; None where no run says it."""
    from recbole_lpi.experiments.measured_runs import noise_floor
    from recbole_lpi.experiments.runs import load

    finished = [load(run.path) for row in work.rows for run in work.runs(row)]
    floor = noise_floor(finished).get("js_divergence")
    return None if floor is None else floor.mean


def _policies(runs: list[Path], output: Path) -> tuple[list[NamedPolicy], str]:
    """Return the policies of runs, and the name of their data set."""
    from recbole_lpi.experiments.figure_style import check_suffix
    from recbole_lpi.experiments.run_figures.named_policies import named_policies

    check_suffix(output, "--output")
    policies = named_policies(runs)
    return policies, str(policies[0].runs[0].config["dataset"])


def _held_out(runs: list[Path], output: Path, data_path: Path | None) -> tuple[pl.DataFrame, str]:
    """Return what policies make of test events, and the name of the data set.

    Which policies cannot be asked is said.
    """
    from recbole_lpi.experiments.run_figures.held_out import columns

    policies, name = _policies(runs, output)
    given = {} if data_path is None else {"data_path": str(data_path)}
    found, without = columns(policies, **given)
    if without:
        say(f"left out: {', '.join(without)} (no network of ours)")
    return found, name


def _write(found: pl.DataFrame, drawn: Figure, output: Path) -> None:
    """Write a figure, and its table beside it."""
    import polars as pl

    from recbole_lpi import text
    from recbole_lpi.experiments import figure_style

    table = output.with_suffix(".csv")
    escaped = found.with_columns(pl.col(pl.String).map_elements(text.csv_cell, pl.String))
    write(escaped.write_csv(), table)
    figure_style.write(drawn, output)
    say_written(output, table)
