"""Warm start: epochs and seconds to the quality of a run from scratch, on a log that has grown.

    python benchmarks/warm_start.py --dataset=yoochoose-1pct --data_path=dataset --seeds=2

A log is cut at 10/11 of its sessions by their ends: ``before`` holds those, and the whole log has
grown by 10 % since. Both are split by time, so that no session that ``before`` trains on validates
or tests the whole. On the whole log each policy is trained from scratch and from its own weights of
``before``; a policy that learns from rewards also from the logging policy of the whole log. Seconds
are of training and validation, without loading; the clock of the CPU counts this process alone. A
finished run stays in the output folder and is not repeated.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import polars as pl
import torch
import typer

from recbole_lpi.files import write_json, write_text
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.model_factory import make_model
from recbole_lpi.plugin.runner import make_config
from recbole_lpi.plugin.trainer import PolicyTrainer

SHARE = 10 / 11  # of the sessions: the rest adds 10 % to them
OWN = {"split": "session_end", "logging_policy": "none", "show_progress": False, "metrics": ["nll"]}


class Epoch(NamedTuple):
    """What is known once an epoch was validated: seconds since training began, and the score."""

    wall: float
    cpu: float
    score: float


def write_before(inter: Path, to: Path) -> None:
    """Write the data set of the sessions that ended first, with the settings of the whole."""
    rows = pl.read_csv(inter, separator="\t", infer_schema=False, quote_char=None)
    session, when = rows.columns[0], next(c for c in rows.columns if c.startswith("timestamp"))
    ends = rows.group_by(session).agg(end=pl.col(when).cast(pl.Float64).max()).sort("end", session)
    first = ends.head(round(len(ends) * SHARE))
    kept = rows.join(first, on=session, how="semi", maintain_order="left")
    write_text(to / f"{to.name}.inter", kept.write_csv(separator="\t", quote_style="never"))
    write_text(to / f"{to.name}.yaml", inter.with_suffix(".yaml").read_text("utf-8"))
    print(f"{to.name}: {len(first):,} of {len(ends):,} sessions, {len(kept):,} of {len(rows):,} "
          "events", flush=True)  # fmt: skip


def train(folder: Path, model: str, dataset: str, given: dict[str, Any]) -> None:
    """Train a run, and keep what is known of its epochs in its folder."""
    if (folder / "epochs.json").is_file():
        return
    from recbole.utils import init_seed

    own = OWN | given | {"run_dir": str(folder), "overwrite": True}
    config = make_config(model, dataset, (), own)
    train, valid, test = PolicyDataset(config).build()
    init_seed(config["seed"], config["reproducibility"])
    trainer = PolicyTrainer(config, make_model(config, train))
    epochs: list[Epoch] = []
    began = time.perf_counter(), time.process_time()

    def note(epoch: int, score: float) -> None:
        wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
        epochs.append(Epoch(wall, cpu, score))

    trainer.fit(train, valid, callback_fn=note)
    found = trainer.evaluate(test)
    criterion = trainer.training.settings.criterion
    write_json(folder / "epochs.json", {
        "epochs": epochs, "test": found[str(criterion)], "criterion": str(criterion),
        "smaller_is_better": criterion.smaller_is_better,
    })  # fmt: skip


def row(folder: Path, scratch: Path) -> list[float]:
    """Epochs, wall and CPU seconds to the quality of ``scratch``; best score, and of the test."""
    kept, goal = (json.loads((f / "epochs.json").read_text()) for f in (folder, scratch))
    sign = -1 if kept["smaller_is_better"] else 1
    scores = [sign * epoch[2] for epoch in kept["epochs"]]
    wanted = max(sign * epoch[2] for epoch in goal["epochs"])
    there = [n for n, score in enumerate(scores) if score >= wanted]
    took = [there[0] + 1, *kept["epochs"][there[0]][:2]] if there else [np.nan] * 3
    return [*took, len(scores), sign * max(scores), kept["test"]]


def report(output: Path, models: list[str], seeds: int) -> None:
    """Print means over seeds."""
    titles = ["policy", "begins from", "epochs to the same", "s", "CPU s", "epochs in all",
              "best validation", "test"]  # fmt: skip
    print("\n| " + " | ".join(titles) + " |\n|" + " - |" * len(titles))
    for model in models:
        for start, said in (("scratch", "scratch"), ("before", "itself, before"),
                            ("LoggingPolicy", "`LoggingPolicy`")):  # fmt: skip
            folders = [output / f"seed={s}" / f"{model}-{start}" for s in range(1, seeds + 1)]
            if not all((folder / "epochs.json").is_file() for folder in folders):
                continue
            rows = [row(folder, folder.with_name(f"{model}-scratch")) for folder in folders]
            never = f" ({sum(np.isnan(r[0]) for r in rows)} never)"
            means = [float(np.nanmean(column)) for column in zip(*rows, strict=True)]
            print(f"| `{model}` | {said} | {means[0]:.1f}{never if 'nan' in str(rows) else ''} | "
                  f"{means[1]:.0f} | {means[2]:.0f} | {means[3]:.1f} | {means[4]:.4f} | "
                  f"{means[5]:.4f} |")  # fmt: skip


def main(
    dataset: Annotated[str, typer.Option()] = "yoochoose-1pct",
    data_path: Annotated[Path, typer.Option("--data_path")] = Path("dataset"),
    output: Annotated[Path, typer.Option()] = Path("runs/warm_start"),
    models: Annotated[str, typer.Option(help="The logging policy first")] = "LoggingPolicy LPIRL",
    seeds: Annotated[int, typer.Option()] = 1,
    epochs: Annotated[int, typer.Option()] = 20,
    session_cache_dir: Annotated[str, typer.Option("--session_cache_dir")] = "none",
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train what has not been trained yet, and report."""
    torch.set_num_threads(threads)
    output = output.resolve() / dataset
    before = output / "dataset" / f"{dataset}-before"
    if not before.is_dir():
        write_before(data_path / dataset / f"{dataset}.inter", before)
    whole = {"data_path": str(data_path.resolve()), "epochs": epochs,
             "session_cache_dir": session_cache_dir}  # fmt: skip
    first = models.split()[0]
    for seed in range(1, seeds + 1):
        folder, given = output / f"seed={seed}", {**whole, "seed": seed}
        for model in models.split():
            earlier = folder / f"{model}-earlier"
            train(earlier, model, before.name, {**given, "data_path": str(before.parent)})
            train(folder / f"{model}-scratch", model, dataset, given)
            train(folder / f"{model}-before", model, dataset, {**given, "init_from": earlier})
            if model != first:
                mu = folder / f"{first}-scratch"
                train(folder / f"{model}-{first}", model, dataset, {**given, "init_from": mu})
        report(output, models.split(), seed)


if __name__ == "__main__":
    typer.run(main)
