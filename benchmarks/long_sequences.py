"""What 200 positions cost: attention with and without dropout, and what padding wastes.

    python benchmarks/long_sequences.py --dataset=ml-100k

A training step's encoder, forward and backward, at the shape of paper 4.1 (200 positions, 200
units, 8 heads, 2 layers), in turn in one process; the peak is what a step takes above what stays.
Then how many positions and attention weights of an epoch of a data set are padding: with batches of
like length, and with every session padded to the longest, as RecBole pads.
"""

from __future__ import annotations

import statistics
import time
from typing import Annotated

import numpy as np
import torch
import typer
from torch.profiler import ProfilerActivity, profile

from recbole_lpi.data.windows import training_batches
from recbole_lpi.nn.sasrec import SASRec
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config

POSITIONS, UNITS, HEADS, LAYERS = 200, 200, 8, 2


def encoder(attention_dropout: float) -> SASRec:
    """The paper's, in training mode."""
    return SASRec(
        hidden_size=UNITS, n_layers=LAYERS, n_heads=HEADS, inner_size=4 * UNITS,
        hidden_dropout_prob=0.2, attn_dropout_prob=attention_dropout, hidden_act="gelu",
        layer_norm_eps=1e-12, max_length=POSITIONS,
    )  # fmt: skip


def step(net: SASRec, sessions: int) -> None:
    """Forward and backward of a batch without padding."""
    net.zero_grad()
    net(torch.randn(sessions, POSITIONS, UNITS)).square().mean().backward()


def peak_mib(net: SASRec, sessions: int) -> float:
    """Largest amount of memory that a step holds at once, in MiB."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step(net, sessions)
    held = peak = 0
    for event in recorded.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 2**20


def padding(dataset: str, data_path: str | None) -> None:
    """Print the share of padding among an epoch's positions and attention weights."""
    given = {"logging_policy": "none"} | ({"data_path": data_path} if data_path else {})
    config = make_config("LoggingPolicy", dataset, (), given)
    train = PolicyDataset(config).build()[0]
    windows, size = train.training_windows, int(config["train_batch_size"])
    batches = training_batches(windows, size, np.random.default_rng(0))
    length = windows.inputs.astype(np.float64)
    longest = np.concatenate([np.full(len(b), length[b].max()) for b in batches])
    print(f"\n{dataset}: {len(windows)} sessions, {length.mean():.0f} positions on average, "
          f"{length.max():.0f} at most, {size} a batch\n")  # fmt: skip
    print("| padded to | positions that are padding | attention weights that are |")
    print("| - | - | - |")
    for name, padded in (
        ("the longest of a batch of like length", longest),
        ("the longest of all", np.full(len(windows), length.max())),
    ):
        shares = (1 - length.sum() / padded.sum(), 1 - (length**2).sum() / (padded**2).sum())
        print(f"| {name} | {shares[0]:.1%} | {shares[1]:.1%} |")


def main(
    dataset: Annotated[str, typer.Option(help="For the padding")] = "ml-100k",
    data_path: Annotated[str | None, typer.Option(help="Folder that holds it")] = None,
    sessions: Annotated[int, typer.Option(help="In the timed batch")] = 32,
    repeats: Annotated[int, typer.Option(help="Timed steps of each")] = 5,
    threads: Annotated[int, typer.Option(help="Of torch")] = 1,
) -> None:
    """Print both tables in Markdown."""
    torch.set_num_threads(threads)
    nets = {dropout: encoder(dropout) for dropout in (0.0, 0.2)}
    times: dict[float, list[float]] = {dropout: [] for dropout in nets}
    for round_ in range(repeats + 1):
        for dropout, net in nets.items():
            began = time.process_time()
            step(net, sessions)
            if round_:  # the first warms up
                times[dropout].append(time.process_time() - began)
    print(f"torch {torch.__version__}, {threads} threads, {sessions} sessions of {POSITIONS}\n")
    print("| dropout of attention weights | CPU seconds a step | peak, MiB |")
    print("| - | - | - |")
    for dropout, net in nets.items():
        print(f"| {dropout:g} | {statistics.median(times[dropout]):.2f} "
              f"| {peak_mib(net, sessions):.0f} |")  # fmt: skip
    padding(dataset, data_path)


if __name__ == "__main__":
    typer.run(main)
