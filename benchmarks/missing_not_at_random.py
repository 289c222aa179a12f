"""Imputed rewards where the truth is known, drawn: ``docs/figures/imputation.svg``.

    python benchmarks/missing_not_at_random.py --figure=docs/figures/imputation.svg

Every user has a rating of every item, and gives the higher ones more often. Four fixed policies
have a known reward on the full matrix; iAR@1 is to rank them so from what was given alone.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated

import matplotlib
import numpy as np
import torch
import typer
from matplotlib.figure import Figure

from recbole_lpi.evaluation.imputation import Imputation, ImputationSettings, ImputedRewards
from recbole_lpi.evaluation.imputation.fit_report import fit_report
from recbole_lpi.evaluation.imputation.rated_log import session_ratings
from recbole_lpi.experiments.figures import COLOURS, SETTINGS, write
from recbole_lpi.nn.factorization import sweeps
from recbole_lpi.simulation import RatingsWorld
from recbole_lpi.simulation.ratings_world import SCALE

WEIGHTED = ImputationSettings(rank=(4,), regularization=(0.02,), missing_weight=0.02, sweeps=20)
NAIVE = replace(WEIGHTED, missing_weight=0.0)  # but for r_m, which rows of few ratings shrink to


def fitted(world: RatingsWorld, settings: ImputationSettings) -> Imputation:
    """An imputation from the training users' given ratings, its report included."""
    items = world.ratings.shape[1]
    ratings = session_ratings(
        world.sessions, world.training, items + 1, settings.missing_rating, settings.dtype
    )
    start = 0.1 * torch.randn(
        items, settings.rank[0], generator=torch.Generator().manual_seed(settings.seed)
    )
    *_, (_, factors) = islice(sweeps(ratings, start, settings.weighting), settings.sweeps)
    imputation = Imputation(factors, settings, SCALE, {})
    observed = world.sessions.rewards[: int(world.training.stop[-1])]
    return replace(imputation, report=fit_report(imputation, ratings, observed))


def rewards_of_policies(
    world: RatingsWorld, imputation: Imputation
) -> dict[str, tuple[float, float]]:
    """True mean reward and iAR@1 of each policy."""
    imputed = ImputedRewards(imputation, world.sessions, world.part, world.ratings.shape[1] + 1)
    users = world.part.session
    return {
        name: (
            float(world.rewards[users, items[:, 0]].mean()),
            float(imputed(users, torch.from_numpy(items) + 1).mean()),
        )
        for name, items in world.policies.items()
    }


def draw(world: RatingsWorld, imputations: dict[str, Imputation]) -> Figure:
    """Left the distribution of rewards, right the policies' rewards against the truth."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(9, 4), layout="constrained", dpi=150)
        left, right = figure.subplots(1, 2)
        first = next(iter(imputations.values())).report
        edges = np.array(first["edges"])
        cut = world.training.session
        truth = np.histogram(world.rewards[cut], edges)[0] / world.rewards[cut].size
        bars = {"all, the truth": truth, "given": np.array(first["observed"])}
        bars |= {name: np.array(i.report["imputed"]) for name, i in imputations.items()}
        width = (edges[1] - edges[0]) / (len(bars) + 1)
        for number, (name, heights) in enumerate(bars.items()):
            left.bar(
                edges[:-1] + (number + 1) * width, heights, width, label=name,
                color=COLOURS[number],
            )  # fmt: skip
        left.set_xlabel("reward")
        left.set_ylabel("share of ratings")
        left.legend(frameon=False)
        for number, (name, imputation) in enumerate(imputations.items(), 2):
            points = rewards_of_policies(world, imputation)
            right.plot(*zip(*points.values(), strict=True), "o", color=COLOURS[number], label=name)
            if number == 2:
                for policy, (true, imputed) in points.items():
                    right.annotate(
                        policy, (true, imputed), (6, -11), textcoords="offset points",
                        ha="right" if true > 0.6 else "left",
                    )  # fmt: skip
        right.plot([0, 1], [0, 1], color="grey", linewidth=0.6)
        right.set_xlabel("true reward of the policy")
        right.set_ylabel("iAR@1")
        right.legend(frameon=False)
    return figure


def main(
    figure: Annotated[Path, typer.Option(help="Where to draw: .png, .svg or .pdf")] = Path(
        "docs/figures/imputation.svg"
    ),
) -> None:
    """Fit both imputations to the planted world, print what they say, and draw it."""
    world = RatingsWorld.drawn()
    ordinary = replace(NAIVE, missing_rating=round(world.mean_given, 1))
    imputations = {
        f"imputed, w_m = {s.missing_weight:g}, r_m = {s.missing_rating:g}": fitted(world, s)
        for s in (WEIGHTED, NAIVE, ordinary)
    }
    print(f"positive, the truth: {(world.rewards >= SCALE.positive).mean():.3f}")
    for name, imputation in imputations.items():
        report = imputation.report
        print(
            f"{name}: positive {report['imputed_positive']:.3f}, of those given "
            f"{report['observed_positive']:.3f}"
        )
        for policy, (true, imputed) in rewards_of_policies(world, imputation).items():
            print(f"  {policy}: true {true:.3f}, iAR@1 {imputed:.3f}")
    write(draw(world, imputations), figure)
    print(f"wrote {figure}")


if __name__ == "__main__":
    typer.run(main)
