"""Divergence over β as a figure, with the noise floor below which it says nothing."""

from __future__ import annotations

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments import figures
from recbole_lpi.experiments.comparison import ComparedPolicy, Comparison
from recbole_lpi.settings import SettingError

JS = "js_divergence"


def over_beta(comparison: Comparison) -> Figure:
    """Draw JS over β, a line for each model of which there are several β; bars are one error.

    SettingError where there is no such model.
    """
    lines = _lines(comparison)
    if not lines:
        raise SettingError("no model has several values of beta with a divergence: nothing to draw")
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(6, 4), layout="constrained", dpi=150)
        axes = figure.add_subplot()
        for (model, line), colour in zip(lines.items(), figures.COLOURS, strict=False):
            cells = [policy.cells[JS] for policy in line]
            beta = [float(policy.differing["beta"]) for policy in line]
            axes.errorbar(
                beta, [cell.mean for cell in cells], [cell.stderr for cell in cells],
                color=colour, marker="o", capsize=2,
            )  # fmt: skip
            axes.annotate(
                text.figure(model), (beta[0], cells[0].mean), xytext=(6, 4),
                textcoords="offset points", color=colour,
            )  # fmt: skip
        if JS in comparison.noise_floor:
            draw_floor(axes, comparison.noise_floor[JS].mean)
        axes.set_xscale("log")
        values = sorted({float(p.differing["beta"]) for line in lines.values() for p in line})
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("β")
        axes.set_ylabel("JS divergence from the logging policy")
        axes.set_title(
            f"{text.figure(comparison.dataset)}, test part\n"
            f"bars: one standard error over {comparison.over}",
            fontsize=9,
        )
        axes.grid(alpha=0.2)
    return figure


def _lines(comparison: Comparison) -> dict[str, list[ComparedPolicy]]:
    """The policies of each model that has several β, by β."""
    lines: dict[str, list[ComparedPolicy]] = {}
    for policy in comparison.policies:
        if isinstance(policy.differing.get("beta"), float) and JS in policy.cells:
            lines.setdefault(policy.model, []).append(policy)
    return {
        model: sorted(line, key=lambda policy: float(policy.differing["beta"]))
        for model, line in lines.items()
        if len(line) > 1
    }


def draw_floor(axes: Axes, level: float) -> None:
    """Draw how far two seeds of the logging policy are apart, and write that beside the line."""
    axes.axhline(level, color="0.3", linestyle=":", linewidth=1)
    axes.annotate(
        "two seeds of the logging policy", (0, level), xycoords=("axes fraction", "data"),
        xytext=(4, 3), textcoords="offset points", color="0.3", fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1},
    )  # fmt: skip
