"""Which kinds of event are purchases, which are clicks, and which are neither."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from dataset_prep import logs
from dataset_prep.inputs import InputError
from dataset_prep.tables import Columns, Rewards


def of(
    log: pl.DataFrame,
    columns: Columns,
    rewards: Rewards,
    purchases: Sequence[str],
    clicks: Sequence[str],
) -> tuple[list[str], list[str], list[str]]:
    """Names of the purchases, of the clicks, and lines that say what was derived, and of others.

    Purchases are those asked for, or else the events of highest reward. Clicks are those asked for,
    or else the kind that is left; InputError where several are.
    """
    seen = logs.events(log)
    known = seen if columns.reward is not None else {*seen, *rewards.by_event}
    for option, names in (("--purchase", purchases), ("--click", clicks)):
        for name in names:
            if name not in known:
                raise InputError(
                    f"no event is named {name!r}: pass {option} with one of {', '.join(seen)}"
                )
            if name in purchases and name in clicks:
                raise InputError(f"{name!r} is both --purchase and --click: keep one")
    if columns.event is None:
        return list(purchases), [name for name in seen if name not in purchases], []
    bought = list(purchases) or _of_highest_reward(log, columns, rewards, clicks)
    left = [name for name in sorted(known) if name not in bought]
    clicked = list(clicks) or left
    if not clicks and len([name for name in left if name in seen]) > 1:
        raise InputError(
            f"besides {', '.join(bought)} there are several kinds of event, {', '.join(left)}: say "
            "by --click NAME which are clicks; others are kept as neither purchase nor click"
        )
    others = [f"{name} ({seen[name]:,})" for name in left if name in seen and name not in clicked]
    notes = [f"purchases: {', '.join(bought)}; clicks: {', '.join(clicked) or 'none'}"]
    return bought, clicked, notes + [f"neither purchase nor click: {name}" for name in others]


def _of_highest_reward(
    log: pl.DataFrame, columns: Columns, rewards: Rewards, but: Sequence[str]
) -> list[str]:
    if columns.reward is None:
        seen = logs.events(log)
        means = {**dict.fromkeys(seen, rewards.default or 0.0), **rewards.by_event}
    else:
        means = dict(log.group_by("event").agg(pl.col("reward").mean()).sort("event").iter_rows())
    means = {name: reward for name, reward in means.items() if name not in but}
    return [name for name, reward in means.items() if reward == max(means.values())]
