"""The rows of which metrics are made: a measure is a mean, or a ratio, of what each event gives.

A mean is one function of the events:

    Measure("hit", "HR", hit, by_kind=True)

A ratio is two, Σ numerator / Σ denominator, such as a self-normalised estimate of a policy's value:

    Measure("snips", "SNIPS", weighted_reward, weight, columns=("log_pi", "log_mu"), at_k=False)

Perplexity is neither, but exp of a mean, which ``exponential`` says.

A row in ``MEASURES`` is all that there is to a metric: its names, cut-offs, standard errors, paired
tests, columns of tables and the check of settings follow from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable

PURCHASE_WEIGHT, CLICK_WEIGHT = 1.0, 0.2  # the paper's rewards, and its validation criterion
KINDS = ("purchase", "click")
NOVELTY = ("repeat", "new")  # of an item that the session has had before, or has not


@dataclass(frozen=True)
class Kinds:
    """The names that events of each kind have in a log."""

    purchase: tuple[str, ...]
    click: tuple[str, ...]

    def names(self, kind: str) -> tuple[str, ...]:
        """What the log calls the events of ``kind``, one of KINDS."""
        return {"purchase": self.purchase, "click": self.click}[kind]


@dataclass(frozen=True)
class Events:
    """What a measure is a function of: the table of events, and which of them are of which kind."""

    table: EventTable
    kinds: Kinds

    def of(self, kind: str | None) -> np.ndarray:
        """Whether each event is of ``kind``, bool [N]; every event is of the kind None.

        ``repeat`` and ``new`` need the column ``seen``.
        """
        if kind is None:
            return np.ones(len(self.table), bool)
        if kind in NOVELTY:
            seen = np.asarray(self.table.seen, bool)
            return seen if kind == "repeat" else ~seen
        return np.isin(self.table.event, self.kinds.names(kind))


PerEvent = Callable[[Events, int], np.ndarray]  # a number for each event [N], at a cut-off k


def one(events: Events, k: int) -> np.ndarray:
    """The number 1 for each event, [N]: the denominator of a mean."""
    return np.ones(len(events.table))


@dataclass(frozen=True)
class Measure:
    """A row of MEASURES: what metrics of one name are, whatever their kind and cut-off.

    Attributes:
        name: as settings, RecBole and files spell it.
        label: as tables print it.
        numerator, denominator: per event; the metric is Σ numerator / Σ denominator.
        exponential: whether it is exp of that.
        columns: of the event table, that not every table has: without them nothing is measured.
        at_k: whether it is taken at cut-offs. Where it is not, k is 0.
        by_kind: whether it is also taken over purchases alone, over clicks alone, and over events
            whose item their session has had before (``repeat_``) or has not (``new_``).
        weights: the metric is the sum over these kinds of weight · (Σ numerator / Σ denominator);
            empty: over one kind, or all events.
        heading: of its columns in tables; empty: the kind.
        of_first_choice: whether cut-off 1 is always among those it is taken at.
        smaller_is_better: whether less of it is better, where any amount is.
    """

    name: str
    label: str
    numerator: PerEvent
    denominator: PerEvent = one
    columns: tuple[str, ...] = ()
    at_k: bool = True
    by_kind: bool = False
    weights: tuple[tuple[str, float], ...] = ()
    heading: str = ""
    of_first_choice: bool = False
    smaller_is_better: bool = False
    exponential: bool = False


def hit(events: Events, k: int) -> np.ndarray:
    """1[rank ≤ k], [N]. Recall of one relevant item is the same."""
    return np.asarray(events.table.rank <= k, np.float64)


def ndcg(events: Events, k: int) -> np.ndarray:
    """1[rank ≤ k] / log2(rank + 1): with one relevant item the ideal DCG is 1. [N]"""
    return hit(events, k) / np.log2(events.table.rank.astype(np.float64) + 1)


def mrr(events: Events, k: int) -> np.ndarray:
    """1[rank ≤ k] / rank, [N]."""
    return np.asarray(hit(events, k) / events.table.rank)


def precision(events: Events, k: int) -> np.ndarray:
    """1[rank ≤ k] / k: one item is relevant. [N]"""
    return hit(events, k) / k


def nll(events: Events, k: int) -> np.ndarray:
    """−log π(a | x) of the logged item in nats, [N]."""
    return -events.table.log_pi.astype(np.float64)


def average_reward(events: Events, k: int) -> np.ndarray:
    """Σ r · 1[the logged item is among the first k] / k: AR@k, [N]. The paper's is AR@1.

    Nothing is known of the reward of what was not logged; here it counts as 0.
    """
    table = events.table
    found = table.greedy_item == table.item_id if k == 1 else table.rank <= k
    return np.asarray(table.reward * found / k, np.float64)


def imputed_average_reward(events: Events, k: int) -> np.ndarray:
    """Mean r̂ of the first k choices: iAR@k, [N]. ValueError if fewer were imputed."""
    imputed = events.table.imputed_reward
    if imputed is None or imputed.shape[1] < k:
        held = 0 if imputed is None else imputed.shape[1]
        raise ValueError(
            f"imputed_average_reward@{k}: rewards of the first {held} choices were imputed; "
            f"have {k} in topk when the run is measured"
        )
    return np.asarray(imputed[:, :k].mean(1, dtype=np.float64))


def js(events: Events, k: int) -> np.ndarray:
    """JS(π, μ̂) at each event in nats, [N]."""
    return events.table.js.astype(np.float64)


def kl(events: Events, k: int) -> np.ndarray:
    """KL(π ‖ μ̂) at each event in nats, [N]."""
    return events.table.kl.astype(np.float64)


DIVERGENCE, REWARD = "divergence", "reward"  # headings
ROWS = (
    Measure("hit", "HR", hit, by_kind=True),
    Measure("recall", "Recall", hit, by_kind=True),
    Measure("ndcg", "nDCG", ndcg, by_kind=True),
    Measure("mrr", "MRR", mrr, by_kind=True),
    Measure("precision", "Precision", precision, by_kind=True),
    Measure(
        "nll", "NLL", nll, columns=("log_pi",), at_k=False, by_kind=True, smaller_is_better=True
    ),
    Measure(
        "perplexity", "Perplexity", nll, columns=("log_pi",), at_k=False, by_kind=True,
        smaller_is_better=True, exponential=True,
    ),
    Measure(
        "reward_weighted_ndcg", "reward_weighted_ndcg", ndcg,
        weights=(("purchase", PURCHASE_WEIGHT), ("click", CLICK_WEIGHT)),
    ),
    Measure("average_reward", "AR", average_reward, heading=REWARD, of_first_choice=True),
    Measure(
        "imputed_average_reward", "iAR", imputed_average_reward, columns=("imputed_reward",),
        heading=REWARD, of_first_choice=True,
    ),
    Measure(
        "js_divergence", "JS", js, columns=("js",), at_k=False, heading=DIVERGENCE,
        smaller_is_better=True,
    ),
    Measure(
        "kl_divergence", "KL", kl, columns=("kl",), at_k=False, heading=DIVERGENCE,
        smaller_is_better=True,
    ),
)  # fmt: skip
MEASURES: dict[str, Measure] = {row.name: row for row in ROWS}
