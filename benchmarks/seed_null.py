"""Stars where there is nothing to find: a policy against itself, three seeds against three others.

    python benchmarks/seed_null.py runs/seed-null/ml-100k --train=24 --dataset=ml-100k \\
        --given="{split_seed: 2020, learning_rate: 0.001}"
    python benchmarks/seed_null.py FOLDER          # of finished runs that are there

Trains, one after another, the runs that the folder lacks: one policy on one split, with seeds 1, 2,
… of its own. Then draws pairs of disjoint groups of seeds, tests each pair, and prints how often p
falls below .05 and .001: by the test over sessions and seeds that tables are starred by, and by one
over sessions alone, which takes the average of the runs of a group for the policy. Both should say
5 % and 0.1 %.

Pairs from one pool of runs share runs, so a share has a larger error than as many independent pairs
would give. Beside it stand the shares in which 95 % of pools of as many runs fall whose scores are
made up, drawn from one normal distribution, under Welch's t-test, which is the test over sessions
and seeds where the seeds decide.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
import yaml
from scipy import stats

from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.scores import PolicyScore, SessionScore, session_score
from recbole_lpi.evaluation.significance import paired
from recbole_lpi.experiments.grouping import Measured, grouped
from recbole_lpi.experiments.runs import load_comparable
from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.memory import keep_freed_memory
from recbole_lpi.training.run_folder import RunFolder

METRICS = ("purchase_ndcg@20", "click_ndcg@20")
LEVELS = (0.05, 0.001)
POOLS = 200  # made up, to tell how far a share is from what it estimates
Test = Callable[[PolicyScore, PolicyScore], float]


def train(folder: Path, number: int, model: str, dataset: str, given: Mapping[str, Any]) -> None:
    """Runs with seeds 1 … ``number``; what has finished stays, what has begun goes on."""
    if given.get("split_seed") is None or "seed" in given:
        raise SettingError("--given must name a split_seed, which all seeds share, and no seed")
    for seed in range(1, number + 1):
        one = RunFolder(folder / f"seed-{seed}")
        if one.finished:
            continue
        print(f"run {seed} of {number}: {one.path}", file=sys.stderr, flush=True)
        if one.begun:
            run(config_dict={"resume": str(one.path)})
        else:
            own = {"seed": seed, "run_dir": str(one.path), "logging_policy": "none"}
            run(model, dataset, (), {**given, **own})


def scores_of(folder: Path, metrics: Sequence[str]) -> dict[str, list[SessionScore]]:
    """By metric, of every finished run in ``folder``; SettingError unless they are one policy."""
    paths = [one.path for one in map(RunFolder, sorted(folder.glob("*"))) if one.finished]
    measured = []
    for one in load_comparable(paths):
        table = read_events(one.folder.events)
        scores = {metric: session_score(table, metric, one.kinds) for metric in metrics}
        measured.append(Measured(one, one.settings, scores))
    groups = grouped(measured)
    if len(groups) > 1:
        twin = groups[1][0].run.folder.path
        raise SettingError(f"{twin} and {paths[0]} differ in more than their seed: take one away")
    return {metric: [one.scores[metric] for one in groups[0]] for metric in metrics}


def draw(runs: int, group: int, pairs: int, rng: np.random.Generator) -> np.ndarray:
    """Pairs of disjoint groups of runs, [pairs, 2, group]."""
    if runs < 2 * group:
        raise SettingError(
            f"two groups of {group} seeds need {2 * group} runs, and {runs} finished"
        )
    order = rng.permuted(np.tile(np.arange(runs), (pairs, 1)), axis=1)
    return order[:, : 2 * group].reshape(pairs, 2, group)


def over_sessions_and_seeds(a: PolicyScore, b: PolicyScore) -> float:
    """p of the test that tables are starred by."""
    return paired(a, b).p


def over_sessions(a: PolicyScore, b: PolicyScore) -> float:
    """p of a test that takes the average of runs for the policy."""
    one, other = (
        PolicyScore(np.array([score.mean]), score.count, score.clusters[None]) for score in (a, b)
    )
    return paired(one, other).p


TESTS: dict[str, Test] = {"sessions": over_sessions, "sessions and seeds": over_sessions_and_seeds}


def p_values(scores: Sequence[SessionScore], pairs: np.ndarray, test: Test) -> np.ndarray:
    """Of each pair, [pairs]."""
    groups = [[PolicyScore.of([scores[i] for i in group]) for group in pair] for pair in pairs]
    return np.array([test(a, b) for a, b in groups])


def shares_of_normal_pools(
    runs: int, group: int, pairs: int, level: float, rng: np.random.Generator
) -> np.ndarray:
    """How often Welch's t-test has p below ``level``, of each of ``POOLS`` made-up pools."""
    shares = []
    for _ in range(POOLS):
        drawn = rng.normal(size=runs)[draw(runs, group, pairs, rng)]
        p = stats.ttest_ind(drawn[:, 0], drawn[:, 1], axis=1, equal_var=False).pvalue
        shares.append(np.mean(p < level))
    return np.array(shares)


def report(scores: Mapping[str, Sequence[SessionScore]], group: int, pairs: int) -> str:
    """Shares of pairs with p below each level, by metric and test, in Markdown."""
    runs = len(next(iter(scores.values())))
    drawn = draw(runs, group, pairs, np.random.default_rng(0))
    lines = [f"{runs} runs; {pairs} random pairs of disjoint groups of {group}.", ""]
    lines.append("| metric | spread over seeds | variance by session | test over | "
                 + " | ".join(f"p < {level:g}" for level in LEVELS) + " |")  # fmt: skip
    lines.append("| - |" + " - |" * (3 + len(LEVELS)))
    for metric, of in scores.items():
        every = PolicyScore.of(of)
        by_session = every.of_sessions_by_seed.variance / every.of_seeds.variance
        for name, test in TESTS.items():
            p = p_values(of, drawn, test)
            cells = [f"{np.mean(p < level):.1%}" for level in LEVELS]
            head = f"{metric} | {every.spread:.4f} | {by_session:.0%} | {name}"
            lines.append(f"| {head} | {' | '.join(cells)} |")
    ranges = []
    for level in LEVELS:
        of_pools = shares_of_normal_pools(runs, group, pairs, level, np.random.default_rng(1))
        low, high = np.quantile(of_pools, [0.025, 0.975])
        ranges.append(f"{of_pools.mean():.1%} ({low:.1%} to {high:.1%}) at p < {level:g}")
    lines += [
        "",
        "Variance by session: the share of the variance between seeds that is noise of sessions.",
        f"Of {POOLS} made-up pools of {runs} normal scores, Welch's t-test: {'; '.join(ranges)}.",
    ]
    return "\n".join(lines)


def main(
    folder: Annotated[Path, typer.Argument(help="Of the runs")],
    train_: Annotated[int, typer.Option("--train", help="Train what lacks of so many runs")] = 0,
    dataset: Annotated[str, typer.Option()] = "ml-100k",
    model: Annotated[str, typer.Option()] = "LoggingPolicy",
    given: Annotated[str, typer.Option(help="Of every run, YAML")] = "{split_seed: 2020}",
    group: Annotated[int, typer.Option(help="Seeds of a group")] = 3,
    pairs: Annotated[int, typer.Option()] = 1000,
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train what lacks, draw pairs, print the shares."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    try:
        if train_:
            train(folder, train_, model, dataset, yaml.safe_load(given))
        print(report(scores_of(folder, METRICS), group, pairs))
    except SettingError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    typer.run(main)
