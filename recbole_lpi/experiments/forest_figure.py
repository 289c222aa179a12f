"""A forest plot of off-policy estimates: each with its interval, refused ones in grey."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from recbole_lpi import text
from recbole_lpi.evaluation.off_policy.estimation import PolicyEstimate
from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport
from recbole_lpi.experiments.figure_style import COLOURS, SETTINGS

GREY = "0.65"
ROW, FRAME = 0.22, 0.75  # inches: a row of the plot, what stands around the rows


def forest(reports: Sequence[PolicyReport], level: float) -> Figure:
    """Draw the values of policies, and below each its improvement over the log.

    Bars are t intervals at ``level``. The vertical line is the log's own value, or no improvement.
    The frame is set around what is not refused; beside what is not usable stands its first reason.
    """
    panels = [(report, improves) for report in reports for improves in (False, True)]
    panels = [panel for panel in panels if _of(*panel)] or panels[:1]
    rows = [max(len(_of(*panel)), 1) for panel in panels]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(
            figsize=(9, sum(rows) * ROW + FRAME * len(rows)), layout="constrained", dpi=150
        )
        axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=rows)[:, 0]
        for place, (report, improves) in zip(axes, panels, strict=True):
            log = report.log_value.mean
            what = "improvement over the log" if improves else "value per event"
            line = (0.0, "as the log") if improves else (log, f"log: {log:.4g}")
            _draw(place, _of(report, improves), *line)
            title = f"{text.figure(report.name)}: {what}, bars: {level:.0%}"
            place.set_title(title, fontsize=9, loc="left", pad=14)
    return figure


def _of(report: PolicyReport, improves: bool) -> list[PolicyEstimate]:
    return [row for row in report.estimates if row.estimator.improves is improves]


def _draw(axes: Axes, rows: Sequence[PolicyEstimate], reference: float, words: str) -> None:
    """Draw rows from the top, around a vertical line at ``reference``."""
    axes.axvline(reference, color=COLOURS[1], lw=1, zorder=1)
    left, right = _limits(rows, reference)
    axes.set(xlim=(left, right), ylim=(len(rows) - 0.4, -0.6))
    axes.annotate(words, (reference, 1), (0, 2), ("data", "axes fraction"), "offset points",
                  fontsize=7, color=COLOURS[1], ha="center")  # fmt: skip
    for place, row in enumerate(rows):
        colour = GREY if row.verdict.status == "refused" else COLOURS[0]
        filled = colour if row.verdict.usable else "white"
        axes.plot([row.t.low, row.t.high], [place, place], color=colour, lw=1.2, zorder=2)
        marker = "<" if row.value < left else ">" if row.value > right else "o"
        at = min(max(row.value, left), right)  # at the frame, an arrow to where it is
        axes.plot(at, place, marker, color=colour, mfc=filled, ms=4.5, zorder=3, clip_on=False)
        if not row.verdict.usable:
            axes.annotate(_why(row), (1.01, place), xycoords=("axes fraction", "data"), fontsize=6,
                          color="0.35", va="center", annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(rows)), [row.estimator.title for row in rows], fontsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.2)


def _why(row: PolicyEstimate) -> str:
    """The verdict with the head of its first reason, and how many more there are."""
    first, *more = row.verdict.reasons
    also = f" (and {len(more)} more)" if more else ""
    return text.figure(f"{row.verdict.status}: {first.partition(': ')[0]}{also}")


def _limits(rows: Sequence[PolicyEstimate], reference: float) -> tuple[float, float]:
    """An axis around the estimates that are not refused, or around all if they all are."""
    kept = [row for row in rows if row.verdict.status != "refused"] or list(rows)
    ends = [reference, *(end for row in kept for end in (row.t.low, row.t.high) if end == end)]
    ends += [row.value for row in kept if row.value == row.value]
    margin = 0.06 * (max(ends) - min(ends)) or 0.01
    return min(ends) - margin, max(ends) + margin
