"""What the Netflix Prize costs, from a synthetic log of its shape: time and memory of every stage.

    python benchmarks/netflix_scale.py --fraction=0.1 --fraction=0.05

A tenth has 47,000 users, 17,770 movies and, after the cut to 200 ratings a user, 5.3 million
ratings.
Converter, session store up to the first batch, imputation (rank 50, 10 sweeps) and one epoch of
LPI-CB at the paper's size (2 layers, 8 heads, 200 units) run in a process each. With two fractions
it tells how each stage grows, and what the whole would take if it goes on so.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer

from benchmarks.stages import Measures, Stage, answer, measured, power

USERS, MOVIES = 470_000, 17_770
MEDIAN, SIGMA = 101, 1.2  # of ratings a user, log-normal: 207 on average, 112 of the latest 200
LIKE_NETFLIX: dict[str, Any] = {  # properties/dataset/netflix.yaml, but for the parts' sizes
    "epochs": 1, "logging_policy": "none", "show_progress": False, "stopping_step": 1,
}  # fmt: skip


def generate(folder: Path, users: int, seed: int = 0) -> int:
    """``combined_data_1.txt`` … ``4`` in ``folder``; how many ratings they hold."""
    rng = np.random.default_rng(seed)
    number = np.exp(rng.normal(math.log(MEDIAN), SIGMA, users)).clip(5, 5000).astype(int)
    user = np.repeat(np.arange(users), number)
    popularity = np.exp(rng.normal(0, 2, MOVIES))
    movie = rng.choice(MOVIES, len(user), p=popularity / popularity.sum())
    pair = np.unique(user * MOVIES + movie)
    user, movie = pair // MOVIES, pair % MOVIES
    liked = 3.6 + 0.4 * rng.normal(size=users)[user] + 0.5 * rng.normal(size=MOVIES)[movie]
    rating = np.rint(liked + 0.9 * rng.normal(size=len(user))).clip(1, 5).astype(int)
    days = rng.integers(0, 2200, len(user)).astype("timedelta64[D]")
    date = (np.datetime64("2000-01-01") + days).astype("datetime64[ms]")
    lines = pl.DataFrame({"movie": movie, "user": user, "rating": rating, "date": date}).select(
        "movie",
        place=pl.int_range(1, pl.len() + 1),
        line=pl.format("{},{},{}", "user", "rating", pl.col("date").dt.strftime("%Y-%m-%d")),
    )
    every = pl.int_range(MOVIES, eager=True)
    heads = pl.DataFrame(
        {"movie": every, "place": pl.repeat(0, MOVIES, dtype=pl.Int64, eager=True)}
    )
    heads = heads.with_columns(line=pl.format("{}:", pl.col("movie") + 1))
    both = pl.concat([lines, heads.select(lines.columns)]).sort("movie", "place")
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(4):
        chosen = both.filter(pl.col("movie") * 4 // MOVIES == part).select("line")
        file = folder / f"combined_data_{part + 1}.txt"
        chosen.write_csv(file, include_header=False, quote_style="never")
    return len(user)


# ---------------------------------------------------------------------- stages, a process each


def convert(work: Path) -> Measures:
    from dataset_prep import netflix

    began = time.perf_counter()
    summary = netflix.convert([work / "raw"], work / "dataset" / "netflix", overwrite=True)
    return {"seconds": time.perf_counter() - began, "ratings": sum(summary.raw_events.values())}


def load(work: Path) -> Measures:
    began = time.perf_counter()
    train, _, _ = _parts(work)
    train.batch(train.training_windows.take(np.arange(128)))
    return {"seconds": time.perf_counter() - began, "events": len(train.sessions.items)}


def impute(work: Path) -> Measures:
    from recbole_lpi.plugin import imputation_model as imputation
    from recbole_lpi.training.settings import TrainingSettings

    train, valid, _ = _parts(work)
    settings = TrainingSettings.of(train.config)
    shutil.rmtree(settings.imputation_dir, ignore_errors=True)  # or an earlier fit would be found
    began = time.perf_counter()
    imputation.resolve(settings, torch.device("cpu"), train, valid, False)
    return {"seconds": time.perf_counter() - began}


def epoch(work: Path) -> Measures:
    from recbole_lpi.plugin.model_factory import make_model
    from recbole_lpi.plugin.trainer import PolicyTrainer

    train, _, _ = _parts(work)
    model = make_model(train.config, train)
    trainer = PolicyTrainer(train.config, model)
    began = time.perf_counter()
    trainer.fit(train, None, saved=False)
    targets = float(train.training_windows.targets.sum())
    return {"seconds": time.perf_counter() - began, "targets": targets}


STAGES: dict[str, Stage] = {
    "convert": convert, "load to first batch": load, "impute": impute, "LPICB epoch": epoch,
}  # fmt: skip


def _parts(work: Path) -> Any:
    from recbole_lpi.plugin.dataset import PolicyDataset
    from recbole_lpi.plugin.runner import make_config
    from recbole_lpi.training.memory import keep_freed_memory

    keep_freed_memory()
    held = max(2, round(0.042 * int((work / "users").read_text())))  # 20,000 of 472,987
    given = {
        **LIKE_NETFLIX, "data_path": str(work / "dataset"), "split_ratio": [None, held, held],
        "imputation_dir": str(work / "imputation"), "session_cache_dir": "none",
    }  # fmt: skip
    return PolicyDataset(make_config("LPICB", "netflix", (), given)).build()


def main(
    fraction: Annotated[list[float] | None, typer.Option(help="Of Netflix's users; repeat")] = None,
    work: Annotated[Path, typer.Option(help="Folder for the logs")] = Path("runs/netflix_scale"),
    stage: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Print a row for each stage and fraction, then growth and extrapolation, in Markdown."""
    if stage is not None:
        answer(STAGES, stage, work)
        return
    fractions = sorted(fraction or [0.05, 0.1])
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print("| fraction | stage | seconds | peak, GiB | |")
    print("| - | - | - | - | - |")
    found: dict[tuple[float, str], Measures] = {}
    for part in fractions:
        folder = work / f"{part:g}"
        users = round(part * USERS)
        if not (folder / "users").is_file():
            generate(folder / "raw", users)
            (folder / "users").write_text(str(users))
        for name in STAGES:
            one = found[part, name] = measured(__file__, name, folder)
            more = ", ".join(f"{value:,.0f} {key}" for key, value in one.items()
                             if key not in ("seconds", "CPU", "GiB"))  # fmt: skip
            print(f"| {part:g} | {name} | {one['seconds']:.1f} | {one['GiB']:.2f} | {more} |",
                  flush=True)  # fmt: skip
    if len(fractions) > 1:
        less, most = fractions[0], fractions[-1]
        print("\n| stage | seconds grow as users to the power of | whole, hours | whole, GiB |")
        print("| - | - | - | - |")
        for name in STAGES:
            a, b = found[less, name], found[most, name]
            exponent = power(a["seconds"], b["seconds"], most / less)
            memory = b["GiB"] + (b["GiB"] - a["GiB"]) / (most - less) * (1 - most)
            hours = b["seconds"] * (1 / most) ** max(exponent, 1) / 3600
            print(f"| {name} | {exponent:.2f} | {hours:.2f} | {memory:.1f} |")


if __name__ == "__main__":
    typer.run(main)
