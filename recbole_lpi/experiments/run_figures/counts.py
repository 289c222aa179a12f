"""Ranking by the number of clicks and of purchases in a session (the paper's Figures 3 and 4).

nDCG is averaged within each session first, over its events of the kind, and then over the sessions
of a bucket: a long session weighs as much as a short one. The paper draws validation sessions; runs
keep the events of the test part, and this is of those.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recbole_lpi import text
from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.measures import Events, ndcg
from recbole_lpi.evaluation.metrics import KINDS
from recbole_lpi.evaluation.scores import PolicyScore, SessionScore
from recbole_lpi.evaluation.significance import against_all
from recbole_lpi.experiments.run_figures import style
from recbole_lpi.experiments.run_figures.named_policies import NamedPolicy
from recbole_lpi.settings import SettingError

BOUNDS = (5, 10, 20)  # the paper's first bucket is of at most 5


@dataclass(frozen=True)
class _Sessions:
    """nDCG of the sessions that have an event of a kind.

    Attributes:
        counts: how many such events each has, [S].
        runs: for each policy, the mean nDCG of each session by run, [K, S].
    """

    counts: np.ndarray
    runs: list[np.ndarray]


def table(
    policies: Sequence[NamedPolicy], k: int = 20, bounds: Sequence[int] = BOUNDS
) -> pl.DataFrame:
    """Return nDCG@k by policy, kind of event and how many of the kind a session has.

    Args:
        policies: measured on the same events.
        bounds: the largest number of each bucket but the last, which is open; ascending.

    Returns:
        A row for each kind, bucket and policy: its nDCG, the standard error over sessions and
        seeds, the number of sessions; and where it is the best of the bucket, p of the paired
        t-test against the one it is least sure to beat, with its stars.

    Raises:
        SettingError: no event is a click or a purchase, or the bounds do not ascend.
    """
    if list(bounds) != sorted({bound for bound in bounds if bound > 0}):
        raise SettingError(f"--bounds must be whole numbers > 0 that ascend, got {list(bounds)}")
    rows = []
    for kind in KINDS:
        sessions = _sessions(policies, kind, k)
        if sessions is None:
            continue
        bucket = np.searchsorted(bounds, sessions.counts)
        for number in range(len(bounds) + 1):
            rows += _bucket(policies, sessions, bucket == number, kind, _name(bounds, number))
    if not rows:
        raise SettingError("no event of the test part is a click or a purchase: nothing to draw")
    return pl.DataFrame(rows, infer_schema_length=None)


def _sessions(policies: Sequence[NamedPolicy], kind: str, k: int) -> _Sessions | None:
    """Return mean nDCG@k of each session that has an event of ``kind``; None if none has."""
    runs, counts = [], np.zeros(0, np.int64)
    for policy in policies:
        found = []
        for run in policy.runs:
            events = read_events(run.folder.events)
            chosen = np.asarray(Events(events, run.kinds).of(kind), bool)
            counts = np.bincount(events.session[chosen], minlength=events.session.max() + 1)
            values = ndcg(Events(events, run.kinds), k)
            sums = np.bincount(events.session[chosen], values[chosen], len(counts))
            found.append(sums[counts > 0] / counts[counts > 0])
        runs.append(np.stack(found))
    return _Sessions(counts[counts > 0], runs) if counts.any() else None


def _bucket(
    policies: Sequence[NamedPolicy], sessions: _Sessions, chosen: np.ndarray, kind: str, name: str
) -> list[dict[str, object]]:
    """Return the rows of a bucket; none where it has no session."""
    number = int(chosen.sum())
    if not number:
        return []
    scores = [
        PolicyScore.of([_score(run[chosen]) for run in of_policy]) for of_policy in sessions.runs
    ]
    best = int(np.argmax([score.mean for score in scores]))
    others = [score for n, score in enumerate(scores) if n != best]
    test = against_all(scores[best], others) if others and number > 1 else None
    return [
        {
            "kind": kind, "events": name, "policy": policy.name, "ndcg": score.mean,
            "stderr": score.stderr if number > 1 else None, "sessions": number,
            "p": test.p if test and n == best else None,
            "stars": test.stars if test and n == best else "",
        }
        for n, (policy, score) in enumerate(zip(policies, scores, strict=True))
    ]  # fmt: skip


def _score(values: np.ndarray) -> SessionScore:
    """The mean over sessions, and what each does to it."""
    mean = float(values.mean())
    return SessionScore(mean, len(values), (values - mean) / len(values))


def _name(bounds: Sequence[int], number: int) -> str:
    """What a bucket is called: ``1``, ``2 to 5``, ``over 20``."""
    if number == len(bounds):
        return f"over {bounds[-1]}" if bounds else "any"
    low, high = (bounds[number - 1] + 1 if number else 1), bounds[number]
    return str(high) if low == high else f"{low} to {high}"


def draw(found: pl.DataFrame, k: int, dataset: str) -> Figure:
    """Draw the table: a panel for each kind, a group of points for each bucket."""
    kinds = found["kind"].unique(maintain_order=True).to_list()
    with style.panels(len(kinds), 1, 6.5, 3.0) as (figure, axes):
        for place, kind in zip(axes[:, 0], kinds, strict=True):
            _panel(place, found.filter(pl.col("kind") == kind))
            place.set_ylabel(f"{kind} nDCG@{k}, mean of sessions")
            place.set_xlabel(f"{kind}s in the session (number of sessions)")
        axes[0, 0].set_title(
            f"{text.figure(dataset)}, test part; bars: one standard error\n"
            "stars: the best against every other, paired t-test; * p < .05, ** .01, *** .001",
            fontsize=8,
        )
    return figure


def _panel(axes: Axes, rows: pl.DataFrame) -> None:
    """Draw one kind."""
    buckets = rows["events"].unique(maintain_order=True).to_list()
    policies = rows["policy"].unique(maintain_order=True).to_list()
    width = 0.7 / max(len(policies), 1)
    ends = []
    for number, policy in enumerate(policies):
        own = rows.filter(pl.col("policy") == policy)
        x = [buckets.index(name) + (number - (len(policies) - 1) / 2) * width
             for name in own["events"]]  # fmt: skip
        y, error = own["ndcg"].to_numpy(), own["stderr"].fill_null(0).to_numpy()
        look = style.look(number)
        axes.errorbar(x, y, error, lw=0.6, ls=":", elinewidth=1, capsize=2, **look)
        for place, value, bar, stars in zip(x, y, error, own["stars"], strict=True):
            if stars:
                axes.annotate(stars, (place, value + bar), (0, 1), textcoords="offset points",
                              ha="center", fontsize=9, color=look["color"])  # fmt: skip
        ends.append((policy, float(y[-1]), look["color"]))
    sessions = dict(rows.select("events", "sessions").unique().iter_rows())
    axes.set_xticks(range(len(buckets)), [f"{name}\n({sessions[name]:,})" for name in buckets])
    axes.set_xlim(-0.6, len(buckets) - 0.4)
    axes.margins(y=0.12)  # for the stars
    style.name_lines(axes, ends)
