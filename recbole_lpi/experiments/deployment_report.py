"""What came of repeated deployment: a table of the rounds, and a figure of values over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.experiments import figures
from recbole_lpi.experiments.deployment import Round

MARKERS = "osD^vPX*"


class OverSeeds(NamedTuple):
    """A number of each round [R], over the seeds of a contender.

    Attributes:
        mean, stderr: the error is over seeds, or of one seed over its users.
        rose: in how many of the seeds the value rose in this round by more than two errors, and
            fell: by which it fell.
        seeds: how many there are.
    """

    mean: np.ndarray
    stderr: np.ndarray
    rose: np.ndarray
    fell: np.ndarray
    seeds: int


def over_seeds(runs: Sequence[Sequence[Round]], name: str = "gain") -> OverSeeds:
    """Join the runs of one contender, each of the same number of rounds."""
    cells: list[list[Estimate]] = [[getattr(row, name) for row in run] for run in runs]
    mean = np.array([[cell.mean for cell in run] for run in cells])
    if len(runs) > 1:
        stderr = mean.std(0, ddof=1) / len(runs) ** 0.5
    else:
        stderr = np.array([cell.stderr for cell in cells[0]])
    steps = np.array([[row.step.mean / row.step.stderr for row in run] for run in runs])
    return OverSeeds(mean.mean(0), stderr, (steps > 2).sum(0), (steps < -2).sum(0), len(runs))


def markdown(results: Mapping[str, Sequence[Sequence[Round]]], first: Estimate) -> str:
    """Return the tables: gains by round, and whether values rose.

    Args:
        results: of each contender, the rounds of each seed.
        first: J(μ₀), what the first logging policy is worth.
    """
    rounds = len(next(iter(results.values()))[0])
    head = " | ".join(f"round {n}" for n in range(1, rounds + 1))
    lines = [
        f"J(π) − J(μ₀): reward of a session beyond the first logging policy's, {first.mean:.4f}.",
        "",
        f"| policy | seeds | {head} |",
        "| - | -: |" + " -: |" * rounds,
    ]
    for name, runs in results.items():
        found = over_seeds(runs)
        cells = (f"{m:+.4f} ± {e:.4f}" for m, e in zip(found.mean, found.stderr, strict=True))
        lines.append(f"| {text.markdown(name)} | {found.seeds} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "± is one standard error over seeds; of one seed, over users. In how many seeds the value "
        "rose / fell by more than two errors on the round before, and the divergence JS from the "
        "policy that logged, in nats:",
        "",
        f"| policy | {head} |",
        "| - |" + " -: |" * rounds,
    ]
    for name, runs in results.items():
        found = over_seeds(runs)
        js = np.array([[row.js for row in run] for run in runs]).mean(0)
        cells = (
            f"{up} / {down}, {d:.3f}"
            for up, down, d in zip(found.rose, found.fell, js, strict=True)
        )
        lines.append(f"| {text.markdown(name)} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def over_rounds(results: Mapping[str, Sequence[Sequence[Round]]], first: Estimate) -> Figure:
    """Draw J(π) over the rounds, every contender named at the end of its line.

    Args: as of ``markdown``.
    """
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=150)
        axes = figure.subplots()
        ends = []
        for number, (name, runs) in enumerate(results.items()):
            found = over_seeds(runs, "gain")
            value = first.mean + np.concatenate([[0.0], found.mean])
            stderr = np.concatenate([[0.0], found.stderr])
            colour = figures.COLOURS[number % len(figures.COLOURS)]
            axes.errorbar(
                np.arange(len(value)), value, stderr, color=colour, capsize=2, markersize=4,
                marker=MARKERS[number % len(MARKERS)], linewidth=1.2,
            )  # fmt: skip
            ends.append((float(value[-1]), name, colour))
        axes.axhline(first.mean, color="0.3", linestyle=":", linewidth=1)
        axes.set_xlabel("round of deployment; 0: the first logging policy")
        axes.set_ylabel("reward of a session, J(π)")
        axes.set_xticks(range(len(value)))
        axes.grid(alpha=0.3)
        low, high = axes.get_ylim()
        _name_ends(axes, ends, len(value) - 1, 0.035 * (high - low))
    return figure


def _name_ends(axes, ends, last: int, apart: float) -> None:  # type: ignore[no-untyped-def]
    """Write names beside the ends of lines, from the lowest, none nearer than ``apart``."""
    place = -np.inf
    for value, name, colour in sorted(ends):
        place = max(value, place + apart)
        axes.annotate(
            text.figure(name), (last, value), (last + 0.12, place), textcoords="data",
            va="center", color=colour, fontsize=8, annotation_clip=False,
        )  # fmt: skip
    longest = max(len(name) for _, name, _ in ends)
    axes.set_xlim(-0.15, last + 0.3 + 0.085 * longest)
