"""A million items: what a training step and a run cost with sampled softmax.

    python benchmarks/large_catalogue.py            # needs 8 GB; minutes on two cores

A synthetic log in which every item occurs, of sessions that mix popular items with rare ones. Step
times are medians over batches of 256 sessions, lazy rows (``learner: sparse_adam``) and dense Adam
in turn in one process, by the clock and in CPU seconds of all threads; a peak is that of a process
of its own that loads the log and takes a few steps; and a run, from the log to metrics.json, is one
more process: a tenth of the sessions once (``--fraction=1`` for all), 100 to validate and to test.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer

from benchmarks.stages import Measures, Stage, answer, measured
from benchmarks.steps import steps_of, take_steps, training_part

LENGTH = 12  # events of a session on average; an event in five is a purchase
COMMON: dict[str, Any] = {
    "softmax": "sampled", "logging_policy": "none", "epochs": 1, "show_progress": False,
    "split_ratio": [None, 100, 100], "USER_ID_FIELD": "session_id",
}  # fmt: skip
ESTIMATORS = {"V(x)": "td_residual", "Q(x, a), two heads": "analytic"}
LEARNERS = {"lazy rows": "sparse_adam", "dense Adam": "adam"}


def generate(folder: Path, items: int, seed: int = 0, length: float = LENGTH) -> None:
    """``catalogue.inter``: each item once, and as many events again by a power law.

    ``length``: events of a session, on average.
    """
    rng = np.random.default_rng(seed)
    popular = items * rng.power(0.3, items)  # density ~ rank^(−0.7)
    item = rng.permutation(np.concatenate([np.arange(items), popular.astype(np.int64)]))
    session = np.sort(rng.integers(int(len(item) / length), size=len(item)))
    bought = rng.random(len(item)) < 0.2
    frame = pl.DataFrame(
        {
            "session_id:token": session,
            "item_id:token": item,
            "timestamp:float": np.arange(len(item)) + 1_500_000_000,
            "event:token": np.where(bought, "purchase", "click"),
            "reward:float": np.where(bought, 1.0, 0.2),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "catalogue.inter.part"
    frame.write_csv(part, separator="\t")
    part.replace(folder / "catalogue.inter")


def given(work: Path, **settings: Any) -> dict[str, Any]:
    return {**COMMON, "data_path": str(work), **settings}


# ---------------------------------------------------------------------- stages, a process each


def step(work: Path, estimator: str, steps: int) -> Measures:
    train = training_part(given(work))
    trainers = {
        name: steps_of("LPIRL", train, given(work, learner=learner, advantage_estimator=estimator))
        for name, learner in LEARNERS.items()
    }
    found: Measures = {}
    for name, times in take_steps(trainers, steps).items():
        clock, cpu = zip(*times, strict=True)
        found |= {name: statistics.median(clock), f"{name}, CPU": statistics.median(cpu)}
    return found


def peak(work: Path, estimator: str, learner: str) -> Measures:
    train = training_part(given(work))
    one = steps_of("LPIRL", train, given(work, learner=learner, advantage_estimator=estimator))
    take_steps({learner: one}, 5)
    return {}


def whole_run(work: Path, fraction: float) -> Measures:
    from recbole_lpi.plugin.runner import run
    from recbole_lpi.training.memory import keep_freed_memory

    keep_freed_memory()
    began = time.perf_counter()
    drawn = {"alpha": 0, "replacement": False, "fraction": fraction} if fraction < 1 else None
    settings = given(
        work, learner="sparse_adam", run_dir=str(work / "run"), overwrite=True,
        reward_sampling=drawn,
    )  # fmt: skip
    run("LPIRL", "catalogue", (), settings)
    return {"seconds": time.perf_counter() - began}


STAGES: dict[str, Stage] = {"step": step, "peak": peak, "run": whole_run}


def main(
    items: Annotated[int, typer.Option(help="Of the catalogue")] = 1_000_000,
    steps: Annotated[int, typer.Option(help="Timed, of each")] = 20,
    fraction: Annotated[float, typer.Option(help="Of the sessions, in the run")] = 0.1,
    work: Annotated[Path, typer.Option(help="Folder for the log")] = Path("runs/large_catalogue"),
    stage: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print a table in Markdown, and what the run cost."""
    if stage is not None:
        answer(STAGES, stage, work)
        return
    work = work / str(items)
    if not (work / "catalogue" / "catalogue.inter").is_file():
        generate(work / "catalogue", items)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {items:,} items\n")
    print("| LPIRL learns | learner | step, s | CPU, s | peak, GiB |")
    print("| - | - | - | - | - |")
    for words, estimator in ESTIMATORS.items():
        times = measured(__file__, "step", work, estimator, steps)
        for name, learner in LEARNERS.items():
            most = measured(__file__, "peak", work, estimator, learner)["GiB"]
            print(f"| {words} | {name} | {times[name]:.3f} | {times[f'{name}, CPU']:.3f} "
                  f"| {most:.2f} |", flush=True)  # fmt: skip
    whole = measured(__file__, "run", work, fraction)
    print(f"\nA run on {fraction:.0%} of the sessions, from the log to metrics.json: "
          f"{whole['seconds']:.0f} s, {whole['GiB']:.2f} GiB")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
