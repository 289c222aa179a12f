"""``recbole-lpi simulate``: a log of a world whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    from recbole_lpi.simulation.rollout import Rollout
    from recbole_lpi.simulation.sardine_world import SardineSettings
    from recbole_lpi.simulation.saved_worlds import SavedWorld
    from recbole_lpi.simulation.shop_settings import ShopSettings

MOST = 2**62  # of a seed


def simulate(
    context: typer.Context,
    output: Annotated[Path, typer.Option(help="Folder to write; its name is the data set's")],
    world: Annotated[Literal["shop", "sardine"], typer.Option(help="Kind of world")] = "shop",
    sessions: Annotated[int, typer.Option(min=1, help="How many to draw")] = 200_000,
    exposures: Annotated[
        Literal["all", "engaged"] | None,
        typer.Option(help="Of a shop: log all that was shown, or clicks and purchases alone"),
    ] = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Fit a shop to the clicks and purchases of this .inter file"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST, help="Of the world")] = 0,
    log_seed: Annotated[
        int | None,
        typer.Option(
            "--log-seed", "--log_seed", min=0, max=MOST, help="Of the log; empty: as --seed"
        ),
    ] = None,
) -> None:
    """Log what a known logging policy shows in a simulated world, as a data set of RecBole's.

    Any setting of the world can follow as --setting=value (docs/simulated-worlds.md). The folder is
    the data set and, by its world.yaml, the world, for recbole-lpi rollout.
    """
    with one_line_errors():
        given = settings_of(context.args)
        from recbole_lpi.settings import coerce
        from recbole_lpi.simulation import saved_worlds
        from recbole_lpi.training.memory import keep_freed_memory

        keep_freed_memory()
        saved_worlds.check_free(output)
        if exposures is not None:
            given["exposures"] = exposures
        settings = coerce(world, given, saved_worlds.SETTINGS[world])
        if like is not None:
            settings = _fitted(settings, like, seed)
        own_seed = seed if log_seed is None else log_seed
        description = saved_worlds.WorldDescription(
            world, seed, sessions=sessions, log_seed=own_seed, settings=settings
        )
        saved = saved_worlds.make_world(description, output)
        log = _logged(saved)
        if not len(log.sessions):
            raise SettingError(f"nothing is logged of {sessions} sessions: raise --sessions")
        saved_worlds.save_world(saved, log)
        say(_account(saved, log))


def _fitted(settings: ShopSettings | SardineSettings, like: Path, seed: int) -> ShopSettings:
    """Fit a shop to a log, and say how near it comes."""
    from recbole_lpi.simulation import shop_fitting
    from recbole_lpi.simulation.shop_settings import ShopSettings

    if not isinstance(settings, ShopSettings):
        raise SettingError("--like is for --world=shop: other worlds are as they are")
    sought = shop_fitting.shape_of(shop_fitting.read_log(like))
    say(f"fitting a shop to {like}, which takes a minute or so")
    found = shop_fitting.fitted_shop(sought, settings, seed)
    reached = vars(shop_fitting.shape_of_shop(found, seed))
    for name, value in vars(sought).items():
        say(f"{name}: {value:.4g} in the log, {reached[name]:.4g} in the shop")
    return found


def _logged(saved: SavedWorld) -> Rollout:
    """Draw the log, with a bar that shows how far it is."""
    from recbole_lpi.cli.output import progress_bar
    from recbole_lpi.simulation.rollout import blocks, joined

    how, world = saved.description, saved.world
    with progress_bar(how.sessions, "sessions") as advance:
        shown = []
        for block in blocks(world, world.logging_policy, how.sessions, how.log_seed):
            shown.append(block)
            advance(len(block.rewards))
    return joined(world, shown)


def _account(saved: SavedWorld, log: Rollout) -> str:
    """Say in a few words what was logged."""
    import numpy as np

    events, names = log.sessions.events, log.sessions.event_names
    counts = np.bincount(events, minlength=len(names))
    kinds = ", ".join(f"{count:,} {name}" for name, count in zip(names, counts, strict=True))
    return (
        f"wrote {saved.folder}: {len(log.sessions):,} sessions, {len(events):,} events ({kinds}), "
        f"of {saved.world.n_items:,} items; a session's rewards are {log.rewards.mean():.4f} on "
        "average"
    )
