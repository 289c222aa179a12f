"""The paper's Table 1 from a sweep: rewards of first choices, and how far each policy has moved.

Beside it, paired tests against the logging policy, the fit of the imputation, and two figures: the
three columns over β, and imputed against observed rewards.
"""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments import figures, report, tables
from recbole_lpi.experiments.comparison import ComparedPolicy, Comparison
from recbole_lpi.experiments.divergence_figure import draw_floor
from recbole_lpi.experiments.sweep import Sweep
from recbole_lpi.settings import SettingError, refused

PLAN = "table1"
REWARDS = ("average_reward@1", "imputed_average_reward@1")
COLUMNS = (*REWARDS, "js_divergence")
ALONG = "LPICB"  # the policy whose β the curve is over
MARKED = ("LoggingPolicy", "RewardWeighted", "IPS")  # drawn as levels


def markdown(sweep: Sweep) -> str:
    """The table, the tests and the fit, in Markdown."""
    comparison = table(sweep)
    parts = [f"# {text.markdown(comparison.dataset)}: rewards of first choices"]
    parts += [report.settings_line(sweep)]
    parts += ["## Test part", tables.markdown(comparison, COLUMNS)]
    parts += ["## Each policy against the logging policy"]
    parts += [report.tests_against(sweep, sweep.plan.reference, REWARDS, turned=True)]
    parts += ["## The imputation", fit_lines(fit_of(sweep))]
    parts += report.missing_line(sweep)
    return "\n\n".join(part.strip() for part in parts) + "\n"


def table(sweep: Sweep) -> Comparison:
    """The comparison of the finished rows, LPI-CB by its β; SettingError if there is none."""
    return report.table(sweep, COLUMNS, named=False)


def fit_of(sweep: Sweep) -> dict[str, Any]:
    """What the imputation's fit said of itself: of any run, for all share one."""
    for row in sweep.rows:
        for folder in sweep.runs(row):
            found = folder.read_metrics().get("imputation")
            if found:
                with refused(f"{folder.metrics} does not hold what a fit reports"):
                    fit_lines(found)
                return dict(found)
    raise SettingError(f"{sweep.root} has no run with imputed rewards")


def fit_lines(fit: dict[str, Any]) -> str:
    """Settings, held-out error, and imputed against observed rewards, in words."""
    return (
        f"Rank {fit['rank'][0]}, λ {fit['regularization'][0]:g}, r_m {fit['missing_rating']:g}, "
        f"w_m {fit['missing_weight']:g}, {fit['sweeps']} sweeps. Of {fit['ratings']:,} validation "
        "ratings, predicted from the other half of each user's, the root mean square error is "
        f"{fit['rmse']:.3f} and the mean absolute error {fit['mae']:.3f}; predicting the mean has "
        f"a root mean square error of {fit['rmse_of_mean']:.3f}. Rewards of "
        f"{fit['positive_from']:g} and more are {fit['observed_positive']:.1%} of those logged and "
        f"{fit['imputed_positive']:.1%} of all imputed; the mean rewards are "
        f"{fit['observed_mean']:.3f} and {fit['imputed_mean']:.3f}."
    )


def curve(comparison: Comparison) -> Figure:
    """Draw AR@1, iAR@1 and JS over β, the other policies as levels; bars are one standard error.

    A point with a ``weight_clip`` of its own is off the line: it has other weights than exp(A/β).
    """
    along = [policy for policy in comparison.policies if policy.model == ALONG]
    line = [policy for policy in along if policy.differing.get("weight_clip") is None]
    clipped = [policy for policy in along if policy not in line]
    if len(line) < 2:
        raise SettingError(
            f"there is no curve over β before two of its values have finished: {len(line)} of "
            f"{ALONG} has"
        )
    line.sort(key=_beta)
    levels = [p for p in comparison.policies if p.model in MARKED]
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(6, 7.5), layout="constrained", dpi=150)
        for axes, metric in zip(figure.subplots(3, 1, sharex=True), COLUMNS, strict=True):
            _points(axes, line, metric, label="LPI-CB")
            for policy in clipped:
                clip = f"LPI-CB, clip {policy.differing['weight_clip']:g}"
                _points(axes, [policy], metric, label=clip, markerfacecolor="none", linestyle="")
            for number, policy in enumerate(levels, 1):
                cell = policy.cells.get(metric)
                if cell is None:  # the logging policy has no divergence from itself
                    continue
                colour = figures.COLOURS[number]
                axes.axhline(
                    cell.mean, color=colour, linestyle="--", label=text.figure(policy.model)
                )
                axes.axhspan(
                    cell.mean - cell.stderr, cell.mean + cell.stderr, color=colour, alpha=0.12
                )
            if metric in comparison.noise_floor:
                draw_floor(axes, comparison.noise_floor[metric].mean)
            axes.set_xscale("log")
            axes.set_ylabel(" ".join(tables.heading(metric)).removeprefix("reward "))
            axes.grid(alpha=0.3)
        axes.set_xlabel("β")
        figure.axes[0].set_title(
            f"{text.figure(comparison.dataset)}, test part\n"
            f"bars: one standard error over {comparison.over}"
        )
        figure.legend(
            *figure.axes[0].get_legend_handles_labels(),
            loc="outside lower center", frameon=False, ncols=3,
        )  # fmt: skip
    return figure


def distribution(fit: dict[str, Any]) -> Figure:
    """Draw the distributions of observed and imputed rewards, as shares."""
    edges = np.array(fit["edges"])
    width = (edges[1] - edges[0]) / 2.5
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(6, 3.2), layout="constrained", dpi=150)
        axes = figure.add_subplot()
        for number, (name, label) in enumerate(
            (("observed", "logged"), ("imputed", "imputed, every item"))
        ):
            axes.bar(
                edges[:-1] + (number + 0.75) * width, fit[name], width,
                color=figures.COLOURS[number], label=label,
            )  # fmt: skip
        axes.set_xlabel("reward")
        axes.set_ylabel("share")
        axes.legend(frameon=False)
    return figure


def _points(axes: Axes, policies: list[ComparedPolicy], metric: str, **look: Any) -> None:
    """Draw policies over their β, with bars of one standard error."""
    cells = [policy.cells[metric] for policy in policies]
    axes.errorbar(
        [_beta(policy) for policy in policies],
        [cell.mean for cell in cells],
        yerr=[cell.stderr for cell in cells],
        **{"color": figures.COLOURS[0], "marker": "o", "capsize": 2, "elinewidth": 0.8, **look},
    )


def _beta(policy: ComparedPolicy) -> float:
    return float(policy.differing["beta"])
