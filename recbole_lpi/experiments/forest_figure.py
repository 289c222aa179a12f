"""A forest plot of off-policy estimates: each with its interval, refused ones in grey."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.evaluation.off_policy.policy_report import PolicyEstimate, PolicyReport
from recbole_lpi.experiments.figures import COLOURS, SETTINGS

GREY = "0.65"
ROW, FRAME = 0.24, 1.0  # inches: a row of the plot, what stands around the rows
REASON = 62  # characters of a line of a reason


def forest(reports: Sequence[PolicyReport], level: float) -> Figure:
    """Draw the values of policies, a panel each, and their improvement over the log beside.

    Bars are t intervals at ``level``. The vertical line is the log's own value, or no improvement.
    The frame is set around what is not refused, with its reason beside what is.
    """
    rows = [max(len(_of(report, False)), len(_of(report, True)), 1) for report in reports]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(
            figsize=(11, sum(rows) * ROW + FRAME * len(reports)), layout="constrained", dpi=150
        )
        panels = figure.subplots(len(reports), 2, squeeze=False, height_ratios=rows)
        for pair, report in zip(panels, reports, strict=True):
            log = report.log_value.mean
            _draw(pair[0], _of(report, False), log, f"log: {log:.4g}")
            _draw(pair[1], _of(report, True), 0.0, "as the log")
            pair[0].set_title(f"{text.figure(report.name)}: value per event", fontsize=9)
            pair[1].set_title(f"improvement over the log; bars: {level:.0%}", fontsize=9)
    return figure


def _of(report: PolicyReport, improves: bool) -> list[PolicyEstimate]:
    return [row for row in report.estimates if row.estimator.improves is improves]


def _draw(axes: Axes, rows: Sequence[PolicyEstimate], reference: float, words: str) -> None:
    """Draw rows from the top, around a vertical line at ``reference``."""
    axes.axvline(reference, color=COLOURS[1], lw=1, zorder=1)
    left, right = _limits(rows, reference)
    axes.set(xlim=(left, right), ylim=(len(rows) - 0.4, -0.9))
    axes.annotate(words, (reference, -0.85), (3, 0), textcoords="offset points", fontsize=7,
                  color=COLOURS[1], va="top")  # fmt: skip
    for place, row in enumerate(rows):
        refused = row.verdict.status == "refused"
        colour = GREY if refused else COLOURS[0]
        filled = colour if row.verdict.usable else "white"
        axes.plot([row.t.low, row.t.high], [place, place], color=colour, lw=1.2, zorder=2)
        axes.plot(row.value, place, "o", color=colour, mfc=filled, ms=4.5, zorder=3)
        if not row.verdict.usable:
            why = fill(text.figure(str(row.verdict)), REASON)
            axes.annotate(why, (1.01, place), xycoords=("axes fraction", "data"), fontsize=5.5,
                          color="0.35", va="center", annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.estimator.title for row in rows], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.2)


def _limits(rows: Sequence[PolicyEstimate], reference: float) -> tuple[float, float]:
    """An axis around the estimates that are not refused, or around all if they all are."""
    kept = [row for row in rows if row.verdict.status != "refused"] or list(rows)
    ends = [reference, *(end for row in kept for end in (row.t.low, row.t.high) if end == end)]
    ends += [row.value for row in kept if row.value == row.value]
    margin = 0.06 * (max(ends) - min(ends)) or 0.01
    return min(ends) - margin, max(ends) + margin
