"""What a training step costs beyond the encoder: loss, gradient and Adam over the whole catalogue.

    python benchmarks/step_cost.py            # make bench; a few minutes on two cores

LPIRL (Q head, double Q-learning) and LoggingPolicy, each by the catalogue pass and by its plain
form, and LoggingPolicy by torch's own operation at its best chunk size; at the number of items of
the YooChoose sample and of RetailRocket. All are timed in turn in one process: printed are medians,
and medians of the ratios of a round. Peak memory is that of a process of its own, above what model,
gradients and optimiser hold.
"""

from __future__ import annotations

import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor
from tqdm import tqdm

from benchmarks.peak import added_memory
from recbole_lpi.nn.catalogue import (
    CatalogueStatistics,
    Factors,
    PolicyLoss,
    Table,
    plain_pass,
)
from recbole_lpi.nn.heads import BilinearQHead
from recbole_lpi.nn.repeats import RepeatHead, items_seen
from recbole_lpi.nn.tiled_catalogue import catalogue_pass
from recbole_lpi.objectives import OBJECTIVES, ObjectiveSettings
from recbole_lpi.policy import losses as policy_losses
from recbole_lpi.policy.losses import Events, Heads
from recbole_lpi.training.memory import keep_freed_memory

MODELS = ("LoggingPolicy", "LPIRL")
SIZES = ((17_834, 1_200), (17_834, 5_120), (70_852, 1_200), (70_852, 5_120))
CHUNKS = (64, 128, 256, 512, 1_024)  # of torch's operation; which is best is measured
HIDDEN, LENGTH = 64, 20  # of states, and of sessions
# From 2.13 on torch has an operation for the loss that LoggingPolicy is; before, only its parts.
NATIVE = "linear_cross_entropy" if hasattr(F, "linear_cross_entropy") else "cross_entropy(linear)"

Key = tuple[str, str]  # model, form


def native_pass(
    state: Tensor, action: Tensor, policy: Table, *_: Any, chunk: int = 512
) -> PolicyLoss:
    """Maximum likelihood by torch alone."""
    if hasattr(F, "linear_cross_entropy"):
        options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=chunk)
        loss = F.linear_cross_entropy(state, policy.weight, action, options=options)
    else:
        loss = F.cross_entropy(policy.outputs(state), action)
    return PolicyLoss(loss, torch.ones(len(state)), CatalogueStatistics(loss.detach()))


def form_of(name: str) -> Any:
    """A pass by its name: ``tiles``, ``plain``, or ``native`` with a chunk size."""
    if name.startswith("native"):
        return partial(native_pass, chunk=int(name.split()[1]))
    return {"tiles": catalogue_pass, "repeats": catalogue_pass, "plain": plain_pass}[name]


