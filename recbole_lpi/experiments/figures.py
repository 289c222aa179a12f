"""The trade-off as a figure: purchases against clicks, every policy named beside its point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from textwrap import fill
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from recbole_lpi import text
from recbole_lpi.experiments.comparison import Cell, ComparedPolicy, Comparison
from recbole_lpi.experiments.figure_style import COLOURS as COLOURS
from recbole_lpi.experiments.figure_style import SETTINGS as SETTINGS
from recbole_lpi.experiments.figure_style import check_suffix as check_suffix
from recbole_lpi.experiments.figure_style import write as write
from recbole_lpi.experiments.grouping import label
from recbole_lpi.experiments.label_placement import along, around, settle
from recbole_lpi.settings import SettingError

NAME = 34  # characters of a line of a policy's name
FAR = 2.0  # quartile distances beyond the quartiles at which a policy is outside the frame


def trade_off_metrics(k: int) -> tuple[str, str]:
    """Names of the metrics that the two axes show: x, y."""
    return f"click_ndcg@{k}", f"purchase_ndcg@{k}"


def trade_off(comparison: Comparison, k: int) -> Figure:
    """Purchase nDCG@k against click nDCG@k of every policy; bars are one standard error.

    Policies of one model that differ in ``beta`` alone are joined along it. Filled points are on
    the Pareto front of the means, which is dashed. The frame is set around most of the policies;
    one far from them is an arrow at the frame, with its values. SettingError where there is no
    purchase or no click to draw.
    """
    for kind, events in comparison.events.items():
        if not events:
            raise SettingError(f"no {kind} in the test part: there is no trade-off to draw")
    lines = [
        [_Point.of(policy, words, colour, k) for policy, words in line]
        for line, colour in _coloured(_series(comparison.policies))
    ]
    points = [point for line in lines for point in line]
    front = pareto_front([(point.x.mean, point.y.mean) for point in points])
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(7, 5.4), layout="constrained", dpi=150)
        axes = figure.add_subplot()
        left, right = _limits([point.x for point in points])
        bottom, top = _limits([point.y for point in points])
        axes.set(xlim=(left, right), ylim=(bottom, top))
        for line in lines:
            _draw(axes, line, {points.index(point) for point in line} & set(front), points)
        _draw_front(axes, [points[n] for n in front])
        axes.set_xlabel(f"click nDCG@{k}")
        axes.set_ylabel(f"purchase nDCG@{k}")
        axes.set_title(
            f"{text.figure(comparison.dataset)}, test part\n"
            f"bars: one standard error over {comparison.over}; dashed, filled: Pareto front",
            fontsize=9,
        )
        axes.grid(alpha=0.2)
        figure.draw_without_rendering()  # where things are is known from here on
        _name(axes, lines)
    return figure


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Places of the points that no other is at least as good as in both, better in one; by x."""
    ordered = sorted(range(len(points)), key=lambda n: points[n], reverse=True)
    front: list[int] = []
    for n in ordered:
        if not front or points[n][1] > points[front[-1]][1] or points[n] == points[front[-1]]:
            front.append(n)
    return front[::-1]


class _Point(NamedTuple):
    """A policy in the figure."""

    words: str
    colour: str
    x: Cell
    y: Cell

    @classmethod
    def of(cls, policy: ComparedPolicy, words: str, colour: str, k: int) -> _Point:
        """The point of ``policy``, with these words beside it."""
        x, y = trade_off_metrics(k)
        return cls(words, colour, policy.cells[x], policy.cells[y])


def _series(policies: Sequence[ComparedPolicy]) -> list[list[tuple[ComparedPolicy, str]]]:
    """Policies that differ in β alone together, in its order, each with what is written beside it.

    The first of a line has the name of all, each of them its β.
    """
    series: dict[str, list[ComparedPolicy]] = {}
    for policy in policies:
        rest = {key: value for key, value in policy.differing.items() if key != "beta"}
        series.setdefault(policy.name or label(policy.model, rest), []).append(policy)
    named = []
    for name, line in series.items():
        if len(line) == 1:  # nothing to join: β, if it is told, belongs to the name
            named.append([(line[0], fill(text.figure(line[0].label), NAME))])
            continue
        line.sort(key=lambda policy: float(policy.differing.get("beta") or 0))
        betas = [text.figure(f"β = {policy.differing.get('beta')}") for policy in line]
        betas[0] = f"{fill(text.figure(name), NAME)}\n{betas[0]}"
        named.append(list(zip(line, betas, strict=True)))
    return named


def _coloured(
    series: Sequence[list[tuple[ComparedPolicy, str]]],
) -> Iterator[tuple[list[tuple[ComparedPolicy, str]], str]]:
    """Give each line a colour of its own; single policies share one."""
    number = 0
    for line in series:
        number += len(line) > 1
        yield line, COLOURS[1:][(number - 1) % len(COLOURS[1:])] if len(line) > 1 else COLOURS[0]


