"""Draw docs/figures/concepts.svg: what β does in one context of five items, exactly."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from recbole_lpi.experiments.figure_style import COLOURS, SETTINGS, write

MU = np.array([0.40, 0.25, 0.18, 0.12, 0.05])  # μ(a | x)
REWARD = np.array([0.1, 0.2, 0.5, 0.6, 1.0])  # E[r | x, a]
BETAS = (1.0, 0.3, 0.1)
NAMED_AT = (
    (0, (-6, 3), "left"),
    (0, (8, -4), "left"),
    (3, (0, 3), "center"),
    (4, (0, 2), "center"),
)


def tilted(beta: float) -> np.ndarray:
    """π ∝ μ exp(r/β), the best policy under the bound of Eq. 7."""
    weight = MU * np.exp((REWARD - REWARD.max()) / beta)
    return np.asarray(weight / weight.sum())


def draw() -> Figure:
    """Left: the logging policy and three policies. Right: reward and divergence over β."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(9, 3.4), layout="constrained", dpi=150)
        left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
        policies = [("logging policy μ", MU, "0.55")]
        policies += [(f"β = {beta:g}", tilted(beta), COLOURS[n]) for n, beta in enumerate(BETAS)]
        width = 0.2
        for n, (name, policy, colour) in enumerate(policies):
            x = np.arange(len(MU)) + (n - 1.5) * width
            left.bar(x, policy, width * 0.9, color=colour)
            item, shift, side = NAMED_AT[n]
            left.annotate(name, (x[item], policy[item]), shift, textcoords="offset points",
                          ha=side, color=colour, fontsize=8)  # fmt: skip
        names = [f"item {n + 1}\nr = {r:g}" for n, r in enumerate(REWARD)]
        left.set_xticks(range(len(MU)), names)
        left.set_ylabel("probability of being recommended")
        left.spines[["top", "right"]].set_visible(False)
        betas = np.geomspace(0.05, 5, 80)
        found = [tilted(beta) for beta in betas]
        reward = np.array([policy @ REWARD for policy in found])
        kl = np.array([policy @ np.log(policy / MU) for policy in found])
        for values, name, colour, at in (
            (reward, "expected reward", COLOURS[0], 46),
            (kl, "KL from μ", COLOURS[1], 14),
        ):
            right.plot(betas, values, color=colour)
            right.annotate(name, (betas[at], values[at]), (6, 6), textcoords="offset points",
                           color=colour, fontsize=8)  # fmt: skip
        right.axhline(MU @ REWARD, color="0.5", ls=":", lw=1)
        right.annotate("reward of μ", (0.05, MU @ REWARD), (0, 3), textcoords="offset points",
                       color="0.4", fontsize=8)  # fmt: skip
        right.set_xscale("log")
        right.set_xticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
        right.minorticks_off()
        right.set_xlabel("β")
        right.set_ylim(bottom=0)
        right.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    write(draw(), Path(__file__).with_suffix(".svg"))
