"""How fast a policy recommends: many histories, one history, a file of a million sessions.

    python benchmarks/serving_speed.py
    taskset -c 0 python benchmarks/serving_speed.py --only=one

Networks of the default size with random weights: what they recommend is nonsense, and takes as long
as any. Seconds of wall clock and of CPU: where other programs are at work, the second tell more.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import torch
import typer

from benchmarks.peak import kib
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.policy import PolicyNetwork, PolicySettings
from recbole_lpi.serving.batch import recommend_file
from recbole_lpi.serving.onnx_graph import write_graph
from recbole_lpi.serving.onnx_policy import OnnxPolicy, describe_graph
from recbole_lpi.serving.recommender import Recommender
from recbole_lpi.serving.saved_policies import recommender_of
from recbole_lpi.serving.session_files import SessionFile

KINDS = ("click", "purchase")
EVENTS = 4.3  # of a session, on average


def recommender(n_items: int) -> Recommender:
    torch.manual_seed(0)
    network = PolicyNetwork("LPI", PolicySettings(), n_items, event_names=KINDS)
    names = Tokens(["[PAD]", *(f"product {number}" for number in range(n_items))])
    return recommender_of(network.requires_grad_(False), names, "")


def in_onnx(torchs: Recommender, folder: Path, threads: int | None) -> Recommender:
    """The same policy, run by onnxruntime."""
    graph = folder / "policy.onnx"
    write_graph(torchs.policy.network, 20, graph)  # type: ignore[attr-defined]
    about = describe_graph(torchs.policy, torchs.vocabulary, "LPI", 20, graph)
    return Recommender(OnnxPolicy(graph, about, threads), torchs.vocabulary)


def log(sessions: int, n_items: int) -> pl.DataFrame:
    """A row an event, of sessions of geometric length."""
    draws = np.random.default_rng(0)
    length = draws.geometric(1 / EVENTS, sessions)
    number = int(length.sum())
    return pl.DataFrame(
        {
            "session_id": np.repeat(np.arange(sessions), length),
            "item_id": pl.Series(draws.integers(0, n_items, number)).cast(pl.String),
            "event": np.array(KINDS)[(draws.random(number) < 0.05).astype(int)],
            "timestamp": 1.6e9 + np.cumsum(draws.exponential(60, number)),
        }
    ).with_columns(item_id="product " + pl.col("item_id"))


def many(policy: Recommender, name: str, number: int = 1000) -> None:
    histories = log(number, policy.policy.n_items)
    policy.recommend(histories, k=20)
    wall, cpu = timed(lambda: policy.recommend(histories, k=20), 5)
    drawn, _ = timed(lambda: policy.recommend(histories, k=20, sample=True, seed=1), 3)
    print(
        f"{name}, {policy.policy.n_items:,} items: {number} histories in {wall:.3f} s "
        f"({cpu:.3f} s of CPU); drawn in {drawn:.3f} s"
    )


def one(policy: Recommender, name: str, times: int = 500) -> None:
    histories = [
        [(item, kind, at) for _, item, kind, at in of_one.iter_rows()]
        for of_one in log(times, policy.policy.n_items).partition_by("session_id")
    ]
    taken = [timed(lambda x=x: policy.recommend([x], k=20), 1)[0] for x in histories]  # type: ignore[misc]
    middle, late = np.quantile(taken[20:], [0.5, 0.99]) * 1e3
    print(
        f"{name}, {policy.policy.n_items:,} items, one history: median {middle:.1f} ms, p99 "
        f"{late:.1f} ms"
    )


def timed(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Seconds of wall clock and of CPU that it takes, the least of several."""
    found = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        found.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(found)


def file(policy: Recommender, name: str, sessions: int, folder: Path) -> None:
    given, output = folder / "sessions.parquet", folder / "recommendations.parquet"
    log(sessions, policy.policy.n_items).write_parquet(given)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    choice = policy.choice(20)
    wall, cpu = timed(lambda: recommend_file(policy, SessionFile.open(given), output, choice), 1)
    print(
        f"{name}, {policy.policy.n_items:,} items: {sessions:,} sessions of a Parquet file in "
        f"{wall:.0f} s ({cpu:.0f} s of CPU), at most {kib('VmHWM') / 2**20:.2f} GiB; "
        f"{output.stat().st_size / 2**20:.0f} MiB written"
    )


def main(
    only: Annotated[str, typer.Option(help="many, one, file; or all.")] = "all",
    sessions: Annotated[int, typer.Option(help="Of the file.")] = 1_000_000,
    threads: Annotated[int | None, typer.Option(help="None: as many as there are cores.")] = None,
) -> None:
    """Measure and print."""
    if threads:
        torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for n_items in (17_834, 70_852):
            policy = recommender(n_items)
            for name, runs in (("torch", policy), ("ONNX", in_onnx(policy, folder, threads))):
                if only in ("many", "all"):
                    many(runs, name)
                if only in ("one", "all"):
                    one(runs, name)
        if only in ("file", "all"):
            file(recommender(17_834), "torch", sessions, folder)


if __name__ == "__main__":
    typer.run(main)
