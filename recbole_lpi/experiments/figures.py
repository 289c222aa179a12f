"""The trade-off as a figure: purchases against clicks, a policy's points joined along β."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import fill
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

from recbole_lpi import text
from recbole_lpi.experiments.comparison import Cell, ComparedPolicy, Comparison
from recbole_lpi.experiments.grouping import label
from recbole_lpi.files import replacing
from recbole_lpi.settings import SettingError

SUFFIXES = (".png", ".svg", ".pdf")
# Okabe and Ito (2008), without yellow, which is too light for a point on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
MARKERS = "osD^vP*X"
LEGEND = 80  # characters of a line
# Where a text may stand, in points from its point.
SIDES = ((7, 7), (7, -13), (-7, 7), (-7, -13), (7, 18), (7, -24), (-7, 18), (-7, -24))
SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "recbole_lpi", "font.size": 9}


def trade_off_metrics(k: int) -> tuple[str, str]:
    """What the two axes show: x, y."""
    return f"click_ndcg@{k}", f"purchase_ndcg@{k}"


def check_suffix(path: Path) -> None:
    """SettingError unless a figure can be written by that name."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingError(f"--figure must end in one of {', '.join(SUFFIXES)}, got {path}")


def trade_off(comparison: Comparison, k: int) -> Figure:
    """Purchase nDCG@k against click nDCG@k of every policy; bars are one standard error.

    Policies of one model that differ in ``beta`` alone are joined along it. SettingError where
    there is no purchase or no click to draw.
    """
    x, y = trade_off_metrics(k)
    for kind, events in comparison.events.items():
        if not events:
            raise SettingError(f"no {kind} in the test part: there is no trade-off to draw")
    series = {
        fill(text.figure(name), LEGEND): line for name, line in _series(comparison.policies).items()
    }
    columns = 2 if len(series) > 8 and max(map(len, series)) < LEGEND // 2 else 1
    height = 4.2 + 0.2 * sum(name.count("\n") + 1 for name in series) / columns
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(6, height), layout="constrained", dpi=150)
        axes = figure.add_subplot()
        lines: list[list[_Note]] = []
        for number, (name, line) in enumerate(series.items()):
            cells = [(policy.cells[x], policy.cells[y]) for policy in line]
            colour = COLOURS[number % len(COLOURS)]
            axes.errorbar(
                [cell.mean for cell, _ in cells],
                [cell.mean for _, cell in cells],
                xerr=[cell.stderr for cell, _ in cells],
                yerr=[cell.stderr for _, cell in cells],
                color=colour,
                marker=MARKERS[number % len(MARKERS)],
                linestyle="-" if len(line) > 1 else "none",
                elinewidth=0.6,
                capsize=2,
                label=name,
            )
            betas = [text.figure(f"β = {policy.differing.get('beta')}") for policy in line]
            lines.append([_Note(b, colour, *at) for b, at in zip(betas, cells, strict=True)])
        axes.set_xlabel(f"click nDCG@{k}")
        axes.set_ylabel(f"purchase nDCG@{k}")
        axes.set_title(
            f"{text.figure(comparison.dataset)}, test part\n"
            f"bars: one standard error over {comparison.over}"
        )
        axes.grid(alpha=0.3)
        figure.legend(loc="outside lower center", frameon=False, ncols=columns)
        figure.draw_without_rendering()  # where things are is known from here on
        _annotate(axes, lines)
    return figure


def write(figure: Figure, path: Path) -> None:
    """As PNG, SVG or PDF by the suffix; beside, then renamed into place."""
    check_suffix(path)
    kind = path.suffix.lower().removeprefix(".")
    undated: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with matplotlib.rc_context(SETTINGS), replacing(path) as scratch:
        figure.savefig(scratch, format=kind, metadata=undated)


def _series(policies: Sequence[ComparedPolicy]) -> dict[str, list[ComparedPolicy]]:
    """Policies by what they are but for β, in its order."""
    series: dict[str, list[ComparedPolicy]] = {}
    for policy in policies:
        rest = {key: value for key, value in policy.differing.items() if key != "beta"}
        series.setdefault(policy.name or label(policy.model, rest), []).append(policy)
    for name, line in list(series.items()):
        if len(line) == 1:  # nothing to join: β, if it is told, belongs to the name
            series = {(line[0].label if n == name else n): of for n, of in series.items()}
        line.sort(key=lambda policy: float(policy.differing.get("beta") or 0))
    return series


class _Note(NamedTuple):
    """A text for a point."""

    text: str
    colour: str
    x: Cell
    y: Cell


def _annotate(axes: Axes, lines: Sequence[Sequence[_Note]]) -> None:
    """Write the texts of each line beside its points, on the side where they cover least."""
    taken = [box for line in lines for box in _drawn(axes, line)]
    for words, colour, x, y in (note for line in lines if len(line) > 1 for note in line):
        best: tuple[float, Annotation, Bbox] | None = None
        for dx, dy in SIDES:
            note = axes.annotate(
                words, (x.mean, y.mean), (dx, dy), textcoords="offset points", fontsize=8,
                color=colour, ha="left" if dx > 0 else "right",
                path_effects=[withStroke(linewidth=2, foreground="white")],
            )  # fmt: skip
            box = note.get_window_extent()
            covered = sum(_overlap(box, other) for other in taken)
            covered += box.width * box.height - _overlap(box, axes.bbox)
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = covered, note, box
            else:
                note.remove()
        assert best is not None
        taken.append(best[2])


def _drawn(axes: Axes, line: Sequence[_Note]) -> list[Bbox]:
    """Boxes, in pixels, of a line's markers, error bars, and the line itself in short pieces."""
    at = axes.transData.transform([(x.mean, y.mean) for _, _, x, y in line])
    bars = axes.transData.transform(
        [(x.mean + x.stderr, y.mean + y.stderr) for _, _, x, y in line]
    ) - at  # fmt: skip
    boxes = [
        _around(point, half)
        for point, (dx, dy) in zip(at, bars, strict=True)
        for half in ((8, 8), (dx, 2), (2, dy))
    ]
    for start, end in pairwise(at):
        pieces = np.linspace(start, end, int(np.hypot(*(end - start)) / 5) + 2)
        boxes += [_around(piece, (3, 3)) for piece in pieces]
    return boxes


def _around(point: np.ndarray, half: tuple[float, float]) -> Bbox:
    return Bbox.from_extents(*(point - half), *(point + half))


def _overlap(a: Bbox, b: Bbox) -> float:
    common = Bbox.intersection(a, b)
    return 0.0 if common is None else float(common.width * common.height)
