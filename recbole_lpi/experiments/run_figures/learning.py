"""Learning curves: each part of the loss, and each metric of validation, by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.experiments.run_figures import style
from recbole_lpi.experiments.run_figures.named_policies import NamedPolicy
from recbole_lpi.experiments.runs import FinishedRun
from recbole_lpi.settings import SettingError

PARTS = ("train", "valid")
COLUMNS = 3


def table(policies: Sequence[NamedPolicy]) -> pl.DataFrame:
    """Return what TensorBoard has of each run: policy, seed, part, name, epoch, value, best.

    ``part`` is ``train`` (parts of the loss, mean weight, effective fraction) or ``valid``
    (metrics); ``best`` says whether the epoch is the one whose weights were kept. Of an epoch that
    was run twice, the later value.

    Raises:
        SettingError: no run has an epoch on record, as floors have not.
    """
    rows = []
    for policy in policies:
        for run in policy.runs:
            best = run.folder.read_metrics().get("best_epoch", -1)
            for tag, epoch, value in scalars(run.folder.tensorboard):
                part, _, name = tag.partition("/")
                if part in PARTS:
                    rows.append((policy.name, str(run.seed), part, name, epoch, value,
                                 epoch == best))  # fmt: skip
    if not rows:
        raise SettingError("no run has an epoch on record: nothing was trained in any of them")
    names = ["policy", "seed", "part", "name", "epoch", "value", "best"]
    found = pl.DataFrame(rows, schema=names, orient="row")
    return found.unique(names[:5], keep="last", maintain_order=True)


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    """Read tag, step and value of every scalar in a folder of TensorBoard, oldest first.

    [] where there is no such folder.
    """
    if not folder.is_dir():
        return []
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    log.Reload()
    return [
        (tag, event.step, event.value)
        for tag in log.Tags()["scalars"]
        for event in sorted(log.Scalars(tag), key=lambda event: event.wall_time)
    ]


def shown(policies: Sequence[NamedPolicy], found: pl.DataFrame) -> list[tuple[str, str]]:
    """Name the panels: every number of training, and the metric that picked the epochs."""
    train = found.filter(pl.col("part") == "train")["name"].unique(maintain_order=True)
    wanted = [_criterion(run) for policy in policies for run in policy.runs]
    valid = set(found.filter(pl.col("part") == "valid")["name"])
    picked = [name for name in dict.fromkeys(wanted) if name in valid]
    return [*(("train", name) for name in train), *(("valid", name) for name in picked)]


def _criterion(run: FinishedRun) -> str:
    return str(run.config.get("valid_metric", "")).lower()


def draw(policies: Sequence[NamedPolicy], found: pl.DataFrame, dataset: str) -> Figure:
    """Draw the table: a panel for each part of the loss and each criterion, a line for each run.

    A filled point is the epoch whose weights were kept.
    """
    which = shown(policies, found)
    rows = -(-len(which) // COLUMNS)
    with style.panels(rows, min(COLUMNS, len(which)), 3.4, 2.6) as (figure, axes):
        for place in axes.flat[len(which) :]:
            place.set_axis_off()
        for place, (part, name) in zip(axes.flat, which, strict=False):
            own = found.filter((pl.col("part") == part) & (pl.col("name") == name))
            ends: list[tuple[str, float, str]] = []
            for number, policy in enumerate(policies):
                colour = style.look(number)["color"]
                of_policy = own.filter(pl.col("policy") == policy.name)
                for _, run in of_policy.group_by("seed", maintain_order=True):
                    line = run.sort("epoch")
                    best = line.filter(pl.col("best"))
                    place.plot(line["epoch"], line["value"], color=colour, lw=1)
                    look = {**style.look(number), "markersize": 5}
                    place.plot(best["epoch"], best["value"], ls="", **look)
                    if not ends or ends[-1][0] != policy.name:
                        ends.append((policy.name, float(line["value"][-1]), colour))
            place.set_title(f"{'training' if part == 'train' else 'validation'}: {name}",
                            fontsize=8)  # fmt: skip
            style.name_lines(place, ends)
            place.set_xlabel("epoch")
        figure.suptitle(
            f"{text.figure(dataset)}; marked: the epoch whose weights were kept", fontsize=8
        )
    return figure
