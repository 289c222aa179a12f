"""The command line: ``recbole-lpi run``, ``compare``, ``sweep``, ``table1`` and ``prepare``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from dataset_prep.once import Once
from recbole_lpi.plugin.names import models_in_words
from recbole_lpi.processes import LostProcess, first_here, refuse_several
from recbole_lpi.settings import SettingError
from recbole_lpi.text import visible
from recbole_lpi.yaml_values import parse


class Converters(TyperGroup):
    """The converters, each imported when it is asked for."""

    NAMES = ("retailrocket", "yoochoose", "netflix", "movielens", "csv")

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        return list(self.NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The one of that name, or None."""
        if cmd_name not in self.NAMES:
            return None
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        converter = importlib.import_module(f"dataset_prep.{cmd_name}")
        alone.command(cmd_name, cls=Once)(converter.main)
        return typer.main.get_command(alone)


app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)
prepare = typer.Typer(
    cls=Converters, no_args_is_help=True, help="Convert a raw log to RecBole's atomic files."
)
app.add_typer(prepare, name="prepare")

SWITCHES = ("overwrite", "download")
EXTRA = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.callback()
def describe() -> None:
    """Local policy improvement for recommender systems, as a RecBole plug-in."""


@app.command(context_settings=EXTRA, cls=Once)
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
    """Train a policy, a floor or a sequential model of RecBole, measure it, and keep it.

    Any setting can follow as --setting=value. --overwrite replaces the run that is in --run_dir,
    --download fetches RecBole's published files of a data set that is not there.
    """
    named = {"run_dir": run_dir, "resume": resume}
    with one_line_errors():
        given = settings_of(context.args)
        given |= {key: value for key, value in named.items() if value is not None}
        # RecBole takes seconds to import: not before the command line is known to be sound.
        from recbole_lpi.experiments.run_report import show
        from recbole_lpi.plugin.runner import run as run_policy
        from recbole_lpi.training import distributed
        from recbole_lpi.training.memory import keep_freed_memory

        keep_freed_memory()
        files = [file for text in config_files or () for file in files_of(text)]
        finished = run_policy(model, dataset, files, given)
        if distributed.ranks().first:
            show(finished)
        distributed.leave()


@app.command(cls=Once)
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs")],
    format_: Annotated[
        Literal["rich", "markdown", "latex", "csv"], typer.Option("--format", help="Of the table")
    ] = "rich",
    metrics: Annotated[
        str, typer.Option(help="Names as in the setting metrics; one with a cut-off stands alone")
    ] = "purchase_hit,purchase_ndcg,click_hit,click_ndcg,js_divergence",
    topk: Annotated[str, typer.Option(help="Cut-offs; the figure takes the last")] = "5,10,20",
    figure: Annotated[
        Path | None, typer.Option(help="Draw purchases against clicks: a .png, .svg or .pdf")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the table there")] = None,
    against: Annotated[
        str | None, typer.Option(help="A policy to test against every other, by its name")
    ] = None,
) -> None:
    """Finished runs in one table, purchases beside clicks, seeds of one policy pooled."""
    with one_line_errors():
        from recbole_lpi.experiments.command import compare_runs

        words = metrics.split(","), topk.split(",")
        compare_runs(runs, format_, *words, figure, output, against)


@app.command(context_settings=EXTRA, cls=Once)
def sweep(
    context: typer.Context,
    plan: Annotated[str, typer.Argument(help="A YAML file, or one of ours: policies")],
    dataset: Annotated[str, typer.Option(help="A data set: its folder's name")],
    runs: Annotated[Path, typer.Option(help="Folder to keep the runs in")] = Path("runs/sweep"),
    seeds: Annotated[int, typer.Option(min=1, help="Of the best settings of each row")] = 3,
    only: Annotated[str, typer.Option(help="Rows of the plan, separated by commas")] = "",
    against: Annotated[
        str | None,
        typer.Option(help="Row to test every other against: LPIRL, or else the plan's reference"),
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the report there: Markdown")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw purchases against clicks: a .png, .svg or .pdf")
    ] = None,
    train: Annotated[bool, typer.Option(help="Run what is missing before reporting")] = True,
) -> None:
    """Tune every row of a plan on validation, train more seeds of the best, report.

    What has run is not run again: stopped, it goes on; started twice, it shares the work. Settings
    of all runs can follow as --setting=value; what a row of the plan says of itself stays.
    """
    with one_line_errors():
        given = settings_of(context.args)
        refuse_several("sweep")
        from recbole_lpi.experiments import command

        command.sweep(
            plan, dataset, runs, seeds, [row for row in only.split(",") if row], given,
            against, threads, output, figure, train,
        )  # fmt: skip


@app.command(context_settings=EXTRA, cls=Once)
def table1(
    context: typer.Context,
    dataset: Annotated[str, typer.Option(help="A data set with ratings: its folder's name")],
    output: Annotated[Path, typer.Option(help="Folder for the table and its figures")],
    runs: Annotated[Path, typer.Option(help="Folder to keep the runs in")] = Path("runs/table1"),
    seeds: Annotated[int, typer.Option(min=1, help="Of each row")] = 3,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch")] = None,
    train: Annotated[bool, typer.Option(help="Run what is missing before reporting")] = True,
) -> None:
    """The paper's Table 1: LPI-CB over β, by logged and imputed reward and by divergence.

    Writes table1.md, table1.csv, the curve over β and the imputation's distribution. What has run
    is not run again. Settings of all runs can follow as --setting=value.
    """
    with one_line_errors():
        given = settings_of(context.args)
        refuse_several("table1")
        from recbole_lpi.experiments import command

        command.table1(dataset, output, runs, seeds, given, threads, train)


def files_of(text: str) -> list[str]:
    """The files that ``--config_files`` names, separated by spaces; or one that has some in it."""
    return [text] if Path(text).is_file() else text.split()


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
        try:
            given[name] = parse(value)
        except SettingError as error:
            raise SettingError(f"--{name}, {error}") from None
    return given


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A mistake of the user's is told in plain words, and ends the program with status 2.

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
