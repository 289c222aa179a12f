"""Validation metrics and divergence over β and over λ, one at a time (the paper's Figure 2)."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments.run_figures import style
from recbole_lpi.experiments.sweep import Sweep
from recbole_lpi.plugin.properties import defaults
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder

PLAN = "hyperparameters"
OVER = {"beta": "β", "td_weight": "λ (td_weight)"}
METRICS = {
    "purchase_ndcg@20": "purchase nDCG@20",
    "click_ndcg@20": "click nDCG@20",
    "js_divergence": "JS divergence",
}


def table(sweep: Sweep) -> pl.DataFrame:
    """Return validation metrics of finished rows that differ from the plain row in one setting.

    Returns:
        A row for each model, setting (``beta``, ``td_weight``), value and metric: its mean over
        seeds, and the standard error over sessions and seeds. The row that sets neither stands
        under both settings, at its defaults.

    Raises:
        SettingError: no two values of either have finished.
    """
    rows = []
    for row in sweep.rows:
        given = {name: row.fixed[name] for name in OVER if name in row.fixed}
        runs = sweep.runs(row)
        if len(given) > 1 or not runs or row == sweep.reference:
            continue
        own = {**defaults(row.model, sweep.dataset), **sweep.shared, **row.fixed}
        for name in given or OVER:
            if own.get(name) is not None:
                where = {"model": row.model, "setting": name, "value": float(own[name])}
                rows += [where | found for found in _metrics(runs)]
    found = pl.DataFrame(rows, infer_schema_length=None)
    if not rows or found.group_by("model", "setting").agg(pl.col("value").n_unique())[
        "value"
    ].max() == 1:  # fmt: skip
        raise SettingError(
            f"{sweep.root} has no model of which two values of beta or of td_weight have finished"
        )
    return found.sort("model", "setting", "value", "metric", maintain_order=True)


def _metrics(runs: list[RunFolder]) -> list[dict[str, Any]]:
    """Return mean and standard error of the metrics of validation over the seeds of a policy."""
    valid = [run.read_metrics().get("valid", {}) for run in runs]
    rows = []
    for metric in METRICS:
        kept = [own[metric] for own in valid if own.get(metric, {}).get("mean") is not None]
        if not kept:
            continue
        means = np.array([one["mean"] for one in kept])
        errors = np.array([one["stderr"] or 0.0 for one in kept])
        # Seeds share their sessions: what those add does not shrink with the number of seeds.
        of_seeds = means.var(ddof=1) / len(means) if len(means) > 1 else 0.0
        stderr = float(np.sqrt(np.square(errors).mean() + of_seeds))
        rows.append(
            {"metric": metric, "mean": float(means.mean()), "stderr": stderr, "seeds": len(means)}
        )
    return rows


def draw(found: pl.DataFrame, dataset: str, floor: float | None = None) -> Figure:
    """Draw the table: a column for each setting, a row for each metric.

    Args:
        floor: how far two seeds of the logging policy are apart; None: not known.
    """
    settings = [name for name in OVER if name in set(found["setting"])]
    metrics = [name for name in METRICS if name in set(found["metric"])]
    with style.panels(len(metrics), len(settings), 3.5, 2.1) as (figure, axes):
        for line, metric in enumerate(metrics):
            for column, setting in enumerate(settings):
                place = axes[line, column]
                own = found.filter((pl.col("setting") == setting) & (pl.col("metric") == metric))
                ends = []
                for number, model in enumerate(own["model"].unique(maintain_order=True)):
                    points = own.filter(pl.col("model") == model)
                    look = style.look(number)
                    place.errorbar(
                        points["value"], points["mean"], points["stderr"], capsize=2, lw=1, **look
                    )
                    ends.append((model, points["mean"][-1], look["color"]))
                place.set_xscale("log")
                values = sorted(set(found.filter(pl.col("setting") == setting)["value"]))
                place.set_xticks(values, [f"{value:g}" for value in values], fontsize=8)
                place.minorticks_off()
                if metric == "js_divergence":
                    place.set_ylim(0, 1.08 * float(own["mean"].max()))  # type: ignore[arg-type]
                    if floor is not None:
                        place.axhline(floor, color="0.3", ls=":", lw=1)
                if len(ends) > 1:
                    style.name_lines(place, ends)
            axes[line, 0].set_ylabel(METRICS[metric], fontsize=8)
        for column, setting in enumerate(settings):
            axes[-1, column].set_xlabel(OVER[setting])
        models = ", ".join(found["model"].unique(maintain_order=True))
        under = "" if floor is None else "; dotted: two seeds of the logging policy"
        figure.suptitle(
            f"{text.figure(dataset)}, validation part, {text.figure(models)}\n"
            f"bars: one standard error over sessions and seeds{under}",
            fontsize=8,
        )
    return figure
