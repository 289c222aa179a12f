"""Draw docs/figures/curves.svg, a row of learning curves for each policy of a folder of runs.

    python docs/figures/curves.py runs/curves

The folder has a run for each policy, called like it (docs/policies.md has the command).
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from recbole_lpi.experiments.figure_style import COLOURS, SETTINGS, write
from recbole_lpi.experiments.run_figures.learning import scalars

ORDER = (
    "LoggingPolicy", "RewardWeighted", "LPI", "LPICB", "LPIRL", "PG", "IPS", "IPSPG", "TopKIPS",
    "SQN", "SNQN", "SAC", "SA2C", "IQL",
)  # fmt: skip
PANELS = {
    "policy loss": ("train/policy loss",),
    "loss of the head": ("train/td loss", "train/value loss", "train/propensity loss"),
    "effective fraction": ("train/effective fraction",),
    "validation nDCG@20": ("valid/purchase_ndcg@20", "valid/click_ndcg@20"),
}


def draw(runs: Path) -> Figure:
    """A row for each policy, a column for each kind of number."""
    policies = [name for name in ORDER if (runs / name / "tensorboard").is_dir()]
    with matplotlib.rc_context({**SETTINGS, "font.size": 7}):
        figure = Figure(figsize=(9, 1.15 * len(policies)), layout="constrained", dpi=130)
        axes = figure.subplots(len(policies), len(PANELS), squeeze=False, sharex=True)
        for row, name in zip(axes, policies, strict=True):
            found: dict[str, list[tuple[int, float]]] = {}
            for tag, epoch, value in scalars(runs / name / "tensorboard"):
                found.setdefault(tag, []).append((epoch, value))
            for place, tags in zip(row, PANELS.values(), strict=True):
                shown = [tag for tag in tags if tag in found]
                place.grid(alpha=0.25)
                for n, tag in enumerate(shown):
                    epochs, values = zip(*found[tag], strict=True)
                    place.plot(epochs, values, color=COLOURS[n], lw=1.2, ls=("-", "--", ":")[n])
                    if len(tags) > 1:
                        short = tag.partition("/")[2].replace("_ndcg@20", "").replace(" loss", "")
                        place.annotate(short, (epochs[-1], values[-1]), (3, 0), fontsize=6,
                                       textcoords="offset points", color=COLOURS[n], va="center",
                                       annotation_clip=False)  # fmt: skip
                if not shown:
                    place.set_axis_off()
            row[0].set_ylabel(name, rotation=0, ha="right", fontsize=8)
            row[2].set_ylim(0, 1.05)
        for place, title in zip(axes[0], PANELS, strict=True):
            place.set_title(title, fontsize=8)
        for place in axes[-1]:
            place.set_xlabel("epoch")
    return figure


if __name__ == "__main__":
    write(draw(Path(sys.argv[1])), Path(__file__).with_suffix(".svg"))
