"""What the figures of runs share: panels, and names written beside lines instead of a legend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments.figure_style import COLOURS, SETTINGS

MARKERS = "osD^vPX"
NAME = 26  # characters of a line of a name
LINE = 0.06  # of the height of a panel: what a line of a name takes


def look(number: int) -> dict[str, Any]:
    """Return colour and marker of the n-th line: told apart in grey by the marker."""
    return {
        "color": COLOURS[number % len(COLOURS)], "marker": MARKERS[number % len(MARKERS)],
        "markersize": 4,
    }  # fmt: skip


@contextmanager
def panels(rows: int, columns: int, width: float, height: float) -> Iterator[tuple[Figure, Any]]:
    """Make a figure of ``rows`` × ``columns`` panels, each of that size in inches."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained", dpi=150)
        axes = figure.subplots(rows, columns, squeeze=False)
        for place in axes.flat:
            place.grid(alpha=0.25)
        yield figure, axes


def name_lines(axes: Axes, lines: Sequence[tuple[str, float, str]]) -> None:
    """Write names at the right edge of a panel: name, height of the line's end, colour of each.

    Names that would cover each other are moved apart.
    """
    low, high = axes.get_ylim()
    logarithmic = axes.get_yscale() == "log"
    scale = np.log if logarithmic else np.asarray
    ends = [(float(scale(y)) - float(scale(low))) / float(scale(high) - scale(low))
            for _, y, _ in lines]  # fmt: skip
    words = [fill(text.figure(name), NAME) for name, _, _ in lines]
    for n, place in zip(*_apart(ends, [word.count("\n") + 1 for word in words]), strict=True):
        axes.annotate(
            words[n], (1, place), (5, 0), ("axes fraction", "axes fraction"), "offset points",
            fontsize=7, color=lines[n][2], va="center", linespacing=1.0, annotation_clip=False,
        )  # fmt: skip


def _apart(ends: Sequence[float], heights: Sequence[int]) -> tuple[list[int], list[float]]:
    """Move places apart, upwards from the lowest, and the whole down if it runs over the top."""
    order = sorted(range(len(ends)), key=lambda n: ends[n])
    placed: list[float] = []
    for n in order:
        place = min(max(ends[n], 0.0), 1.0)
        if placed:
            before = heights[order[len(placed) - 1]]
            place = max(place, placed[-1] + LINE * (before + heights[n]) / 2)
        placed.append(place)
    excess = max(placed[-1] - 1, 0.0) if placed else 0.0
    return order, [place - excess for place in placed]
