"""How far a policy is from the logging policy, by how long a session is and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.metrics import stderr_of_sum
from recbole_lpi.experiments.run_figures import style
from recbole_lpi.experiments.run_figures.named_policies import NamedPolicy
from recbole_lpi.settings import SettingError

BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128)  # the largest of each bucket
BY = {
    "length": "events of the session",
    "history": "events before the recommendation",
}


def table(policies: Sequence[NamedPolicy]) -> pl.DataFrame:
    """Return JS by policy, by length of the session and of the history: a row for each bucket.

    JS is the mean over events and seeds, in nats; its standard error is over sessions. A session's
    length counts from its first event to its last held-out one.

    Raises:
        SettingError: no run was compared with a logging policy.
    """
    rows = []
    for policy in policies:
        tables = [read_events(run.folder.events) for run in policy.runs]
        if not all(events.has_logging_policy for events in tables):
            continue
        events, js = tables[0], np.mean([events.js for events in tables], 0)
        last = np.zeros(events.session.max() + 1, np.int64)
        np.maximum.at(last, events.session, events.position)
        for by, size in (("length", last[events.session] + 1), ("history", events.position)):
            bucket = np.searchsorted(BOUNDS, size)
            for number in np.unique(bucket):
                chosen = bucket == number
                own = js[chosen]
                pulls = np.bincount(events.session[chosen], (own - own.mean()) / len(own))
                low = BOUNDS[number - 1] + 1 if number else int(size.min())
                rows.append(
                    {
                        "policy": policy.name, "by": by, "from": low,
                        "to": int(size[chosen].max()), "js": float(own.mean()),
                        "stderr": stderr_of_sum(pulls), "events": int(chosen.sum()),
                    }
                )  # fmt: skip
    if not rows:
        raise SettingError(
            "no run was compared with a logging policy: there is no divergence; train with "
            "--logging_policy=auto"
        )
    return pl.DataFrame(rows)


def draw(found: pl.DataFrame, dataset: str) -> Figure:
    """Draw the table: a panel by length of the session, one by length of the history."""
    with style.panels(1, len(BY), 4.2, 3.4) as (figure, axes):
        for place, (by, words) in zip(axes[0], BY.items(), strict=True):
            rows = found.filter(pl.col("by") == by).sort("from", maintain_order=True)
            starts = sorted(set(rows["from"]))
            ends = []
            for number, policy in enumerate(found["policy"].unique(maintain_order=True)):
                own = rows.filter(pl.col("policy") == policy)
                x = [starts.index(start) for start in own["from"]]
                look = style.look(number)
                place.errorbar(x, own["js"], own["stderr"], capsize=2, lw=1, **look)
                ends.append((policy, own["js"][-1], look["color"]))
            last = dict(rows.group_by("from").agg(pl.col("to").max()).iter_rows())
            names = [str(low) if low == last[low] else f"{low}–{last[low]}" for low in starts]
            place.set_xticks(range(len(starts)), names, fontsize=7, rotation=30)
            place.set_xlabel(words)
            place.set_ylim(bottom=0)
            style.name_lines(place, ends)
        axes[0, 0].set_ylabel("JS divergence from the logging policy")
        figure.suptitle(f"{text.figure(dataset)}, test part; bars: one standard error", fontsize=8)
    return figure
