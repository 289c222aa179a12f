"""The picture at the top of the README: ``python docs/figures/overview.py`` writes overview.svg.

The background is transparent: boxes are light with dark text, arrows are of a grey that shows on
white as on black.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

DARK, GREY, BLUE, ORANGE, GREEN = "#1f2328", "#808890", "#ddebf7", "#fde5d3", "#ddf1e4"
Place = tuple[float, float, float, float]  # left, bottom, width, height
LOG, MU, PI, TABLE = (0, 0, 25, 30), (37, 18, 27, 12), (37, 0, 27, 12), (76, 0, 24, 30)


def box(axes: Axes, place: Place, colour: str, title: str, lines: str, mono: bool = False) -> None:
    """A box with a title and some lines below it."""
    left, bottom, width, height = place
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom), width, height, boxstyle="round,pad=0,rounding_size=1.2",
            facecolor=colour, edgecolor=GREY, linewidth=1,
        )
    )  # fmt: skip
    top = bottom + height - 2.9
    axes.text(
        left + width / 2, top, title, ha="center", va="center", weight="bold", color=DARK, size=10
    )
    axes.text(
        left + width / 2, (bottom + top - 1.4) / 2, lines, ha="center", va="center", color=DARK,
        size=8, linespacing=1.45, family="DejaVu Sans Mono" if mono else "DejaVu Sans",
    )  # fmt: skip


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    style: str = "-|>",
    line: str = "solid",
) -> None:
    """Draw an arrow from one place to another."""
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle=style, mutation_scale=12, color=GREY, linewidth=1.5,
            shrinkA=2, shrinkB=2, linestyle=line,
        )
    )  # fmt: skip


def draw() -> Figure:
    """Log, logging policy, policy and table, and what leads from one to the next."""
    figure = Figure(figsize=(8.6, 2.75))
    axes = figure.add_axes((0.005, 0.01, 0.99, 0.98))
    axes.set(xlim=(-0.5, 100.5), ylim=(-0.7, 31))
    axes.axis("off")
    rows = "item  event      r\nlamp  click    0.2\nsofa  click    0.2\nlamp  purchase 1.0"
    box(axes, LOG, BLUE, "log", f"a session:\n{rows}\n\nmany sessions", mono=True)
    box(
        axes,
        MU,
        BLUE,
        "logging policy μ̂",
        "estimate of what made the log:\nevery event counts alike",
    )
    box(axes, PI, ORANGE, "policy π", "events that turned out well\ncount more; β limits the move")
    box(
        axes, TABLE, GREEN, "table",
        "on sessions held out:\n\nranks of purchases\nranks of clicks\n\n"
        "divergence: how far\nπ moved from μ̂",
    )  # fmt: skip
    arrow(axes, (25, 24), (37, 24))
    arrow(axes, (25, 6), (37, 6))
    arrow(axes, (50.5, 18), (50.5, 12), "<|-|>", "dashed")
    arrow(axes, (64, 24), (76, 24))
    arrow(axes, (64, 6), (76, 6))
    for x, y, words in (
        (31, 25.3, "fit"),
        (31, 7.3, "weighted fit"),
        (58.3, 14.9, "distance, by β"),
    ):
        axes.text(x, y, words, ha="center", va="center" if x > 50 else "bottom", color=GREY, size=8)
    return figure


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg")
    with matplotlib.rc_context({"svg.hashsalt": "recbole_lpi"}):  # text as paths: one look anywhere
        kind = target.suffix.removeprefix(".")
        metadata = {"Date": None} if kind == "svg" else None
        draw().savefig(target, transparent=True, dpi=150, metadata=metadata)