def _limits(cells: Sequence[Cell]) -> tuple[float, float]:
    """An axis around the policies that are not far from most of them, bars included."""
    means = np.array([cell.mean for cell in cells])
    errors = np.nan_to_num([cell.stderr for cell in cells])  # of one session there is no error
    low, high = np.quantile(means, (0.25, 0.75))
    far = FAR * max(high - low, float(np.median(errors)))
    inside = (means >= low - far) & (means <= high + far)
    if inside.sum() < max(3, len(cells) / 2):
        inside[:] = True
    least, most = (means - errors)[inside].min(), (means + errors)[inside].max()
    margin = 0.08 * (most - least) or 0.01
    return float(least - margin), float(most + margin)


def _inside(axes: Axes, point: _Point) -> bool:
    """Whether a point lies within the frame."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    return left <= point.x.mean <= right and bottom <= point.y.mean <= top


def _place(axes: Axes, point: _Point) -> tuple[float, float]:
    """The place where a point is drawn: its values, or the nearest place within the frame."""
    places = []
    for value, (low, high) in ((point.x.mean, axes.get_xlim()), (point.y.mean, axes.get_ylim())):
        inset = 0.015 * (high - low)
        places.append(value if low <= value <= high else min(max(value, low + inset), high - inset))
    return places[0], places[1]


def _draw(axes: Axes, line: list[_Point], front: set[int], points: list[_Point]) -> None:
    """Draw a line's points with their bars; an arrow at the frame for one outside of it."""
    colour = line[0].colour
    within = [point for point in line if _inside(axes, point)]
    if len(line) > 1:
        axes.plot([p.x.mean for p in line], [p.y.mean for p in line], color=colour, lw=1, zorder=2)
    for point in within:
        axes.errorbar(
            point.x.mean, point.y.mean, xerr=point.x.stderr, yerr=point.y.stderr,
            color=colour, elinewidth=0.7, alpha=0.35, fmt="none", zorder=1,
        )  # fmt: skip
        filled = points.index(point) in front
        axes.plot(
            point.x.mean, point.y.mean, "o", color=colour, ms=5.5, zorder=3,
            mfc=colour if filled else "white",
        )  # fmt: skip
    for point in (point for point in line if point not in within):
        x, y = _place(axes, point)
        away = np.sign([point.x.mean - x, point.y.mean - y]) * (
            (not axes.get_xlim()[0] <= point.x.mean <= axes.get_xlim()[1]),
            (not axes.get_ylim()[0] <= point.y.mean <= axes.get_ylim()[1]),
        )
        turned = float(np.degrees(np.arctan2(away[1], away[0]))) - 90
        axes.plot(x, y, marker=(3, 0, turned), color=colour, ms=8, zorder=3)


def _draw_front(axes: Axes, front: list[_Point]) -> None:
    """Draw the Pareto front as steps, on to the frame."""
    xs = [min(axes.get_xlim()[0], front[0].x.mean), *(point.x.mean for point in front)]
    ys = [front[0].y.mean, *(point.y.mean for point in front)]
    axes.plot(
        [*xs, xs[-1]], [*ys, axes.get_ylim()[0]],
        drawstyle="steps-pre", color="0.5", ls="--", lw=0.8, zorder=1, scalex=False, scaley=False,
    )  # fmt: skip


def _name(axes: Axes, lines: Sequence[list[_Point]]) -> None:
    """Write each policy's words beside its point, crowded points first, where they cover least."""
    at = {point: axes.transData.transform(_place(axes, point)) for line in lines for point in line}
    taken = np.concatenate([_drawn(axes, line, at) for line in lines])
    places = np.array(list(at.values()))
    pixels = axes.figure.dpi / 72

    def crowd(point: _Point) -> int:
        return int((np.hypot(*(places - at[point]).T) < 60 * pixels).sum())

    for point in sorted(at, key=crowd, reverse=True):
        words = point.words
        if not _inside(axes, point):
            words = f"{words}\n({point.x.mean:.3f}, {point.y.mean:.3f})"
        note = axes.annotate(
            words, _place(axes, point), (0, 0), textcoords="offset points", fontsize=8,
            color=point.colour, ha="center", va="center", linespacing=1.1,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip
        taken = np.concatenate([taken, settle(axes, note, at[point], taken, pixels)])


def _drawn(axes: Axes, line: list[_Point], at: dict[_Point, np.ndarray]) -> np.ndarray:
    """Boxes of a line's markers and of the line itself in short pieces."""
    size = 4.5 * axes.figure.dpi / 72
    boxes = [around(at[point], np.array([size, size])) for point in line]
    for start, end in pairwise(axes.transData.transform([(p.x.mean, p.y.mean) for p in line])):
        boxes.append(along(start, end))
    return np.concatenate(boxes)
