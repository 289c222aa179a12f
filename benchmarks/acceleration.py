"""What a training step costs in float32, TF32, half precision and compiled, on this device.

    python benchmarks/acceleration.py            # on the GPU, where there is one; minutes on a CPU

LoggingPolicy and LPIRL (two Q heads) on made-up sessions of the shape of RetailRocket and of
YooChoose: their catalogues and mean lengths (paper, Table 2), 256 sessions a batch. Settings are
timed in turn on each batch, which is made and waited for; a peak is that of a process of its own,
of the GPU's memory where there is one. Printed are medians; an epoch is as many steps as the
training sessions of the data set take. The share of the matrix rate is the time that the products
over the catalogue alone would take at the rate of one large square product: 3 for LoggingPolicy and
4 for LPIRL, of which one, the items' gradient, is in float32 or TF32 whatever the others are in.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer

from benchmarks.large_catalogue import generate
from benchmarks.stages import Measures, Stage, answer, measured
from benchmarks.steps import Steps, steps_of, take_steps, training_part
from recbole_lpi.training.learner import PolicyLearner


class Shape(NamedTuple):
    """Of a data set in Table 2 of the paper, clicks and purchases together."""

    sessions: int
    items: int
    events: int


SHAPES = {
    "retailrocket": Shape(195_523, 70_852, 1_180_000 + 57_269),
    "yoochoose": Shape(4_430_000, 48_255, 24_600_000 + 1_150_000),
}
MODELS = {"LoggingPolicy": 3, "LPIRL": 4}  # and their matrix products over the catalogue
OWN = {"LPIRL": {"advantage_estimator": "analytic"}}  # two Q heads, not the one of V
SETTINGS: dict[str, dict[str, Any]] = {
    "float32": {},
    "TF32": {"float32_matmul_precision": "high"},
    "bfloat16": {"enable_amp": True},
    "compiled": {"compile": True},
    "bfloat16 and TF32": {"enable_amp": True, "float32_matmul_precision": "high"},
    "bfloat16 and TF32, compiled": {
        "enable_amp": True,
        "float32_matmul_precision": "high",
        "compile": True,
    },
}
BATCH, SHARE = 256, 0.8  # sessions; of all that train
SIDE = {"cpu": 1024, "cuda": 8192}  # of the square matrices


def given(work: Path, **settings: Any) -> dict[str, Any]:
    return {
        "data_path": str(work), "USER_ID_FIELD": "session_id", "show_progress": False,
        "split_ratio": [None, 100, 100], "logging_policy": "none", "train_batch_size": BATCH,
        "session_cache_dir": "none", **settings,
    }  # fmt: skip


def policy_trainer(model: str, train: Any, work: Path, **settings: Any) -> Steps:
    """Compiled already, where that is asked for."""
    one = steps_of(model, train, given(work, **OWN.get(model, {}), **settings))
    if one.step.acceleration.compile:
        PolicyLearner(one.network).compile(one.step.acceleration, one.step.device)
    return one


def matrix_rate(one: Steps, half: bool) -> float:
    """Operations per second of a square product, as this trainer would compute it."""
    side = SIDE[one.step.device.type]
    left = torch.randn(side, side, device=one.step.device)
    times = []
    cast = one.step.acceleration.autocast(one.step.device) if half else nullcontext()
    with one.step.acceleration.training(), cast:
        for _ in range(6):
            began = time.perf_counter()
            _ = float((left @ left)[0, 0])  # waits for it
            times.append(time.perf_counter() - began)
    return float(2 * side**3 / min(times))


# ---------------------------------------------------------------------- stages, a process each


def step(work: Path, model: str, settings: Mapping[str, Mapping[str, Any]], steps: int) -> Measures:
    train = training_part(given(work))
    trainers = {name: policy_trainer(model, train, work, **more) for name, more in settings.items()}
    times = take_steps(trainers, steps)
    found: Measures = {"events": float(np.mean(train.training_windows.targets)) * BATCH}
    for name, one in trainers.items():
        found[name] = statistics.median(clock for clock, _ in times[name])
        found[f"{name}, rate"] = matrix_rate(one, half=True)
        found[f"{name}, rate of the gradient"] = matrix_rate(one, half=False)
    return found


def peak(work: Path, model: str, settings: Mapping[str, Any]) -> Measures:
    train = training_part(given(work))
    one = policy_trainer(model, train, work, **settings)
    take_steps({"": one}, 3)
    if one.step.device.type != "cuda":
        return {}
    return {"GPU": torch.cuda.max_memory_allocated(one.step.device) / 2**30}


STAGES: dict[str, Stage] = {"step": step, "peak": peak}


def main(
    steps: Annotated[int, typer.Option(help="Timed, of each")] = 20,
    settings: Annotated[
        str | None,
        typer.Option(help="In turn, with ; between. Empty: all on a GPU, without half on a CPU"),
    ] = None,
    work: Annotated[Path, typer.Option(help="Folder for the logs")] = Path("runs/acceleration"),
    stage: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print the table in Markdown."""
    if stage is not None:
        answer(STAGES, stage, work)
        return
    every = SETTINGS if torch.cuda.is_available() else ("float32", "compiled")
    names = list(every) if settings is None else [n.strip() for n in settings.split(";")]
    if unknown := set(names) - set(SETTINGS):
        raise SystemExit(f"unknown: {', '.join(unknown)}; known: {'; '.join(SETTINGS)}")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else (
        f"{torch.get_num_threads()} threads"
    )  # fmt: skip
    print(f"torch {torch.__version__}, {device}\n")
    print("| shape | model | computed in | step, ms | of float32's | events/s | epoch, s "
          "| of matrix rate | peak, GiB |")  # fmt: skip
    print("| - | - | - | - | - | - | - | - | - |")
    for data, shape in SHAPES.items():
        folder = work / data
        if not (folder / "catalogue" / "catalogue.inter").is_file():
            generate(folder / "catalogue", shape.items, length=shape.events / shape.sessions)
        for model, products in MODELS.items():
            chosen = {name: SETTINGS[name] for name in names}
            found = measured(__file__, "step", folder, model, chosen, steps)
            epoch = math.ceil(SHARE * shape.sessions / BATCH)
            for name in names:
                most = measured(__file__, "peak", folder, model, SETTINGS[name])
                operations = 2 * found["events"] * shape.items * 64
                least = operations * (
                    (products - 1) / found[f"{name}, rate"]
                    + 1 / found[f"{name}, rate of the gradient"]
                )
                float32 = found.get("float32", math.nan)
                print(
                    f"| {data} | {model} | {name} | {1e3 * found[name]:.1f} "
                    f"| {found[name] / float32:.2f} | {found['events'] / found[name]:,.0f} "
                    f"| {epoch * found[name]:,.0f} | {least / found[name]:.0%} "
                    f"| {most.get('GPU', most['GiB']):.2f} |",
                    flush=True,
                )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
