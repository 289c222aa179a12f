"""Time and peak memory of ``recbole-lpi estimate`` on a table of ten million events.

    python benchmarks/estimate_scale.py [--events 10000000] [--folder FOLDER]

The table is made up with a seed and kept in the folder. The command runs in a process of its own;
its peak is what the system counted for it.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

from recbole_lpi.files import replacing


def write_table(path: Path, events: int, seed: int = 0) -> None:
    """Write a log of sessions of one to nine events, text for ids, one reward in twenty."""
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 10, events // 5 + 10)
    sizes = sizes[: int(np.searchsorted(sizes.cumsum(), events)) + 1]
    session = np.repeat(np.arange(len(sizes)), sizes)[:events]
    start = np.repeat(sizes.cumsum() - sizes, sizes)[:events]
    log_mu = -draw.exponential(4.0, events) - 0.5
    frame = pl.DataFrame({
        "session_id": pl.Series(session).cast(pl.String),
        "position": np.arange(events) - start,
        "reward": (draw.random(events) < 0.05).astype(np.float64),
        "log_pi": np.minimum(log_mu + draw.normal(-0.125, 0.5, events), 0.0),
        "log_mu": log_mu,
    })  # fmt: skip
    with replacing(path) as scratch:
        frame.write_parquet(scratch)


def measure(table: Path, output: Path) -> tuple[float, float]:
    """Run the command; return its seconds and the GiB that it held at most."""
    before = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "recbole_lpi", "estimate", "--events", table, "--output", output],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.perf_counter() - before
    return seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    table = given.folder / f"estimate-scale-{given.events}.parquet"
    if not table.exists():
        write_table(table, given.events)
    seconds, memory = measure(table, given.folder / "estimate-scale")
    print(f"{given.events:,} events: {seconds:.1f} s, {memory:.2f} GiB")


if __name__ == "__main__":
    main()
