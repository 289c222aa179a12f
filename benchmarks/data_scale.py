"""What the data pipe costs, from raw log to first batch: time and memory of every stage.

    nice -n 15 python benchmarks/data_scale.py --fraction=0.01 --fraction=0.1 --fraction=1

Logs are synthetic (synthetic_log.py), in the shape of YooChoose's 33 million clicks and 1.15
million buys, or of RetailRocket's. Every stage runs in a process of its own; its seconds do not
count imports, its peak does. "CPU" are seconds of the processor. A last table tells how all grow.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer

from benchmarks.stages import Measures, Stage, answer, measured, power, timed
from benchmarks.synthetic_log import CLICKS, FILES, Kind, generate

BATCHES = 200  # of which the mean time is taken


def write_log(work: Path) -> Measures:
    clicks, kind = int((work / "clicks").read_text()), cast(Kind, work.parent.name)
    _, found = timed(lambda: generate(kind, work / "raw", clicks))
    return found


def convert(work: Path) -> Measures:
    from dataset_prep import retailrocket, yoochoose

    kind = cast(Kind, work.parent.name)
    raw, output = [work / "raw" / name for name in FILES[kind]], work / "dataset" / kind
    run: Callable[..., Any] = {"yoochoose": yoochoose, "retailrocket": retailrocket}[kind].convert
    summary, found = timed(lambda: run(*raw, output, overwrite=True))
    return {**found, "raw events": sum(summary.raw_events.values())}


def load(work: Path) -> Measures:
    dataset, found = timed(_dataset(work))
    return {**found, "events": dataset.inter_num}


def first_load(work: Path) -> Measures:
    shutil.rmtree(work / "sessions", ignore_errors=True)
    return load(work)


def split(work: Path) -> Measures:
    dataset = _dataset(work)()
    (train, _, _), found = timed(dataset.build)
    return {**found, "sessions": len(train.sessions)}


def first_batch(work: Path) -> Measures:
    train, _, _ = _dataset(work)().build()
    _, found = timed(lambda: _first_batch(train))
    return found


def all_of_it(work: Path) -> Measures:
    make = _dataset(work)
    _, found = timed(lambda: _first_batch(make().build()[0]))
    return found


def first_time_all(work: Path) -> Measures:
    shutil.rmtree(work / "sessions", ignore_errors=True)
    return all_of_it(work)


def order(work: Path) -> Measures:
    train, _, _ = _dataset(work)().build()
    windows = train.training_windows
    batches, found = timed(lambda: _order(windows))
    return {**found, "windows": len(windows), "batches": len(batches)}


def collate(work: Path) -> Measures:
    train, _, _ = _dataset(work)().build()
    windows = train.training_windows
    some = _order(windows)[:BATCHES]
    train.batch(windows.take(some[0]))  # its returns are summed once
    _, found = timed(lambda: [train.batch(windows.take(batch)) for batch in some])
    return {name: value / len(some) for name, value in found.items()}


STAGES: dict[str, Stage] = {
    "write the raw log": write_log,
    "convert": convert,
    "load, first time": first_load,
    "load, from the cache": load,
    "split": split,
    "first batch": first_batch,
    "load to first batch, first time": first_time_all,
    "load to first batch, from the cache": all_of_it,
    "order of an epoch": order,
    "collate one batch": collate,
}


def _dataset(work: Path) -> Callable[[], Any]:
    """What makes the data set; everything is imported, and the settings are read."""
    from recbole_lpi.plugin.dataset import PolicyDataset
    from recbole_lpi.plugin.runner import make_config

    given = {"data_path": str(work / "dataset"), "session_cache_dir": str(work / "sessions")}
    config = make_config("LPIRL", work.parent.name, (), given)
    return lambda: PolicyDataset(config)


def _order(windows: Any) -> list[np.ndarray]:
    from recbole_lpi.data.windows import training_batches

    return training_batches(windows, 256, np.random.default_rng(0))


def _first_batch(train: Any) -> Any:
    return train.batch(train.training_windows.take(_order(train.training_windows)[0]))


def main(
    fraction: Annotated[list[float] | None, typer.Option(help="Of the whole log; repeat")] = None,
    log: Annotated[Kind, typer.Option(help="Whose shape")] = "yoochoose",
    work: Annotated[Path, typer.Option(help="Folder for logs")] = Path("runs/data_scale"),
    keep: Annotated[bool, typer.Option("--keep", help="Leave the logs there")] = False,
    stage: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print a row for each fraction and stage, then how the stages grow, in Markdown."""
    if stage is not None:
        answer(STAGES, stage, work)
        return
    fractions = sorted(fraction or [0.01, 0.1])
    print("| fraction | stage | seconds | CPU | peak, GiB | |")
    print("| -: | - | -: | -: | -: | - |")
    found: dict[tuple[float, str], Measures] = {}
    for part in fractions:
        folder = work / log / f"{part:g}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "clicks").write_text(str(round(part * CLICKS[log])))
        try:
            for name in STAGES:
                one = found[part, name] = measured(__file__, name, folder)
                print(f"| {part:g} | {name} | {_row(one)} |", flush=True)
        finally:
            if not keep:
                shutil.rmtree(folder)
    if len(fractions) > 1:
        print(f"\n| from {fractions[0]:g} to {fractions[-1]:g} | seconds grow as events to the "
              "power of | CPU |\n| - | -: | -: |")  # fmt: skip
        for name in STAGES:
            less, more = found[fractions[0], name], found[fractions[-1], name]
            powers = (power(less[key], more[key], fractions[-1] / fractions[0])
                      for key in ("seconds", "CPU"))  # fmt: skip
            print(f"| {name} | {' | '.join(f'{p:.2f}' for p in powers)} |")


def _row(one: Measures) -> str:
    more = ", ".join(f"{value:,.0f} {key}" for key, value in one.items()
                     if key not in ("seconds", "CPU", "GiB"))  # fmt: skip
    return f"{one['seconds']:.3g} | {one['CPU']:.3g} | {one['GiB']:.2f} | {more}"


if __name__ == "__main__":
    typer.run(main)
