"""The front of a search as a figure: improvement against deviation from the logging policy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from recbole_lpi import text
from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.figure_style import COLOURS, SETTINGS
from recbole_lpi.experiments.found_trials import FoundTrial
from recbole_lpi.experiments.label_placement import along, around, settle
from recbole_lpi.experiments.tuning import JS, Tuning

FRONT, OTHERS = COLOURS[0], "0.45"


def draw(
    tuning: Tuning, trials: Sequence[FoundTrial], front: Sequence[FoundTrial], chosen: FoundTrial
) -> Figure:
    """Draw the criterion over the JS divergence of every complete trial; bars are one error.

    Trials on the front are filled, joined and named, by their settings if these are one or two;
    the one to pick has a ring.
    """
    criterion = Metric.parse(str(tuning.criterion))
    complete = [trial for trial in trials if trial.measured]
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(7, 5), layout="constrained", dpi=150)
        axes = figure.add_subplot()
        for trial in complete:
            _point(axes, trial, str(criterion), trial in front)
        axes.plot(
            [trial.mean(JS) for trial in front], [trial.mean(str(criterion)) for trial in front],
            drawstyle="steps-post", color=FRONT, ls="--", lw=0.8, zorder=1,
        )  # fmt: skip
        axes.plot(
            chosen.mean(JS), chosen.mean(str(criterion)), "o", ms=12, mfc="none", mec="black",
            zorder=4,
        )  # fmt: skip
        kind = f"{criterion.heading} " if criterion.kind else ""
        better = "less is better" if criterion.smaller_is_better else "more is better"
        axes.set_ylabel(text.figure(f"{kind}{criterion.label}, {better}"))
        axes.set_xlabel("JS divergence from the logging policy")
        axes.set_title(
            text.figure(f"{tuning.dataset}, {tuning.model}: {len(complete)} trials, validation")
            + "\nbars: one standard error over sessions; filled: the front; ring: the one to pick",
            fontsize=9,
        )
        axes.margins(0.1)
        axes.grid(alpha=0.2)
        figure.draw_without_rendering()  # where things are is known from here on
        _name(axes, complete, front, chosen, str(criterion))
    return figure


def _point(axes: Axes, trial: FoundTrial, criterion: str, on_front: bool) -> None:
    """Draw a trial with its bars."""
    colour, x, y = FRONT if on_front else OTHERS, trial.mean(JS), trial.mean(criterion)
    errors = [trial.measured[name].get("stderr") or 0 for name in (JS, criterion)]
    axes.errorbar(
        x, y, xerr=errors[0], yerr=errors[1], color=colour, elinewidth=0.7, alpha=0.35, fmt="none",
        zorder=1,
    )  # fmt: skip
    filled: Any = colour if on_front else "white"
    axes.plot(x, y, "o", color=colour, ms=5.5, mfc=filled, zorder=3)


def _name(
    axes: Axes,
    complete: Sequence[FoundTrial],
    front: Sequence[FoundTrial],
    chosen: FoundTrial,
    criterion: str,
) -> None:
    """Write settings beside the front, and beside the one to pick, where they cover least."""
    pixels = axes.figure.dpi / 72
    size = np.full(2, 5 * pixels)
    at = {t.number: axes.transData.transform((t.mean(JS), t.mean(criterion))) for t in complete}
    boxes = [around(place, size) for place in at.values()]
    for start, end in pairwise(at[trial.number] for trial in front):
        corner = np.array([end[0], start[1]])  # of a step
        boxes += [along(start, corner), along(corner, end)]
    taken = np.concatenate(boxes)
    for trial in [*front, *([] if chosen in front else [chosen])]:
        note = axes.annotate(
            _words(trial), (trial.mean(JS), trial.mean(criterion)), (0, 0),
            textcoords="offset points", fontsize=8, color=FRONT, ha="center", va="center",
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip
        taken = np.concatenate([taken, settle(axes, note, at[trial.number], taken, pixels)])


def _words(trial: FoundTrial) -> str:
    """What is written beside a trial: its settings, or its number where they are many."""
    if len(trial.settings) > 2:
        return f"trial {trial.number}"
    greek = {"beta": "β", "gamma": "γ"}
    found = [
        f"{greek.get(name, name)} = {f'{value:.3g}' if isinstance(value, float) else value}"
        for name, value in trial.settings.items()
    ]
    return text.figure("\n".join(found))
