"""``recbole-lpi rollout``: what policies are worth in the world that their log is of."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say, say_written
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    from recbole_lpi.simulation.comparison import WorldComparison
    from recbole_lpi.simulation.saved_policies import TranslatedPolicy
    from recbole_lpi.simulation.saved_worlds import SavedWorld

OTHER_USERS = 2**63  # added to the seed, so that nobody is met who may be in a log


def rollout(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs, or checkpoints")],
    world: Annotated[Path, typer.Option(help="Folder that recbole-lpi simulate wrote")],
    sessions: Annotated[
        int, typer.Option(min=2, help="How many, of each policy and of μ")
    ] = 50_000,
    seed: Annotated[int, typer.Option(min=0, max=2**62, help="Of the users and their luck")] = 0,
    output: Annotated[Path | None, typer.Option(help="Write the figures there, as JSON")] = None,
) -> None:
    """What policies are worth in a simulated world, beside the logging policy of its log.

    All are shown to the same users, who are none of the log's, with the same luck. Prints J(π), the
    mean reward of a session, J(μ) of the logging policy, and J(π) − J(μ), with standard errors.
    """
    with one_line_errors():
        from recbole_lpi.cli.output import progress_bar
        from recbole_lpi.simulation.comparison import compare_policies
        from recbole_lpi.simulation.saved_policies import saved_policy
        from recbole_lpi.simulation.saved_worlds import load_world
        from recbole_lpi.training.memory import keep_freed_memory

        keep_freed_memory()
        saved = load_world(world)
        twice = {str(run) for run in runs if runs.count(run) > 1}
        if twice:
            raise SettingError(f"{min(twice)} is given twice: keep one")
        policies = {str(run): saved_policy(run, saved) for run in runs}
        _say_who_opens(policies)
        with progress_bar(sessions * (1 + len(runs)), "sessions") as advance:
            found = compare_policies(
                saved.world, policies, sessions, OTHER_USERS + seed, progress=advance
            )
        _show(found)
        if output is not None:
            from recbole_lpi.files import write_json

            write_json(output, as_values(found, saved, seed))
        say_written(output)


def _say_who_opens(policies: dict[str, TranslatedPolicy]) -> None:
    for name, policy in policies.items():
        if not policy.opens:
            say(
                f"{name} reads no start token (evaluate_first_event: False): the logging policy "
                "shows for it while a session's history is empty"
            )


def _show(found: WorldComparison) -> None:
    """Print the table."""
    from rich.console import Console
    from rich.table import Table

    from recbole_lpi.text import one_line

    table = Table(box=None)
    table.add_column("policy", overflow="fold")  # a path may be long, and no figure is to be cut
    for name in ("reward of a session", "less that of μ", "of μ's", "events"):
        table.add_column(name, justify="right", no_wrap=True)
    mu = found.logging
    table.add_row("μ", f"{mu.mean:.4f} ± {mu.stderr:.4f}", "", "1", f"{found.logging_events:.2f}")
    for name, policy in found.policies.items():
        value, gain = policy.value, policy.difference
        table.add_row(
            one_line(name),
            f"{value.mean:.4f} ± {value.stderr:.4f}",
            f"{gain.mean:+.4f} ± {gain.stderr:.4f}",
            f"{value.mean / mu.mean:.3f}" if mu.mean else "",
            f"{policy.events:.2f}",
        )
    Console(markup=False).print(table)


def as_values(found: WorldComparison, saved: SavedWorld, seed: int) -> dict[str, Any]:
    """Return the figures as plain values, for JSON."""
    return {
        "world": str(saved.folder),
        "fingerprint": saved.description.fingerprint,
        "seed": seed,
        "sessions": found.logging.count,
        "logging_policy": {**asdict(found.logging), "events": found.logging_events},
        "policies": {
            name: {
                **asdict(policy.value),
                "difference": asdict(policy.difference),
                "events": policy.events,
            }
            for name, policy in found.policies.items()
        },
    }