def histories(items: int, events: int) -> Tensor:
    """Sessions of LENGTH items, of which two in three are of the session already, [B, LENGTH]."""
    begun = torch.randint(1, items + 1, (events // LENGTH, LENGTH))
    back = (torch.rand(begun.shape) * torch.arange(LENGTH)).long()  # to where an item was first
    return torch.where(torch.rand(begun.shape) < 2 / 3, begun.gather(1, back), begun)


def training_step(model: str, form: str, items: int, events: int) -> Callable[[], Tensor]:
    """One step of Adam on ``events`` states over ``items`` items, ready to be called: its loss."""
    torch.manual_seed(0)
    state = torch.randn(events, HIDDEN, requires_grad=True)
    embedding = torch.nn.Parameter(0.1 * torch.randn(items, HIDDEN))
    logged = Events(
        state,
        torch.randint(items, (events,)),
        torch.rand(events),
        torch.full((events,), 0.5),
        torch.zeros(events),
        torch.ones(events),
        torch.ones(events),
    )
    parameters = [embedding]
    heads = Heads()
    if model == "LPIRL":
        pair = BilinearQHead(items, HIDDEN), BilinearQHead(items, HIDDEN)
        parameters += [p for head in pair for p in head.parameters()]
        heads = Heads(q=pair)
    optimiser = torch.optim.Adam(parameters, fused=True)  # as training does
    how = OBJECTIVES[model], ObjectiveSettings(), heads
    catalogue = form_of(form)
    repeat_head, read = RepeatHead(HIDDEN, 2), histories(items, events)
    kinds, everywhere = torch.randint(1, 3, read.shape), torch.ones_like(read, dtype=torch.bool)

    def policy() -> Factors:
        if form != "repeats":
            return Factors(state, Table(embedding))
        seen = items_seen(read, kinds, everywhere, items, 2)
        return Factors(state, Table(embedding), repeat_head(state, seen))

    def step() -> Tensor:
        policy_losses.catalogue_pass = catalogue  # type: ignore[attr-defined]
        optimiser.zero_grad()
        state.grad = None
        losses = policy_losses.compute_losses(logged, policy(), *how)
        loss = losses.policy.loss
        for error in losses.td_errors.values():
            loss = loss + error.mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        repeat_head.zero_grad()
        return loss.detach()

    return step


def seconds(step: Callable[[], Tensor]) -> float:
    """How long one step takes."""
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def best_native(items: int, events: int) -> str:
    """The form of torch's operation with the chunk size that is fastest here, the best of two."""
    times = {}
    for chunk in CHUNKS if NATIVE == "linear_cross_entropy" else CHUNKS[:1]:
        form = f"native {chunk}"
        step = training_step("LoggingPolicy", form, items, events)
        times[form] = min(seconds(step) for _ in range(2))
    return min(times, key=times.__getitem__)


def peak_memory(model: str, form: str, items: int, events: int, threads: int) -> float:
    """GiB that a step takes above what stays: parameters, gradients, optimiser."""
    torch.set_num_threads(threads)
    step = training_step(model, form, items, events)
    step()  # makes gradients and what the optimiser keeps
    return added_memory(step)


def main(
    repeats: Annotated[int, typer.Option(help="Timed steps of each")] = 5,
    threads: Annotated[int, typer.Option(help="0: as many as torch takes")] = 0,
) -> None:
    """Print two tables in Markdown."""
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    keep_freed_memory()
    print(f"torch {torch.__version__}, {threads} threads, {platform.processor() or 'CPU'}; "
          f"torch's own operation is {NATIVE}\n")  # fmt: skip
    print("| items | events | LoggingPolicy, s | LPIRL, s | LPIRL / LoggingPolicy "
          "| with repeats / LoggingPolicy | plain / LoggingPolicy | plain / LPIRL "
          "| torch's, s (its chunk) | LoggingPolicy / torch's |")  # fmt: skip
    print("| - | - | - | - | - | - | - | - | - | - |")
    memory = []
    spawn = multiprocessing.get_context("spawn")
    logging, lpirl, repeating = (
        ("LoggingPolicy", "tiles"), ("LPIRL", "tiles"), ("LoggingPolicy", "repeats"),
    )  # fmt: skip
    for items, events in SIZES:
        native = "LoggingPolicy", best_native(items, events)
        keys: list[Key] = [(model, form) for model in MODELS for form in ("tiles", "plain")]
        keys += [native, repeating]
        steps = {key: training_step(*key, items, events) for key in keys}
        times: dict[Key, list[float]] = {key: [] for key in keys}
        for round_ in tqdm(range(repeats + 1), desc=f"{items} items, {events} events", leave=False):
            for key, step in steps.items():
                took = seconds(step)
                if round_:  # the first warms up
                    times[key].append(took)
        del steps
        median = {key: statistics.median(values) for key, values in times.items()}

        def ratio(above: Key, below: Key, times: dict[Key, list[float]] = times) -> float:
            pairs = zip(times[above], times[below], strict=True)
            return statistics.median(a / b for a, b in pairs)

        print(
            f"| {items:,} | {events:,} | {median[logging]:.3f} | {median[lpirl]:.3f} "
            f"| {ratio(lpirl, logging):.2f} | {ratio(repeating, logging):.2f} "
            f"| {ratio(('LoggingPolicy', 'plain'), logging):.1f} "
            f"| {ratio(('LPIRL', 'plain'), lpirl):.1f} "
            f"| {median[native]:.3f} ({native[1].split()[1]}) | {ratio(logging, native):.2f} |",
            flush=True,
        )
        peaks = []
        for key in keys:
            with spawn.Pool(1) as pool:
                peaks.append(pool.apply(peak_memory, (*key, items, events, threads)))
        memory.append(f"| {items:,} | {events:,} | " + " | ".join(f"{p:.2f}" for p in peaks) + " |")
    print("\n| items | events | LoggingPolicy, GiB | plain | LPIRL, GiB | plain | torch's "
          "| with repeats |")  # fmt: skip
    print("| - | - | - | - | - | - | - | - |")
    print("\n".join(memory))


if __name__ == "__main__":
    typer.run(main)
