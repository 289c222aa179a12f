"""Maximum likelihood on ml-100k, leave-one-out: RecBole's SASRec and trainer against ours.

    python benchmarks/movielens_leave_one_out.py run      # hours, most of them RecBole's
    python benchmarks/movielens_leave_one_out.py report   # the table, from what has finished

Each system trains until its own early stopping or until it has used --cpu_seconds of processor
time (3,600: one hour of one core), whichever comes first, and is tested at its best validated
epoch. RecBole keeps times as float32, in which most of ml-100k's events get the time of their
neighbours and lose their order; ``ranks`` therefore replaces times by ranks for both systems, and
``clock``, the data as RecBole ships it, shows what the lost order costs RecBole's SASRec.

RecBole is given two favours, without which its epoch takes twice as long: torch's anomaly
detection, which one of its modules turns on for everybody, is turned off again, and both systems
run with an allocator that keeps freed memory instead of handing it back after every operation.
A finished run is a JSON file under --results and is not run again.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import torch
import typer

import recbole_lpi  # noqa: F401  (lets RecBole run on today's numpy, without ray)
from recbole_lpi.plugin.configuration import hidden_argv
from recbole_lpi.training.memory import keep_freed_memory

app = typer.Typer(no_args_is_help=True, add_completion=False)
# Architecture, dropout, data, early stopping and measure of both: RecBole's defaults of SASRec.
SHARED: dict[str, Any] = {
    "n_layers": 2, "n_heads": 2, "hidden_size": 64, "inner_size": 256,
    "hidden_dropout_prob": 0.5, "attn_dropout_prob": 0.5, "learning_rate": 0.001,
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full",
                  "group_by": "user"},
    "metrics": ["NDCG", "Recall"], "topk": [10], "valid_metric": "NDCG@10",
    "epochs": 300, "stopping_step": 10, "train_neg_sample_args": None, "show_progress": False,
    "metric_decimal_place": 8, "reproducibility": True,
}  # fmt: skip
# What differs: RecBole's batch is 2,048 prefixes of at most 50 items (its defaults); ours is whole
# sessions of at most 200 items, with the learning rate halved (docs/results.md says how that came).
OURS = {
    "MAX_ITEM_LIST_LENGTH": 200, "train_batch_size": 16, "learning_rate": 0.0005,
    "logging_policy": "none",
}  # fmt: skip
RECBOLES = {"MAX_ITEM_LIST_LENGTH": 50, "train_batch_size": 2048}


class _OutOfTime(Exception):
    pass


def data_folder(root: Path, order: str) -> Path:
    """A copy of RecBole's ml-100k with the times as they are, or as ranks."""
    import recbole

    folder = root / f"data-{order}"
    target = folder / "ml100k" / "ml100k.inter"
    if not target.is_file():
        source = Path(recbole.__file__).parent / "dataset_example" / "ml-100k" / "ml-100k.inter"
        frame = pd.read_csv(source, sep="\t")
        if order == "ranks":
            frame = frame.sort_values("timestamp:float", kind="stable")
            frame["timestamp:float"] = range(len(frame))
        target.parent.mkdir(parents=True, exist_ok=True)
        frame.to_csv(target, sep="\t", index=False)
    return folder


def train(system: str, order: str, seed: int, root: Path, cpu_seconds: float) -> dict[str, Any]:
    """One run to its end; both systems through RecBole's own data and trainer calls."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.trainer import Trainer
    from recbole.utils import get_model, get_trainer, init_logger, init_seed

    model = "SASRec" if system == "recbole" else "LoggingPolicy"
    own = RECBOLES if system == "recbole" else OURS
    with hidden_argv():
        config = Config(
            model=model, dataset="ml100k",
            config_dict={
                **SHARED, **own, "seed": seed, "data_path": str(data_folder(root, order)),
                "checkpoint_dir": str(root / f"saved-{system}-{order}-{seed}"),
                "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]},
            },
        )  # fmt: skip
    init_seed(seed, True)
    init_logger(config)
    train_data, valid_data, test_data = data_preparation(config, create_dataset(config))
    init_seed(seed, True)
    network = get_model(model)(config, train_data.dataset)
    torch.autograd.set_detect_anomaly(False)
    trainer = get_trainer(config["MODEL_TYPE"], model)(config, network)
    cpu, wall, epochs = time.process_time(), time.time(), []

    def after_epoch(epoch: int, score: float) -> None:
        used = {"cpu": time.process_time() - cpu, "wall": time.time() - wall}
        epochs.append({"epoch": epoch, "valid": float(score), **used})
        print(system, order, seed, epochs[-1], flush=True)
        if used["cpu"] > cpu_seconds:
            raise _OutOfTime

    saved, ended = system == "recbole", "early stopping"
    try:
        trainer.fit(train_data, valid_data, saved=saved, callback_fn=after_epoch)
    except _OutOfTime:
        ended = "out of time"
    if isinstance(trainer, Trainer):  # its own reload fails on torch 2.6 and later
        best = torch.load(trainer.saved_model_file, weights_only=False)
        network.load_state_dict(best["state_dict"])
    test = trainer.evaluate(test_data, load_best_model=system == "ours")
    return {
        "system": system, "order": order, "seed": seed, "ended": ended, "epochs": epochs,
        "threads": torch.get_num_threads(), "test": {k: float(v) for k, v in test.items()},
    }  # fmt: skip


@app.command()
def run(
    results: Annotated[Path, typer.Option()] = Path("runs/movielens_leave_one_out"),
    systems: Annotated[str, typer.Option()] = "ours recbole",
    orders: Annotated[str, typer.Option()] = "ranks clock",
    seeds: Annotated[str, typer.Option()] = "1 2 3",
    cpu_seconds: Annotated[float, typer.Option("--cpu_seconds")] = 3600,
    threads: Annotated[int, typer.Option()] = 1,
) -> None:
    """Train what has not been trained yet."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    for seed in map(int, seeds.split()):
        for order in orders.split():
            for system in systems.split():
                target = results / f"{system}-{order}-{seed}.json"
                if not target.is_file():
                    found = train(system, order, seed, results, cpu_seconds)
                    beside = target.with_suffix(".part")
                    beside.write_text(json.dumps(found))
                    beside.replace(target)
    report(results)


@app.command()
def report(
    results: Annotated[Path, typer.Option()] = Path("runs/movielens_leave_one_out"),
) -> None:
    """Print the table of the runs that have finished."""
    runs = [json.loads(path.read_text()) for path in sorted(results.glob("*.json"))]
    print("| system | order | seeds | test NDCG@10 (spread) | Recall@10 | epochs | CPU s/epoch |")
    print("| - | - | - | - | - | - | - |")
    for system in ("recbole", "ours"):
        for order in ("ranks", "clock"):
            chosen = [r for r in runs if (r["system"], r["order"]) == (system, order)]
            if not chosen:
                continue
            ndcg, recall = ([r["test"][m] for r in chosen] for m in ("ndcg@10", "recall@10"))
            spread = f" ({statistics.stdev(ndcg):.4f})" if len(ndcg) > 1 else ""
            epoch = statistics.median(r["epochs"][-1]["cpu"] / len(r["epochs"]) for r in chosen)
            number = ", ".join(str(len(r["epochs"])) for r in chosen)
            print(
                f"| {system} | {order} | {len(chosen)} | {statistics.mean(ndcg):.4f}{spread} "
                f"| {statistics.mean(recall):.4f} | {number} | {epoch:.1f} |"
            )


if __name__ == "__main__":
    app()
