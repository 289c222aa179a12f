"""How often intervals hold the truth, by what the verdict says of them.

    OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py

Contextual bandits with known values: 40 contexts, 20 items, sessions of a few events. The policy
that is estimated is more or less far from the one that logged, from next to it to where hardly any
of its items are in the log; rewards are frequent or rare. Of each, 500 logs are drawn. What was
estimated and what it really is are compared.

Prints a table: for every estimator and verdict, how many estimates there are of all, how often the
95 % interval of Student's t and that of the bootstrap hold the truth, and how often the lower bound
is below it; then the cells of distance and rewards in which usable intervals hold least and most.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

import numpy as np
import polars as pl
import typer
from tqdm import tqdm

from recbole_lpi.evaluation.off_policy import EstimationSettings, LoggedEvents, report
from recbole_lpi.evaluation.off_policy.event_estimators import EVENT_ESTIMATORS

CONTEXTS, ITEMS = 40, 20
DISTANCES = (0.3, 1.0, 2.0, 4.0)  # of the policy from μ
RARITY = (2.0, 4.0)  # log odds against a reward


class Bandit(NamedTuple):
    """Policies [K, A], mean rewards [K, A] and a model of them that is a little off."""

    mu: np.ndarray
    pi: np.ndarray
    reward: np.ndarray
    model: np.ndarray

    @property
    def values(self) -> tuple[float, float]:
        """What π and μ are worth."""
        pi, mu = ((p * self.reward).sum(1).mean() for p in (self.pi, self.mu))
        return float(pi), float(mu)


def bandit(distance: float, rarity: float, seed: int) -> Bandit:
    """Draw a bandit; π moves towards its better items by ``distance``."""
    draws = np.random.default_rng(seed)
    worth, habit = draws.normal(size=(2, CONTEXTS, ITEMS))
    reward = 1 / (1 + np.exp(rarity - worth))
    model = np.clip(reward * (1 + 0.3 * draws.normal(size=reward.shape)), 0, 1)
    return Bandit(_softmax(habit), _softmax(habit + distance * worth), reward, model)


def _softmax(logits: np.ndarray) -> np.ndarray:
    weight = np.exp(logits)
    return np.asarray(weight / weight.sum(-1, keepdims=True))


def log_of(world: Bandit, sessions: int, events: int, seed: int) -> LoggedEvents:
    """Draw a log of μ."""
    draws, number = np.random.default_rng(seed), sessions * events
    x = draws.integers(0, CONTEXTS, number)
    below = draws.random(number)[:, None] > world.mu[x].cumsum(1)
    a = below.sum(1).clip(max=ITEMS - 1)
    return LoggedEvents(
        reward=(draws.random(number) < world.reward[x, a]).astype(float),
        log_pi=np.log(world.pi[x, a]), log_mu=np.log(world.mu[x, a]),
        session=np.repeat(np.arange(sessions), events),
        position=np.tile(np.arange(events), sessions),
        q=world.model[x, a], v_pi=(world.pi * world.model).sum(1)[x],
        v_mu=(world.mu * world.model).sum(1)[x],
    )  # fmt: skip


def outcomes(
    world: Bandit, sessions: int, events: int, logs: int, seed: int, resamples: int
) -> Iterator[dict[str, object]]:
    """Estimate from many logs: of each estimate its verdict, and whether it holds the truth."""
    value, live = world.values
    how = EstimationSettings(resamples=resamples)
    for number in range(logs):
        log = log_of(world, sessions, events, seed + number)
        for name, found in report("π", log, how, tuple(EVENT_ESTIMATORS)).estimates.items():
            truth = value - live if found.improvement else value
            yield {
                "estimator": name,
                "verdict": found.verdict.word,
                "t": found.interval.low <= truth <= found.interval.high,
                "bootstrap": found.bootstrap.low <= truth <= found.bootstrap.high,
                "lower": found.interval.lower_bound <= truth,
                "safe": found.safe_bound is None or found.safe_bound <= truth,
            }


def coverage(
    logs: int, sessions: int = 2000, events: int = 2, seed: int = 1, resamples: int = 200
) -> pl.DataFrame:
    """Return a row for each estimate of every log of every bandit."""
    frames = []
    for rarity in RARITY:
        for distance in tqdm(DISTANCES, disable=None):
            world = bandit(distance, rarity, seed)
            rows = list(outcomes(world, sessions, events, logs, 1000 * seed, resamples))
            frames.append(
                pl.DataFrame(rows).with_columns(distance=pl.lit(distance), rarity=pl.lit(rarity))
            )
    return pl.concat(frames)


HELD = [pl.col(name).mean() for name in ("t", "bootstrap", "lower", "safe")]


def main(
    logs: Annotated[int, typer.Option(help="Of each bandit.")] = 500,
    sessions: Annotated[int, typer.Option(help="Of each log.")] = 2000,
    seed: Annotated[int, typer.Option(help="Of bandits and logs.")] = 1,
) -> None:
    """Draw logs, estimate, print tables in Markdown."""
    found = coverage(logs, sessions, seed=seed)
    total = found.group_by("estimator").len("all")
    table = found.group_by("estimator", "verdict").agg(pl.len(), *HELD).join(total, on="estimator")
    print("| estimator | verdict | share | t holds | bootstrap holds | lower bound holds | safe |")
    print("| - | - | -: | -: | -: | -: | -: |")
    for row in table.sort("estimator", "verdict").iter_rows(named=True):
        cells = " | ".join(f"{row[name]:.3f}" for name in ("t", "bootstrap", "lower", "safe"))
        print(
            f"| {row['estimator']} | {row['verdict']} | {row['len'] / row['all']:.2f} | {cells} |"
        )
    usable = found.filter(pl.col("verdict") == "usable")
    cells = usable.group_by("distance", "rarity").agg(pl.len(), *HELD).sort("t")
    print()
    for row in (cells.row(0, named=True), cells.row(-1, named=True)):
        print(
            f"usable, distance {row['distance']}, rarity {row['rarity']}: {row['len']} estimates, "
            f"t holds {row['t']:.3f}, lower bound {row['lower']:.3f}"
        )
    print(f"all usable: t holds {usable['t'].mean():.3f}, lower bound {usable['lower'].mean():.3f}")


if __name__ == "__main__":
    typer.run(main)
