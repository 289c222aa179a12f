"""What is to be said of a run that looks finished and may not be sound: a sentence each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.variety import mostly_the_item_before, nearly_constant
from recbole_lpi.training.loop import TrainingLoop
from recbole_lpi.training.settings import TrainingSettings


def of_epochs(loop: TrainingLoop) -> str | None:
    """A warning if the best epoch is the last of those trained, or the first that was validated."""
    best, trained = loop.selector.best_epoch, loop.next_epoch
    if best < 0:
        return None
    if best == trained - 1:
        return (
            f"the best epoch is the last of the {trained} trained, by {loop.selector.metric}: it "
            "may still be improving; train longer: --epochs"
        )
    if best < loop.eval_step:
        return (
            f"the best epoch is the first of the {trained} trained, by {loop.selector.metric}: "
            "what was learnt later made it worse; lower learning_rate"
        )
    return None


def of_choices(table: EventTable) -> list[str]:
    """Warnings of what a model chooses first: hardly anything but a few items, or the last one."""
    found = (nearly_constant(table), mostly_the_item_before(table))
    return [warning for warning in found if warning is not None]


def of_floors(
    settings: TrainingSettings,
    estimates: Mapping[str, Estimate],
    floors: Mapping[str, Mapping[str, Estimate]],
) -> str | None:
    """A warning if a floor ranks better, by the valid metric, or nDCG where that is no ranking.

    Args:
        settings: which metric that is.
        estimates: of the model on the test part; floors: of each floor there.
    """
    names = (str(settings.criterion), f"ndcg@{max(settings.topk)}")
    for name in names:
        means = {floor: each[name].mean for floor, each in floors.items() if name in each}
        if not means or name not in estimates:
            continue
        own, best = estimates[name].mean, max(means, key=means.__getitem__)
        if not means[best] > own:
            return None
        return (
            f"{best.replace('_', ' ')}, which learns nothing, has a higher {name} on the test "
            f"part: {means[best]:.4f}, and the model {own:.4f}"
        )
    return None


def of_untrained(table: EventTable) -> str | None:
    """What no policy can have learnt: held-out events of items that training does not have."""
    if table.trained is None or table.trained.all():
        return None
    number = int(np.count_nonzero(~table.trained))
    return (
        f"{number:,} of {len(table):,} held-out events ({number / len(table):.2%}) are of items "
        "that training never saw: no policy can have learnt them"
    )
