"""Ranking: from a policy and held-out events to their event table, in one pass over the windows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.data.batches import Batch, History
from recbole_lpi.data.prefetch import prefetched
from recbole_lpi.data.repeats import seen_before
from recbole_lpi.data.windows import Windows, evaluation_batches, target_places
from recbole_lpi.evaluation.divergence import DivergenceEstimator
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.nn.catalogue import Factors
from recbole_lpi.nn.ranking import Scores, ranking_pass
from recbole_lpi.nn.tile_sizes import parts

MATRIX_ELEMENTS = 2**24  # of one [events, items] matrix: 64 MB in float32


class Policy(Protocol):
    """What evaluation asks of a policy."""

    def factors(self, history: History, at: Tensor) -> Factors:
        """Return what gives the logits [N, A] at the places ``at`` of histories, bool [B, L]."""


class Held(Protocol):
    """What evaluation asks of a part of the data."""

    sessions: Any

    @property
    def item_num(self) -> int:
        """The number of ids, A + 1: items and padding."""

    @property
    def places(self) -> np.ndarray:
        """Every target once, as places in the flat store, ascending."""

    @property
    def windows(self) -> Windows:
        """Windows that cover every target once."""

    def batch(self, windows: Windows) -> Batch:
        """Collate windows of this part."""


Scorer = Callable[[slice], Scores]  # a chunk of a batch's events to what gives their logits [n, A]
Progress = Callable[[list[np.ndarray]], Iterable[np.ndarray]]  # batches to the same, with a bar


class Imputed(NamedTuple):
    """What imputes rewards of first choices.

    Attributes:
        rewards: of items [n, k], 1 … A, for sessions [n] of the store, [n, k].
        top: how many first choices have their rewards imputed.
    """

    rewards: Callable[[np.ndarray, Tensor], np.ndarray]
    top: int


@dataclass(frozen=True)
class EvaluationPass:
    """How held-out events are ranked, and what is measured on the way.

    Attributes:
        batch_size: windows per encoder pass, and the most events whose logits are written down at
            a time; fewer where the catalogue is large, so that no [events, items] matrix grows.
        device: where policies are, and their logits.
        logging: the logging policy μ̂, for the divergences; None: none are measured.
        candidates: of an event, on which its divergences are estimated; None: exact.
        imputed: what imputes rewards; None: none are.
        progress: wraps the list of batches, to show a bar.
        item_counts: training events of each item, [A]; None: not known.
    """

    batch_size: int
    device: torch.device
    logging: Policy | None = None
    candidates: int | None = None
    imputed: Imputed | None = None
    progress: Progress = iter
    item_counts: np.ndarray | None = None


@dataclass(frozen=True)
class Ranker:
    """What gives the scores of events, item 1 first.

    Attributes:
        scorer: of a batch of windows, of those events that count.
        written: whether logits come written down, a matrix [n, A].
    """

    scorer: Callable[[Batch], Scorer]
    written: bool


def by_windows(policy: Policy, device: torch.device) -> Ranker:
    """The ranker of a policy that reads whole windows: one encoder pass for a batch of them."""

    def scorer(batch: Batch) -> Scorer:
        return _factors(policy, batch, device).at

    return Ranker(scorer, written=False)


def by_rows(logits: Callable[[np.ndarray], Tensor], held: Held) -> Ranker:
    """The ranker of what reads a prefix per event.

    ``logits`` gives those of rows [n], which are indices into ``held.places``, as [n, A].
    """

    def scorer(batch: Batch) -> Scorer:
        rows = np.searchsorted(held.places, batch.place[batch.counts].numpy())
        return lambda chunk: logits(rows[chunk])

    return Ranker(scorer, written=True)


def rank_policy(policy: Policy, held: Held, how: EvaluationPass) -> EventTable:
    """The event table of a policy that reads whole windows; the caller sets eval mode."""
    return rank_events(by_windows(policy, how.device), held, how)


@torch.no_grad()
def rank_events(ranker: Ranker, held: Held, how: EvaluationPass) -> EventTable:
    """The event table of what ``ranker`` scores, every held-out event against the whole catalogue.

    FloatingPointError if a logit is not finite where it must be.
    """
    windows = held.windows
    place = target_places(windows)  # of a share, fewer than held.places
    statistics = _Statistics(ranker, held, how, seed=int(place[0]))
    columns: dict[str, np.ndarray] = {}
    batches = evaluation_batches(windows, how.batch_size)
    made = prefetched(lambda index: held.batch(windows.take(index)), batches)
    for _, batch in zip(how.progress(batches), made, strict=True):
        rows = np.searchsorted(place, batch.place[batch.counts].numpy())
        for part, found in statistics(batch):
            _write(columns, found, rows[part], len(place))
    return _table(columns, held, place, how)


class _Statistics:
    """Ranks, log-probabilities and divergences of a batch's events, a chunk of them at a time."""

    def __init__(self, ranker: Ranker, held: Held, how: EvaluationPass, seed: int) -> None:
        self._ranker, self._how = ranker, how
        self._most = max(1, min(how.batch_size, MATRIX_ELEMENTS // (held.item_num - 1)))
        self._written = ranker.written
        self._top = min(how.imputed.top, held.item_num - 1) if how.imputed else 0
        self._estimate: DivergenceEstimator | None = None
        if how.logging is not None and how.candidates is not None:
            counts, self._written = np.bincount(held.sessions.items, minlength=held.item_num), True
            self._estimate = DivergenceEstimator(how.candidates, counts[1:], how.device, seed=seed)

    def __call__(self, batch: Batch) -> Iterator[tuple[slice, NamedTuple]]:
        """Measure a batch: chunks of its events that count, with the statistics of each."""
        logging, device = self._how.logging, self._how.device
        scorer = self._ranker.scorer(batch)
        of_mu = None if logging is None else _factors(logging, batch, device)
        action = batch.action[batch.counts].to(device) - 1
        most = self._most if self._written else max(1, len(action))
        if self._how.candidates is not None and of_mu is not None:
            of_one = self._how.candidates * of_mu.table.weight.shape[1]
            most = max(1, min(most, MATRIX_ELEMENTS // of_one))
        for part in parts(len(action), most):
            scores, mu = scorer(part), None if of_mu is None else of_mu.at(part)
            if self._estimate is not None and mu is not None:
                scores = scores if isinstance(scores, Tensor) else scores.outputs()
                yield part, self._estimate(scores, mu)
                mu = None
            found = ranking_pass(scores, action[part], mu, self._top)
            if not torch.isfinite(found.log_pi).all():  # ranks would look like perfect ones
                raise FloatingPointError("scores of held-out events are not finite")
            yield part, found


def _factors(policy: Policy, batch: Batch, device: torch.device) -> Factors:
    """What gives the logits of the events that count, [N, A]."""
    return policy.factors(batch.history.to(device), batch.counts.to(device))


def _write(columns: dict[str, np.ndarray], found: NamedTuple, rows: np.ndarray, count: int) -> None:
    """Write statistics of some events into their rows of the columns of all ``count``."""
    for name, value in found._asdict().items():
        if value is not None:
            values = value.cpu().numpy()
            if name not in columns:
                columns[name] = np.empty((count, *values.shape[1:]), values.dtype)
            columns[name][rows] = values


def _table(
    columns: dict[str, np.ndarray], held: Held, place: np.ndarray, how: EvaluationPass
) -> EventTable:
    """The event table of the events at ``place``, from what was found of them and the log."""
    store = held.sessions

    def column(name: str) -> np.ndarray:
        return columns.get(name, np.full(len(place), np.nan, np.float32))

    session = np.searchsorted(store.offsets, place, side="right") - 1
    rewards: np.ndarray | None = None
    if how.imputed is not None:
        rewards = how.imputed.rewards(session, torch.from_numpy(column("top_items")) + 1)
    mu = store.propensities
    item, position = store.items[place].astype(np.int64), place - store.offsets[session]
    return EventTable(
        session=session,
        position=position,
        item_id=item,
        event=np.array(store.event_names, dtype=object)[store.events[place]],
        reward=store.rewards[place],
        rank=column("rank"),
        greedy_item=column("greedy_item") + 1,
        greedy_log_pi=columns.get("greedy_log_pi"),
        log_pi=column("log_pi"),
        log_mu=column("log_mu"),
        js=column("js"),
        kl=column("kl"),
        imputed_reward=None if rewards is None else rewards.astype(np.float32),
        js_stderr=columns.get("js_stderr"),
        kl_stderr=columns.get("kl_stderr"),
        seen=seen_before(store, place),
        previous_item=np.where(position > 0, store.items[place - 1], 0).astype(np.int64),
        trained=None if how.item_counts is None else how.item_counts[item - 1] > 0,
        log_propensity=None if mu is None else np.log(mu[place]),
    )
