"""Whether a policy's values are those of the log: Q(x, a) against what came after."""

from __future__ import annotations

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.evaluation.metrics import stderr_of_sum
from recbole_lpi.experiments.run_figures import style
from recbole_lpi.settings import SettingError

BINS = 10


def table(events: pl.DataFrame, bins: int = BINS) -> pl.DataFrame:
    """Return values in bins of as many events each, and the mean return of each bin.

    Args:
        events: of ``held_out.columns``.
        bins: how many.

    Returns:
        For each policy and bin: ``value``, its mean Q (or V); ``return``, the mean of what the log
        earned from there on; its standard error over sessions; ``events``.

    Raises:
        SettingError: no policy learns a value.
    """
    rows = []
    for (policy,), own in events.group_by("policy", maintain_order=True):
        value = own["value"].to_numpy()
        if np.isnan(value).any():
            continue
        session, earned = own["session"].to_numpy(), own["return"].to_numpy()
        edges = np.quantile(value, np.linspace(0, 1, bins + 1)[1:-1])
        place = np.searchsorted(edges, value, side="right")
        for number in np.unique(place):
            chosen = place == number
            mean = float(earned[chosen].mean())
            pulls = np.bincount(session[chosen], (earned[chosen] - mean) / chosen.sum())
            rows.append(
                {
                    "policy": policy, "bin": int(number) + 1,
                    "value": float(value[chosen].mean()), "return": mean,
                    "stderr": stderr_of_sum(pulls), "events": int(chosen.sum()),
                }
            )  # fmt: skip
    if not rows:
        raise SettingError("no policy of these learns a value: give LPICB, LPIRL, SQN, SAC or IQL")
    return pl.DataFrame(rows)


def draw(found: pl.DataFrame, dataset: str) -> Figure:
    """Draw the table: a line for each policy, beside the diagonal of values that hold."""
    with style.panels(1, 1, 5.6, 4.2) as (figure, ((axes,),)):
        ends = []
        for number, policy in enumerate(found["policy"].unique(maintain_order=True)):
            own = found.filter(pl.col("policy") == policy)
            look = style.look(number)
            axes.errorbar(own["value"], own["return"], own["stderr"], capsize=2, lw=1, **look)
            ends.append((policy, own["return"][-1], look["color"]))
        low = float(min(found["value"].min(), found["return"].min()))  # type: ignore[type-var, arg-type]
        high = float(max(found["value"].max(), found["return"].max()))  # type: ignore[type-var, arg-type]
        axes.plot([low, high], [low, high], color="0.5", lw=0.8, ls="--")
        axes.annotate("as the log", (high, high), (-4, -12), textcoords="offset points",
                      fontsize=7, color="0.4", ha="right")  # fmt: skip
        axes.set_xlabel("value that the policy gives to what was logged")
        axes.set_ylabel("what the log earned from there on, discounted")
        axes.set_title(f"{text.figure(dataset)}, test part; bars: one standard error", fontsize=8)
        style.name_lines(axes, ends)
    return figure
