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
    or else the kind that is left; InputError where several are. A kind of which no event has a
    reward but 0 is what was shown and not taken: neither of them, unless asked for.
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
    named = {*purchases, *clicks}
    shown = [name for name in _without_reward(log, columns, rewards) if name not in named]
    bought = list(purchases) or _of_highest_reward(log, columns, rewards, [*clicks, *shown])
    left = [name for name in sorted(known) if name not in (*bought, *shown)]
    clicked = list(clicks) or left
    if not clicks and len([name for name in left if name in seen]) > 1:
        raise InputError(
            f"besides {', '.join(bought)} there are several kinds of event, {', '.join(left)}: say "
            "by --click NAME which are clicks; others are kept as neither purchase nor click"
        )
    others = [f"{name} ({seen[name]:,})" for name in left if name in seen and name not in clicked]
    shown = [name for name in shown if name in seen]
    others += [f"{name} ({seen[name]:,}), shown and not taken: its reward is 0" for name in shown]
    notes = [f"purchases: {', '.join(bought) or 'none'}; clicks: {', '.join(clicked) or 'none'}"]
    return bought, clicked, notes + [f"neither purchase nor click: {name}" for name in others]


def _without_reward(log: pl.DataFrame, columns: Columns, rewards: Rewards) -> list[str]:
    """The kinds whose events all have reward 0, unless there is no other kind in the log."""
    value = pl.col("reward") if columns.reward is not None else rewards.of(pl.col("event"))
    rewarded = log.lazy().group_by("event").agg(any=(value != 0).any()).sort("event").collect()
    found = rewarded.filter(~pl.col("any"))["event"].to_list()
    if len(found) == len(rewarded):
        return []
    there = set(rewarded["event"])
    return found + [name for name, r in rewards.by_event.items() if r == 0 and name not in there]


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
