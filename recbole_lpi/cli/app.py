"""The command line: one command a file, from ``recbole-lpi run`` to ``recbole-lpi prepare``."""

from __future__ import annotations

import typer

from dataset_prep.once import Once
from recbole_lpi.cli.arguments import SETTINGS_FOLLOW
from recbole_lpi.cli.compare_command import compare
from recbole_lpi.cli.deploy_command import deploy
from recbole_lpi.cli.estimate_command import estimate
from recbole_lpi.cli.export_command import export
from recbole_lpi.cli.figure_command import figure
from recbole_lpi.cli.prepare_command import prepare
from recbole_lpi.cli.recommend_command import recommend
from recbole_lpi.cli.report_command import report
from recbole_lpi.cli.rollout_command import rollout
from recbole_lpi.cli.run_command import run
from recbole_lpi.cli.simulate_command import simulate
from recbole_lpi.cli.sweep_command import sweep
from recbole_lpi.cli.table1_command import table1
from recbole_lpi.cli.truth_command import truth
from recbole_lpi.cli.tune_command import tune

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)


@app.callback()
def describe() -> None:
    """Local policy improvement for recommender systems, as a RecBole plug-in."""


app.command(context_settings=SETTINGS_FOLLOW, cls=Once)(run)
app.command(cls=Once)(compare)
app.command(context_settings=SETTINGS_FOLLOW, cls=Once)(estimate)
app.command(cls=Once)(report)
app.command(context_settings=SETTINGS_FOLLOW, cls=Once)(sweep)
app.command(context_settings=SETTINGS_FOLLOW, cls=Once)(tune)
app.command(context_settings=SETTINGS_FOLLOW, cls=Once)(table1)
app.command(context_settings=SETTINGS_FOLLOW, cls=Once)(simulate)
app.command(cls=Once)(rollout)
app.command(cls=Once)(deploy)
app.command(context_settings=SETTINGS_FOLLOW, cls=Once)(truth)
app.command(cls=Once)(recommend)
app.command(cls=Once)(export)
app.add_typer(figure, name="figure")
app.add_typer(prepare, name="prepare")
