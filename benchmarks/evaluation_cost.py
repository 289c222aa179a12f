"""What ranking held-out events costs: events per second and peak memory, beside RecBole's own way.

    python benchmarks/evaluation_cost.py      # a few minutes on two cores

Both evaluate a SASRec of one size with random weights on the same events of a made-up log, in turn
in one process: ours from windows to the event table and its metrics; RecBole's ``Trainer.evaluate``
with its full-sort loader, collector and metrics, one prefix per event; and beside them, as what no
exact ranking can do without, the product of states and items alone, in tiles that stay in cache.
Peak memory is what an evaluation adds to a process of its own, for the events and for four times as
many.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from benchmarks.peak import added_memory
from recbole_lpi.nn.tile_sizes import parts, tiling
from recbole_lpi.training.memory import keep_freed_memory

SIZES = (17_834, 70_852)
LENGTH = 6  # events of a session, about RetailRocket's
GIVEN: dict[str, Any] = {
    "hidden_size": 64, "inner_size": 256, "n_layers": 1, "n_heads": 1, "MAX_ITEM_LIST_LENGTH": 20,
    "metrics": ["hit", "ndcg"], "topk": [5, 10, 20], "valid_metric": "ndcg@20",
    "show_progress": False, "data_path": ".",
}  # fmt: skip
SIDES = ("ours", "RecBole")


def write_log(folder: Path, items: int, rounds: int) -> None:
    """An atomic file in which every item occurs ``rounds`` times, in sessions of ``LENGTH``."""
    rng = np.random.default_rng(0)
    item = np.concatenate([rng.permutation(items) for _ in range(rounds)])
    folder.mkdir()
    with (folder / f"{folder.name}.inter").open("w") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\treward:float\n")
        file.writelines(f"{i // LENGTH}\t{x}\t{i}\t1\n" for i, x in enumerate(item.tolist()))


def evaluation(side: str, log: str, batch_size: int) -> tuple[int, Callable[[], Any]]:
    """Number of held-out events, and one evaluation of them, ready to be called."""
    from recbole.data.dataloader import FullSortEvalDataLoader
    from recbole.trainer import Trainer

    from recbole_lpi.plugin import configuration
    from recbole_lpi.plugin.dataset import PolicyDataset
    from recbole_lpi.plugin.model_factory import make_model
    from recbole_lpi.plugin.trainer import PolicyTrainer

    model_name = "LoggingPolicy" if side == "ours" else "SASRec"
    given = {**GIVEN, "eval_batch_size": batch_size, "logging_policy": "none"}
    config = configuration.make(model_name, log, given)
    train, _, test = PolicyDataset(config).build()
    torch.manual_seed(0)
    model = make_model(config, train)
    if side == "ours":
        return len(test), lambda: PolicyTrainer(config, model).evaluate(test)
    config["checkpoint_dir"] = "."  # which it makes, and leaves empty
    trainer = Trainer(config, model)
    loader = FullSortEvalDataLoader(config, test, None)
    return len(test), lambda: trainer.evaluate(loader, load_best_model=False)


def product_rate(items: int) -> float:
    """Events per second of the product with the catalogue, tile after tile into one place."""
    sizes = tiling(1024, items, torch.device("cpu"), 4)
    width = GIVEN["hidden_size"]
    state, table = torch.randn(sizes.events, width), torch.randn(items, width)
    out = torch.empty(sizes.events * sizes.items)
    times = []
    for _ in range(6):
        began = time.perf_counter()
        for part in parts(items, sizes.items):
            tile = out[: sizes.events * len(table[part])].view(sizes.events, -1)
            torch.mm(state, table[part].t(), out=tile)
        times.append(time.perf_counter() - began)
    return sizes.events / statistics.median(times)


def peak_memory(side: str, log: str, batch_size: int, threads: int) -> tuple[int, float]:
    """Events, and the GiB that an evaluation of them adds."""
    torch.set_num_threads(threads)
    events, evaluate = evaluation(side, log, batch_size)
    return events, added_memory(evaluate)


def main(
    repeats: Annotated[int, typer.Option(help="Timed evaluations of each")] = 5,
    threads: Annotated[int, typer.Option(help="0: as many as torch takes")] = 0,
    batch_size: Annotated[int, typer.Option(help="eval_batch_size of both")] = 1024,
) -> None:
    """Print the table in Markdown."""
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    keep_freed_memory()
    print(f"torch {torch.__version__}, {threads} threads, {platform.processor() or 'CPU'}\n")
    print("| items | events | ours, events/s | RecBole, events/s | ratio "
          "| product alone, events/s | ours, GiB | RecBole, GiB "
          "| both, with 4 × the events |")  # fmt: skip
    print("| - | - | - | - | - | - | - | - | - |")
    spawn = multiprocessing.get_context("spawn")
    home = Path.cwd()
    for items in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # RecBole writes its logs into the current folder
            for name, rounds in (("once", 1), ("fourfold", 4)):
                write_log(Path(name), items, rounds)
            both = {side: evaluation(side, "once", batch_size) for side in SIDES}
            rates: dict[str, list[float]] = {side: [] for side in SIDES}
            for round_ in range(repeats + 1):
                for side, (events, evaluate) in both.items():
                    began = time.perf_counter()
                    evaluate()
                    if round_:  # the first warms up
                        rates[side].append(events / (time.perf_counter() - began))
            del both
            peaks = {}
            for side in SIDES:
                for log in ("once", "fourfold"):
                    with spawn.Pool(1) as pool:
                        peaks[side, log] = pool.apply(peak_memory, (side, log, batch_size, threads))
            os.chdir(home)
        ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
        ours, recbole = (statistics.median(rates[side]) for side in SIDES)
        held = " | ".join(f"{peaks[side, 'once'][1]:.2f}" for side in SIDES)
        more = ", ".join(f"{peaks[side, 'fourfold'][1]:.2f}" for side in SIDES)
        print(
            f"| {items:,} | {peaks['ours', 'once'][0]:,} | {ours:,.0f} | {recbole:,.0f} "
            f"| {ratio:.1f} | {product_rate(items):,.0f} | {held} | {more} |",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
