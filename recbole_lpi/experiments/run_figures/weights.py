"""How unequal the weights of events are: what few events a policy would learn from."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments.run_figures import style

SHARES = (0.01, 0.02, 0.05, *np.round(np.arange(0.1, 1.01, 0.1), 1).tolist())
ALL = "all"


def table(events: pl.DataFrame) -> pl.DataFrame:
    """Return how much of the weight the heaviest events have, by policy and kind of event.

    Args:
        events: of ``held_out.columns``.

    Returns:
        For each policy, kind (``all`` too) and share s of its events: ``least_weight`` of the s
        heaviest, and their ``share_of_weight``. Beside them, of the whole: ``effective_fraction``
        (Σ|w|)² / (N Σw²), ``share_of_events`` and ``share_of_all_weight`` of the kind. Weights are
        sizes |w|; seeds of a policy are taken together.
    """
    rows = []
    for (policy,), own in events.group_by("policy", maintain_order=True):
        total = float(own["weight"].abs().sum())
        for kind in (ALL, *own["kind"].unique().sort()):
            chosen = own if kind == ALL else own.filter(pl.col("kind") == kind)
            size = np.sort(np.abs(chosen["weight"].to_numpy()))[::-1]
            reached = np.cumsum(size)
            square = float(np.square(size).sum())
            for share in SHARES:
                number = max(1, round(share * len(size)))
                rows.append(
                    {
                        "policy": policy, "kind": kind, "heaviest": share,
                        "least_weight": float(size[number - 1]),
                        "share_of_weight": _ratio(reached[number - 1], reached[-1]),
                        "effective_fraction": _ratio(reached[-1] ** 2, len(size) * square),
                        "share_of_events": len(size) / len(own),
                        "share_of_all_weight": _ratio(reached[-1], total),
                    }
                )  # fmt: skip
    return pl.DataFrame(rows)


def _ratio(part: float, whole: float) -> float:
    """A share; NaN of nothing."""
    return float(part / whole) if whole else float("nan")


def draw(found: pl.DataFrame, dataset: str) -> Figure:
    """Draw the table: weight against rank, weight gathered, and what purchases have of it."""
    policies = found["policy"].unique(maintain_order=True).to_list()
    with style.panels(1, 2, 4.2, 3.4) as (figure, (axes,)):
        least, gathered = axes
        ends = []
        for number, policy in enumerate(policies):
            own = found.filter((pl.col("policy") == policy) & (pl.col("kind") == ALL))
            look = style.look(number)
            least.plot(own["heaviest"], own["least_weight"], lw=1, **look)
            gathered.plot(own["heaviest"], own["share_of_weight"], lw=1, **look)
            ends.append((_summary(found, policy), own["least_weight"][-1], look["color"]))
        gathered.plot(SHARES, SHARES, color="0.5", lw=0.8, ls="--")
        gathered.annotate("equal weights", (0.1, 0.1), (6, -6), textcoords="offset points",
                          fontsize=7, color="0.4")  # fmt: skip
        for place in axes:
            place.set_xscale("log")
            place.set_xticks([0.01, 0.1, 1], ["1 %", "10 %", "all"])
            place.set_xlabel("events, the heaviest first")
        least.set_ylabel("weight of the lightest of them")
        if bool((found["least_weight"] > 0).all()):
            least.set_yscale("log")
        gathered.set_ylabel("their share of all weight")
        gathered.set_ylim(0, 1.02)
        style.name_lines(least, ends)
        figure.suptitle(f"{text.figure(dataset)}, test part: weights of events", fontsize=8)
    return figure


def _summary(found: pl.DataFrame, policy: str) -> str:
    """A policy's name with its effective fraction, and what purchases have of the weight."""
    own = found.filter(pl.col("policy") == policy).unique("kind", keep="first")
    by = {row["kind"]: row for row in own.iter_rows(named=True)}
    words = f"{policy}: effective fraction {by[ALL]['effective_fraction']:.0%}"
    if "purchase" in by:
        bought = by["purchase"]
        words += (
            f", purchases {bought['share_of_all_weight']:.0%} of the weight, "
            f"{bought['share_of_events']:.1%} of events"
        )
    return words
