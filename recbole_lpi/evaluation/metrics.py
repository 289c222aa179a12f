"""Metrics as reductions of the event table, named as RecBole names metrics.

A metric is a value per event, averaged over the events of a kind. Its standard error treats the
events of one session as one draw (cluster-robust): they share a history, so they are not N
independent trials.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable

PURCHASE_WEIGHT, CLICK_WEIGHT = 1.0, 0.2  # the paper's rewards, and its validation criterion


@dataclass(frozen=True)
class Estimate:
    """A mean, its standard error and the number of events it is over; NaN where there are none."""

    mean: float
    stderr: float
    count: int


@dataclass(frozen=True)
class Kinds:
    """Which kinds of event are purchases and which are clicks."""

    purchase: tuple[str, ...]
    click: tuple[str, ...]


def hit(table: EventTable, k: int) -> np.ndarray:
    """1[rank ≤ k], [N]."""
    return np.asarray(table.rank <= k, np.float64)


def ndcg(table: EventTable, k: int) -> np.ndarray:
    """1[rank ≤ k] / log2(rank + 1): with one relevant item the ideal DCG is 1. [N]"""
    return hit(table, k) / np.log2(table.rank.astype(np.float64) + 1)


def mrr(table: EventTable, k: int) -> np.ndarray:
    """1[rank ≤ k] / rank, [N]."""
    return np.asarray(hit(table, k) / table.rank)


def precision(table: EventTable, k: int) -> np.ndarray:
    """1[rank ≤ k] / k: one item is relevant. [N]"""
    return hit(table, k) / k


def average_reward(table: EventTable, k: int) -> np.ndarray:
    """Σ r · 1[the logged item is among the first k] / k: AR@k, [N]. The paper's is AR@1.

    Nothing is known of the reward of what was not logged; here it counts as 0.
    """
    found = table.greedy_item == table.item_id if k == 1 else table.rank <= k
    return np.asarray(table.reward * found / k, np.float64)


def imputed_average_reward(table: EventTable, k: int) -> np.ndarray:
    """Mean r̂ of the first k choices: iAR@k, [N]. ValueError if fewer were imputed."""
    imputed = table.imputed_reward
    if imputed is None or imputed.shape[1] < k:
        held = 0 if imputed is None else imputed.shape[1]
        raise ValueError(
            f"imputed_average_reward@{k}: rewards of the first {held} choices were imputed; "
            f"have {k} in topk when the run is measured"
        )
    return np.asarray(imputed[:, :k].mean(1, dtype=np.float64))


# Per event, at a cut-off k. Recall of one relevant item is the hit rate.
AT_K: dict[str, Callable[[EventTable, int], np.ndarray]] = {
    "hit": hit, "recall": hit, "ndcg": ndcg, "mrr": mrr, "precision": precision,
}  # fmt: skip
# Per event, the mean reward of the first k choices; over events of all kinds.
OF_CHOICES: dict[str, Callable[[EventTable, int], np.ndarray]] = {
    "average_reward": average_reward, "imputed_average_reward": imputed_average_reward,
}  # fmt: skip
# Per event, with no cut-off.
PLAIN: dict[str, Callable[[EventTable], np.ndarray]] = {
    "js_divergence": lambda table: table.js.astype(np.float64),
    "kl_divergence": lambda table: table.kl.astype(np.float64),
}
KINDS = ("purchase", "click")
NAMES = (
    *AT_K,
    *(f"{kind}_{name}" for kind in KINDS for name in AT_K),
    "reward_weighted_ndcg",
    *OF_CHOICES,
    *PLAIN,
)
SMALLER_IS_BETTER = frozenset({"js_divergence", "kl_divergence"})


def names_at(metrics: Iterable[str], topk: Iterable[int]) -> list[str]:
    """Full names of RecBole's ``metrics`` at its ``topk``: hit@5, purchase_ndcg@20, js_divergence.

    A mean reward is also taken of the first choice, as the paper's AR@1. ValueError for a metric
    this evaluation does not have, with the nearest it has.
    """
    cuts = list(topk)
    full: list[str] = []
    for metric in metrics:
        name = metric.lower().partition("@")[0]
        refuse_unknown(name)
        at = [1, *cuts] if name in OF_CHOICES else cuts
        full += [name] if name in PLAIN else [f"{name}@{k}" for k in at]
    return list(dict.fromkeys(full))


def refuse_unknown(name: str) -> None:
    """ValueError for a metric, without its cut-off, that there is not; names the nearest."""
    if name not in NAMES:
        near = difflib.get_close_matches(name, NAMES, 1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(NAMES)}"
        raise ValueError(f"unknown metric '{name}'{hint}")


def refuse_incomplete(name: str) -> None:
    """ValueError unless ``name`` is the full name of a metric, its cut-off included."""
    metric, _, cut = name.partition("@")
    refuse_unknown(metric)
    if metric in PLAIN and name != metric:
        raise ValueError(f"there is no metric '{name}', but {metric}")
    if metric not in PLAIN and not (cut.isdigit() and int(cut) > 0):
        raise ValueError(f"metric '{name}' needs a cut-off, such as {metric}@20")


def evaluate(table: EventTable, names: Iterable[str], kinds: Kinds) -> dict[str, Estimate]:
    """Each metric of ``names`` (``purchase_ndcg@20``) with standard error and count.

    Divergences are left out where there is no logging policy, and imputed rewards where there are
    none.
    """
    results = {}
    for name in names:
        if not measured(table, name):
            continue
        mean, influence, count = influence_of(table, name, kinds)
        clusters = np.bincount(table.session, influence)
        clusters = clusters[np.bincount(table.session) > 0]
        stderr = stderr_of_sum(clusters) if count else float("nan")
        results[name] = Estimate(mean, stderr, count)
    return results


def measured(table: EventTable, name: str) -> bool:
    """Whether the table holds what the metric is of: a logging policy, imputed rewards."""
    if name in SMALLER_IS_BETTER:
        return table.has_logging_policy
    return not name.startswith("imputed_") or table.imputed_reward is not None


def influence_of(table: EventTable, name: str, kinds: Kinds) -> tuple[float, np.ndarray, int]:
    """Mean of a metric, the pull of each event on it [N] (the pulls sum to 0), and the count."""
    metric, _, cut = name.partition("@")
    if name in PLAIN:
        return _mean(PLAIN[name](table), np.ones(len(table), bool))
    refuse_incomplete(name)
    k = int(cut)
    if metric in OF_CHOICES:
        return _mean(OF_CHOICES[metric](table, k), np.ones(len(table), bool))
    if metric == "reward_weighted_ndcg":
        parts = [
            (PURCHASE_WEIGHT, np.isin(table.event, kinds.purchase)),
            (CLICK_WEIGHT, np.isin(table.event, kinds.click)),
        ]
        values = ndcg(table, k)
        means = [(w, *_mean(values, chosen)) for w, chosen in parts if chosen.any()]
        if not means:
            return _mean(values, np.zeros(len(table), bool))
        return (
            float(sum(w * mean for w, mean, _, _ in means)),
            sum((w * pull for w, _, pull, _ in means), np.zeros(len(table))),
            sum(count for _, _, _, count in means),
        )
    kind, _, rest = metric.partition("_")
    if kind in KINDS and rest in AT_K:
        return _mean(AT_K[rest](table, k), np.isin(table.event, getattr(kinds, kind)))
    return _mean(AT_K[metric](table, k), np.ones(len(table), bool))


def _mean(values: np.ndarray, chosen: np.ndarray) -> tuple[float, np.ndarray, int]:
    count = int(chosen.sum())
    if not count:
        return float("nan"), np.zeros(len(values)), 0
    mean = float(values[chosen].mean())
    return mean, np.where(chosen, (values - mean) / count, 0.0), count


def stderr_of_sum(clusters: np.ndarray) -> float:
    """Standard error of a mean from the summed pulls of each session [S]: √(S/(S−1) Σ pull²)."""
    number = len(clusters)
    if number < 2 or not clusters.any():
        return float("nan") if number < 2 else 0.0
    return float(np.sqrt(number / (number - 1) * np.square(clusters).sum()))
