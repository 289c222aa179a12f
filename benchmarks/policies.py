"""LoggingPolicy against LPIRL on one log: a small grid on validation, then several seeds.

    python benchmarks/policies.py --dataset=yoochoose-1pct --data_path=dataset --runs=runs/policies

The grid is walked one setting at a time, in the order of SEARCH, each from the best so far; every
seed shares the split, and in the paired tests a session of all seeds is one draw. A run is a folder
under --runs: stopped and started again, the script goes on where it was. It prints the grid, the
test metrics over seeds and the paired tests in Markdown.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from recbole_lpi.evaluation.events import EventTable, read_events
from recbole_lpi.evaluation.metrics import Kinds
from recbole_lpi.evaluation.significance import paired_difference
from recbole_lpi.host.memory import keep_freed_memory
from recbole_lpi.host.run_folder import RunFolder
from recbole_lpi.host.runner import run

CRITERION = "reward_weighted_ndcg@20"
METRICS = [
    f"{kind}_{metric}@20" for metric in ("ndcg", "hit") for kind in ("purchase", "click")
] + ["js_divergence", "kl_divergence"]
KINDS = Kinds(("purchase", "liked"), ("click", "rated"))
Settings = dict[str, Any]

ANALYTIC = {"advantage_estimator": "analytic"}
RESIDUAL = {"advantage_estimator": "td_residual", "weight_normalize": True}
# Name: model, fixed settings, where the search starts, and what is tried in turn.
SEARCH: dict[str, tuple[str, Settings, Settings, dict[str, list[Any]]]] = {
    "LoggingPolicy": (
        "LoggingPolicy", {}, {"learning_rate": 0.003}, {"learning_rate": [0.001, 0.006]},
    ),
    "LPIRL, TD residual": (
        "LPIRL", RESIDUAL,
        {"beta": 0.5, "gamma": 0.5, "td_weight": 1.0, "learning_rate": 0.003},
        {"beta": [0.3, 1.0, 0.2], "gamma": [0.0], "td_weight": [0.3]},
    ),
    "LPIRL, analytic": (
        "LPIRL", ANALYTIC,
        {"beta": 1.0, "gamma": 0.5, "td_weight": 1.0, "advantage_baseline": "policy",
         "learning_rate": 0.003},
        {"beta": [0.3], "advantage_baseline": ["logging"]},
    ),
}  # fmt: skip


class Experiment:
    """Runs of one data set under one folder, each made once."""

    def __init__(self, dataset: str, data_path: str, root: Path, shared: Settings) -> None:
        self.dataset, self.root = dataset, root
        self.shared = {"data_path": data_path, "split_seed": 2020, "show_progress": False, **shared}
        self.logging_policy = "none"

    def folder(self, name: str, settings: Settings, seed: int) -> RunFolder:
        """The finished run of these settings, trained or gone on with if it is not finished."""
        words = [f"{key}={value}" for key, value in sorted(settings.items())]
        folder = RunFolder(self.root / "_".join([name.replace(", ", "-"), *words, f"seed={seed}"]))
        if folder.finished:
            return folder
        print(f"-- {folder.path}", flush=True)
        if folder.begun:
            run(config_dict={"resume": str(folder.path)})
        else:
            model, fixed, _, _ = SEARCH[name]
            mu = "none" if model == "LoggingPolicy" else self.logging_policy
            given = {**self.shared, **fixed, **settings, "seed": seed}
            given |= {"logging_policy": mu, "run_dir": str(folder.path)}
            run(model, self.dataset, (), given)
        return folder

    def search(self, name: str) -> tuple[Settings, list[tuple[Settings, dict[str, Any]]]]:
        """The best settings on validation, and every setting that was tried, with its metrics."""
        _, _, best, tried = SEARCH[name]
        rows: list[tuple[Settings, dict[str, Any]]] = []

        def measure(settings: Settings) -> float:
            found = read_metrics(self.folder(name, settings, 1))["valid"]
            rows.append((settings, found))
            return float(found[CRITERION]["mean"])

        score = measure(best)
        for key, values in tried.items():
            for value in values:
                other = {**best, key: value}
                if (found := measure(other)) > score:
                    best, score = other, found
        return best, rows


def read_metrics(folder: RunFolder) -> dict[str, Any]:
    import json

    return dict(json.loads(folder.metrics.read_text()))


def over_seeds(tables: Sequence[EventTable]) -> EventTable:
    """The tables of several seeds as one; a session of all seeds stays one draw."""
    columns = {
        name: np.concatenate([getattr(table, name) for table in tables])
        for name in EventTable.__dataclass_fields__
    }
    return EventTable(**columns)


def main(
    dataset: Annotated[str, typer.Option()] = "yoochoose-1pct",
    data_path: Annotated[str, typer.Option("--data_path")] = "dataset",
    runs: Annotated[Path, typer.Option()] = Path("runs/policies"),
    epochs: Annotated[int, typer.Option()] = 8,
    stopping_step: Annotated[int, typer.Option("--stopping_step")] = 2,
    seeds: Annotated[int, typer.Option()] = 3,
    threads: Annotated[int | None, typer.Option()] = None,
) -> None:
    """Search on validation, train the seeds, print tables in Markdown."""
    if threads:
        import torch

        torch.set_num_threads(threads)
    keep_freed_memory()
    shared = {"epochs": epochs, "stopping_step": stopping_step}
    root = runs / dataset / "_".join(f"{key}={value}" for key, value in shared.items())
    experiment = Experiment(dataset, data_path, root, shared)
    best, grids = {}, {}
    for name in SEARCH:
        best[name], grids[name] = experiment.search(name)
        if name == "LoggingPolicy":
            experiment.logging_policy = str(experiment.folder(name, best[name], 1).path)
    print(f"\n### Search on validation ({dataset}, seed 1)\n")
    print(f"| policy | settings | {CRITERION} | p-nDCG@20 | c-nDCG@20 | JS |")
    print("| - | - | - | - | - | - |")
    for name, rows in grids.items():
        for settings, found in rows:
            mark = "**" if settings == best[name] else ""
            words = ", ".join(f"{key} {value}" for key, value in settings.items())
            measures = (CRITERION, "purchase_ndcg@20", "click_ndcg@20", "js_divergence")
            values = [f"{found[m]['mean']:.4f}" if m in found else "–" for m in measures]
            print(f"| {name} | {mark}{words}{mark} | " + " | ".join(values) + " |")
    folders = {
        name: [experiment.folder(name, best[name], seed) for seed in range(1, seeds + 1)]
        for name in SEARCH
    }
    print(
        f"\n### Test part, {seeds} seeds: mean ± standard error over sessions (spread over seeds)\n"
    )
    print("| policy | " + " | ".join(METRICS) + " |\n| - |" + " - |" * len(METRICS))
    for name in SEARCH:
        results = [read_metrics(folder)["test"] for folder in folders[name]]
        cells = []
        for metric in METRICS:
            if metric not in results[0]:
                cells.append("–")
                continue
            means = [result[metric]["mean"] for result in results]
            stderr = np.mean([result[metric]["stderr"] for result in results])
            spread = np.std(means, ddof=1) if len(means) > 1 else float("nan")
            cells.append(f"{np.mean(means):.4f} ± {stderr:.4f} ({spread:.4f})")
        print(f"| {name} | " + " | ".join(cells) + " |")
    print("\n### Paired t-tests over test sessions against LoggingPolicy\n")
    print("| policy | metric | difference | p | |\n| - | - | - | - | - |")
    tables = {
        name: over_seeds([read_events(folder.events) for folder in folders[name]])
        for name in SEARCH
    }
    for name in list(SEARCH)[1:]:
        for metric in METRICS[:4]:
            found = paired_difference(tables["LoggingPolicy"], tables[name], metric, KINDS)
            print(
                f"| {name} | {metric} | {found.difference:+.4f} ± {found.stderr:.4f} | "
                f"{found.p:.3g} | {found.stars} |"
            )


if __name__ == "__main__":
    typer.run(main)
