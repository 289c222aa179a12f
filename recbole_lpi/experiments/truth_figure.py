"""Figures of the truth: values over β with the bound beside them, and numbers against the truth."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments import figures
from recbole_lpi.experiments.truth import Worth
from recbole_lpi.experiments.truth_report import KnownRun, over_seeds, selections

MARKERS = "osD^"
SHOWN = 24  # offline numbers in the figure: the best and the worst of more


def over_beta(runs: Sequence[KnownRun], worth: Worth) -> Figure | None:
    """Draw J(π) − J(μ), and per event the gain beside the bound of Eq. 7, over β.

    Returns: the figure; None where no policy has two values of β.
    """
    lines = _lines(runs)
    if not lines:
        return None
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(6, 6), layout="constrained", dpi=150)
        session, event = figure.subplots(2, 1, sharex=True)
        for number, (model, betas) in enumerate(lines.items()):
            look = {"color": figures.COLOURS[number], "marker": MARKERS[number % len(MARKERS)]}
            x = sorted(betas)
            gain, stderr = np.array([over_seeds(betas[beta]) for beta in x]).T
            session.errorbar(x, gain, stderr, label=model, capsize=2, markersize=4, **look)
            step = np.array([_mean(betas[beta], "gain") for beta in x])
            kl = np.array([_mean(betas[beta], "kl") for beta in x])
            event.plot(x, step, markersize=4, label=model, **look)
            event.plot(x, step - np.array(x) * kl, ":", color=look["color"], linewidth=1)
        for axes, title in (
            (session, "J(π) − J(μ), a session"),
            (event, "gain of an event; dotted: less β KL"),
        ):
            axes.axhline(0, color="0.3", linewidth=0.8)
            axes.set_ylabel(title)
            axes.grid(alpha=0.3)
            axes.set_xscale("log")
        event.set_yscale("symlog", linthresh=0.01)
        event.set_xlabel("β")
        figure.legend(
            *session.get_legend_handles_labels(), loc="outside lower center", frameon=False,
            ncols=len(lines),
        )  # fmt: skip
    return figure


def _lines(runs: Sequence[KnownRun]) -> dict[str, dict[float, list[KnownRun]]]:
    """Runs by the model that rows are named after, and β; models with one β are left out."""
    lines: dict[str, dict[float, list[KnownRun]]] = {}
    for run in runs:
        if run.beta is not None:
            lines.setdefault(run.row.split()[0], {}).setdefault(run.beta, []).append(run)
    return {model: betas for model, betas in lines.items() if len(betas) > 1}


def _mean(runs: Sequence[KnownRun], name: str) -> float:
    return float(np.mean([getattr(run.truth.step, name).mean for run in runs]))


def numbers_against_truth(runs: Sequence[KnownRun], worth: Worth) -> Figure:
    """Draw how well each offline number orders policies, ranking metrics apart from estimates."""
    found = [one for one in selections(runs, worth) if "lower bound" not in one.name]
    found = [one for one in found if np.isfinite(one.rank_correlation)]
    if len(found) > SHOWN:
        found = found[: SHOWN // 2] + found[-SHOWN // 2 :]
    with matplotlib.rc_context(figures.SETTINGS):
        figure = Figure(figsize=(6.5, 0.9 + 0.2 * len(found)), layout="constrained", dpi=150)
        axes = figure.subplots()
        for place, one in enumerate(reversed(found)):
            _bar(axes, place, one.name, one.rank_correlation)
        axes.axvline(0, color="0.3", linewidth=0.8)
        axes.set_yticks(range(len(found)), [text.figure(one.name) for one in reversed(found)])
        axes.set_xlim(-1, 1)
        axes.set_xlabel("rank correlation with J(π)")
        axes.grid(axis="x", alpha=0.3)
    return figure


def _bar(axes: Axes, place: int, name: str, value: float) -> None:
    """Draw one number: estimates filled, ranking metrics open."""
    estimate = " μ " in name
    axes.plot([0, value], [place, place], color=figures.COLOURS[0 if estimate else 1], linewidth=2)
    axes.plot(
        value, place, "o" if estimate else "s", color=figures.COLOURS[0 if estimate else 1],
        markerfacecolor=figures.COLOURS[0] if estimate else "white", markersize=5,
    )  # fmt: skip
