"""``recbole-lpi deploy``: learn, deploy, log and learn again, in a world whose truth is known."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import print_or_write, say, say_written
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    from recbole_lpi.experiments.deployment import Round
    from recbole_lpi.experiments.deployment_plan import Contender, DeploymentSettings


def deploy(
    world: Annotated[Path, typer.Option(help="Folder that recbole-lpi simulate wrote")],
    plan: Annotated[str, typer.Option(help="Who learns: a YAML file, or ours")] = "policies",
    runs: Annotated[Path, typer.Option(help="Folder to keep results in")] = Path("runs/deploy"),
    seeds: Annotated[int, typer.Option(min=1, help="Of logs, networks and users")] = 3,
    sessions: Annotated[
        int | None, typer.Option(min=1, help="Logged by each policy; empty: as the plan says")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Deployments; empty: as the plan says")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Contenders, separated by commas")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch")] = None,
    output: Annotated[Path | None, typer.Option(help="Write the tables there: Markdown")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw values over rounds: a .png, .svg or .pdf")
    ] = None,
    train: Annotated[bool, typer.Option(help="Run what is missing before reporting")] = True,
) -> None:
    """Repeated deployment: a policy logs, another learns from its log, is deployed, and so on.

    Every policy on the way is rolled out before the same users. What has run is not run again.
    """
    with one_line_errors():
        import torch

        from recbole_lpi.experiments import deployment, deployment_plan, deployment_report, figures
        from recbole_lpi.experiments.plans import plan_file
        from recbole_lpi.simulation.rollout import value
        from recbole_lpi.simulation.saved_worlds import load_world

        if figure is not None:
            figures.check_suffix(figure)
        if threads is not None:
            torch.set_num_threads(threads)
        saved = load_world(world)
        contenders, settings = deployment_plan.read_contenders(plan_file(plan, "deployment"))
        given = {"sessions": sessions, "rounds": rounds}
        settings = replace(settings, **{k: v for k, v in given.items() if v is not None})
        contenders = _chosen(contenders, only)
        how_often = f"sessions={settings.sessions},rounds={settings.rounds}"
        folder = runs / saved.description.fingerprint / how_often
        if train:
            logging.getLogger().setLevel(logging.WARNING)  # a line a round is enough
            deployment.work(saved.world, contenders, settings, range(seeds), folder, say)
        results = _results(contenders, settings, seeds, folder)
        first = value(
            saved.world, saved.world.logging_policy, settings.rollouts, deployment.OTHER_USERS
        )
        print_or_write(deployment_report.markdown(results, first), output)
        if figure is not None:
            figures.write(deployment_report.over_rounds(results, first), figure)
        say_written(figure, output)


def _chosen(contenders: list[Contender], only: str | None) -> list[Contender]:
    if only is None:
        return contenders
    wanted = [name.strip() for name in only.split(",")]
    known = {contender.name: contender for contender in contenders}
    for name in wanted:
        if name not in known:
            raise SettingError(f"--only: there is no {name}; the plan has {', '.join(known)}")
    return [known[name] for name in wanted]


def _results(
    contenders: list[Contender], settings: DeploymentSettings, seeds: int, folder: Path
) -> dict[str, list[list[Round]]]:
    """Read what is kept of every contender; those of which nothing is are left out, and named."""
    from recbole_lpi.experiments import deployment

    found = {}
    for contender in contenders:
        paths = (deployment.result_path(folder, contender, seed) for seed in range(seeds))
        runs = [deployment.results_of(path, contender, settings) for path in paths]
        kept = [run for run in runs if run is not None]
        if len(kept) < seeds:
            say(f"{contender.name}: {len(kept)} of {seeds} seeds have run")
        if kept:
            found[contender.name] = kept
    if not found:
        raise SettingError(f"nothing has run in {folder}: leave out --no-train")
    return found
