"""What a training step costs beyond the encoder: loss, gradient and Adam over the whole catalogue.

    python benchmarks/step_cost.py            # make bench; a few minutes on two cores

LPIRL (Q head, double Q-learning) and LoggingPolicy, each by the catalogue pass in chunks and by its
plain form; at the number of items of the YooChoose sample and of RetailRocket. All four are timed
in turn in one process, and the medians are printed with their ratios. Peak memory is that of a
process of its own, above what model, gradients and optimiser hold.
"""

from __future__ import annotations

import multiprocessing
import platform
import resource
import statistics
import time
from collections.abc import Callable
from typing import Annotated

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from recbole_lpi.models import estimation
from recbole_lpi.models.estimation import Events, Heads
from recbole_lpi.nn.catalogue import Table, catalogue_pass, plain_pass
from recbole_lpi.nn.heads import QHead
from recbole_lpi.objectives import OBJECTIVES, ObjectiveSettings

FORMS = {"chunks": catalogue_pass, "plain": plain_pass}
MODELS = ("LoggingPolicy", "LPIRL")
SIZES = ((17_834, 1_200), (17_834, 5_120), (70_852, 1_200), (70_852, 5_120))
HIDDEN = 64


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
        pair = QHead(items, HIDDEN), QHead(items, HIDDEN)
        parameters += [p for head in pair for p in head.parameters()]
        heads = Heads(q=pair)
    optimiser = torch.optim.Adam(parameters)
    common = logged, Table(embedding), OBJECTIVES[model], ObjectiveSettings(), heads

    def step() -> Tensor:
        estimation.catalogue_pass = FORMS[form]  # type: ignore
        optimiser.zero_grad()
        state.grad = None
        learnt = estimation.learn(*common)
        loss = learnt.policy.loss
        for error in learnt.td_errors.values():
            loss = loss + error.mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.detach()

    return step


def peak_memory(model: str, form: str, items: int, events: int, threads: int) -> float:
    """GiB that a step takes above what stays: parameters, gradients, optimiser."""
    torch.set_num_threads(threads)
    training_step(model, "chunks", items, 8)()  # whatever loads with the first step
    step = training_step(model, form, items, events)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20


def main(
    repeats: Annotated[int, typer.Option(help="Timed steps of each")] = 5,
    threads: Annotated[int, typer.Option(help="0: as many as torch takes")] = 0,
) -> None:
    """Print the table in Markdown."""
    threads = threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} threads, {platform.processor() or 'CPU'}\n")
    print("| items | events | model | chunks, s | plain, s | ratio | chunks, GiB | plain, GiB |")
    print("| - | - | - | - | - | - | - | - |")
    spawn = multiprocessing.get_context("spawn")
    for items, events in SIZES:
        steps = {
            (model, form): training_step(model, form, items, events)
            for model in MODELS
            for form in FORMS
        }
        times: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
        for round_ in tqdm(range(repeats + 1), desc=f"{items} items, {events} events", leave=False):
            for key, step in steps.items():
                began = time.perf_counter()
                step()
                if round_:  # the first warms up
                    times[key].append(time.perf_counter() - began)
        del steps
        median = {key: statistics.median(values) for key, values in times.items()}
        for model in MODELS:
            peaks = []
            for form in FORMS:
                with spawn.Pool(1) as pool:
                    peaks.append(pool.apply(peak_memory, (model, form, items, events, threads)))
            chunks, plain = (median[model, form] for form in FORMS)
            print(
                f"| {items:,} | {events:,} | {model} | {chunks:.3f} | {plain:.3f} "
                f"| {plain / chunks:.1f} | {peaks[0]:.2f} | {peaks[1]:.2f} |"
            )
        print(
            f"| {items:,} | {events:,} | LPIRL / LoggingPolicy "
            f"| {median['LPIRL', 'chunks'] / median['LoggingPolicy', 'chunks']:.2f} "
            f"| {median['LPIRL', 'plain'] / median['LoggingPolicy', 'plain']:.2f} | | | |",
            flush=True,
        )


if __name__ == "__main__":
    typer.run(main)
