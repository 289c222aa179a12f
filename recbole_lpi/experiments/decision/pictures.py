"""The figures of a report as SVG that takes the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments import figures
from recbole_lpi.experiments.comparison import Comparison
from recbole_lpi.experiments.decision.content import Content
from recbole_lpi.experiments.decision.evidence import Judged
from recbole_lpi.experiments.forest_figure import GREY, forest
from recbole_lpi.experiments.label_placement import around, settle

# What matplotlib draws in, and what the page calls it.
PAGE_COLOURS = {"#000000": "currentColor", "#ffffff": "var(--surface)"}
PAGE_COLOURS |= {
    colour.lower(): f"var(--line{number})" for number, colour in enumerate(figures.COLOURS)
    if colour != "#000000"
}  # fmt: skip
MARKERS = {"ship": "o", "cannot tell": "s", "hold": "X"}
IDS = re.compile(r'(\bid="|url\(#|href="#)')
POINT = 4.5  # half a marker, in points


@dataclass(frozen=True)
class Picture:
    """A figure of the page.

    Attributes:
        svg: its markup, which holds no text of others unescaped.
        words: what it shows, for who does not see it.
        caption: what is to be known beside it.
    """

    svg: str
    words: str
    caption: str


def pictures(content: Content) -> list[Picture]:
    """Draw the figures that there is something for."""
    found = [gain_over_distance(content)]
    found += _trade_off(content.comparison, content.court.rules.k)
    if content.court.log.impressions:
        first = content.first
        words = f"Off-policy estimates of {first.label} with their intervals; the table has them."
        report = first.own.estimates[0].report
        drawn = forest([report], content.court.rules.level)
        caption = (
            f"Estimates of {first.label}, of its first run. Filled: usable. Grey: refused, and why."
        )
        found.append(_picture(drawn, words, caption, len(found)))
    return [one for one in found if one is not None]


def gain_over_distance(content: Content) -> Picture | None:
    """Draw what each policy gains over how far it moves from the logging policy, with the budget.

    None where no distance or no gain is known.
    """
    points = [(one, one.own.js, _gain(one, content)) for one in content.judged]
    known = [(one, js, gain) for one, js, gain in points if js is not None and gain is not None]
    if not known:
        return None
    budget = content.court.rules.max_js
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(7, 4), layout="constrained", dpi=150)
        axes = figure.add_subplot()
        axes.axhline(0, color="#000000", lw=0.8)
        for one, js, (gain, half) in known:
            colour = figures.COLOURS[{"ship": 2, "cannot tell": 0, "hold": 1}[one.decision.word]]
            filled = colour if content.court.usable(one.own) else "#ffffff"
            axes.errorbar(
                js, gain, half, color=colour, fmt=MARKERS[one.decision.word], ms=7, mfc=filled
            )
        axes.set_xlim(left=0)
        axes.margins(0.12)
        if budget is not None:
            axes.axvline(budget, color="#000000", lw=0.8, ls="--")
            axes.set_xlim(0, max(axes.get_xlim()[1], budget * 1.15))
            axes.annotate(f"budget {budget:g}", (budget, 0.98), (4, 0), ("data", "axes fraction"),
                          "offset points", va="top", fontsize=8)  # fmt: skip
        axes.set_xlabel("JS divergence from the logging policy, nats")
        axes.set_ylabel(
            f"{content.court.number},\nless that of {text.figure(content.court.against)}"
        )
        axes.grid(alpha=0.2)
        figure.draw_without_rendering()
        _name(axes, [(one.label, js, gain) for one, js, (gain, _) in known])
    words = "; ".join(
        f"{one.label}: {one.decision.word}, JS {js:.3f}, {gain:+.4f} ± {half:.4f}"
        for one, js, (gain, half) in known
    )
    caption = (
        "What each policy gains over how far it moves. Bars: 95 %. Circle: ship. Square: cannot "
        "tell. Cross: hold. Hollow: the estimate may not be used."
    )
    return _picture(figure, f"{caption} {words}.", caption, 0)


def _gain(one: Judged, content: Content) -> tuple[float, float] | None:
    """The difference that decides, and half of its 95 % interval."""
    impressions = content.court.log.impressions
    test = one.value if impressions else one.tests.get(content.court.metric)
    return None if test is None else (test.difference, 1.96 * test.stderr)


def _trade_off(comparison: Comparison, k: int) -> list[Picture]:
    """Draw purchases against clicks, where there are both, and enough policies to trade off."""
    if not all(comparison.events.values()) or len(comparison.policies) < 3:
        return []
    caption = (
        f"Purchases against clicks, nDCG@{k}. Bars are one standard error; the dashed line is the "
        "Pareto front."
    )
    x, y = figures.trade_off_metrics(k)
    words = "; ".join(
        f"{one.label}: clicks {one.cells[x].mean:.4f}, purchases {one.cells[y].mean:.4f}"
        for one in comparison.policies
    )
    return [_picture(figures.trade_off(comparison, k), f"{caption} {words}.", caption, 1)]


def _name(axes: Axes, points: list[tuple[str, float, float]]) -> None:
    """Write names beside points, where they cover least."""
    pixels = axes.figure.dpi / 72
    places = axes.transData.transform([(x, y) for _, x, y in points])
    half = np.array([POINT, POINT]) * pixels
    taken = np.concatenate([around(place, half) for place in places])
    for (name, x, y), place in zip(points, places, strict=True):
        note = axes.annotate(
            text.figure(name), (x, y), (0, 0), textcoords="offset points", fontsize=8.5,
            ha="center", va="center",
        )  # fmt: skip
        taken = np.concatenate([taken, settle(axes, note, place, taken, pixels)])


def _picture(figure: Figure, words: str, caption: str, number: int) -> Picture:
    """Turn a figure into SVG for a page: with its colours, its font, and ids of its own."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": str(number)}):
        figure.savefig(file, format="svg", metadata={"Date": None}, transparent=True)
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg)
    )
    svg = IDS.sub(rf"\g<1>figure{number}-", svg)
    for drawn, called in {**PAGE_COLOURS, _hex(GREY): "var(--quiet)"}.items():
        svg = svg.replace(drawn, called)
    return Picture(svg, words, caption)


def _hex(grey: str) -> str:
    return "#" + f"{round(float(grey) * 255):02x}" * 3
