"""The event table: a row for each held-out event, from which every metric is a reduction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recbole_lpi.data.prefetch import made_ahead
from recbole_lpi.data.sequences import Batch, Windows, evaluation_batches, target_places
from recbole_lpi.evaluation.divergence import DivergenceEstimator
from recbole_lpi.files import replacing
from recbole_lpi.nn.catalogue import Table
from recbole_lpi.nn.ranking import Scores, ranking_pass
from recbole_lpi.nn.tiling import parts

MATRIX_ELEMENTS = 2**24  # of one [events, items] matrix: 64 MB in float32


class Policy(Protocol):
    """What evaluation asks of a policy."""

    def forward(self, item_seq: Tensor) -> Tensor:
        """[B, L] items to [B, L, D] states."""

    @property
    def policy_table(self) -> Table:
        """Rows of the A items."""


class Texts(Protocol):
    """Tokens by id."""

    def tolist(self) -> list[str]:
        """All of them."""


class Held(Protocol):
    """What evaluation asks of a part of the data."""

    sessions: Any

    @property
    def item_num(self) -> int:
        """A + 1: items and padding."""

    @property
    def places(self) -> np.ndarray:
        """Every target once, as places in the flat store, ascending."""

    @property
    def windows(self) -> Windows:
        """Windows that cover every target once."""

    def batch(self, windows: Windows) -> Batch:
        """The windows, collated."""


@dataclass(frozen=True)
class EventTable:
    """Held-out events in the order of the flat store; each column [N] unless said.

    Attributes:
        session: dense id of the session; position: of the event in it, from 0.
        item_id, greedy_item: logged item and argmax π, as RecBole's ids 1 … A.
        event: kind, as text. reward: of the logged item.
        rank: of the logged item among all, from 1; ties get the mean of best and worst.
        log_pi, log_mu: natural logarithms for the logged item.
        js, kl: divergence of π from μ̂ in nats. These and log_mu are NaN without a logging policy.
        js_stderr, kl_stderr: of having estimated them on candidates; None where they are exact.
            Then log_mu, which takes the whole catalogue, is NaN.
        imputed_reward: r̂ of the first K choices [N, K]; None where no reward was imputed.
    """

    session: np.ndarray
    position: np.ndarray
    item_id: np.ndarray
    event: np.ndarray
    reward: np.ndarray
    rank: np.ndarray
    greedy_item: np.ndarray
    log_pi: np.ndarray
    log_mu: np.ndarray
    js: np.ndarray
    kl: np.ndarray
    imputed_reward: np.ndarray | None = None
    js_stderr: np.ndarray | None = None
    kl_stderr: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rank)

    @property
    def has_logging_policy(self) -> bool:
        """Whether divergences were measured."""
        return bool(len(self)) and not np.isnan(self.js[0])

    def write(self, path: Path, session_tokens: Texts, item_tokens: Texts) -> None:
        """As Parquet, ids written as the tokens of the data; beside, then renamed into place."""
        columns: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, tokens in (
            ("session", session_tokens), ("item_id", item_tokens), ("greedy_item", item_tokens),
        ):  # fmt: skip
            columns[name] = pl.Series(tokens.tolist(), dtype=pl.String).gather(columns[name])
        columns["event"] = pl.Series(self.event.tolist(), dtype=pl.String)
        columns = {name: column for name, column in columns.items() if column is not None}
        frame = pl.DataFrame({"session_id": columns.pop("session"), **columns})
        frame = frame.with_columns(pl.col("log_mu", "js", "kl").fill_nan(None))
        with replacing(path) as scratch:
            frame.write_parquet(scratch)


def read_events(path: Path) -> EventTable:
    """An event table from its Parquet file; session and items get dense ids by their tokens."""
    frame = pl.read_parquet(path)
    items = pl.concat([frame["item_id"], frame["greedy_item"]]).rank("dense").to_numpy()
    columns: dict[str, Any] = {
        "session": frame["session_id"].rank("dense").to_numpy().astype(np.int64) - 1,
        "item_id": items[: len(frame)].astype(np.int64),
        "greedy_item": items[len(frame) :].astype(np.int64),
        "event": frame["event"].to_numpy(),
    }
    for name in (field.name for field in fields(EventTable)):
        if name in frame.columns and name not in columns:
            column = frame[name]
            columns[name] = (
                column.fill_null(float("nan")) if column.dtype.is_float() else column
            ).to_numpy()
    return EventTable(**columns)


def joined(tables: Sequence[EventTable]) -> EventTable:
    """One table of the events of several, each of which has some of a part's."""
    columns: dict[str, Any] = {}
    for name in (field.name for field in fields(EventTable)):
        if getattr(tables[0], name) is not None:
            columns[name] = np.concatenate([getattr(table, name) for table in tables])
    order = np.lexsort((columns["position"], columns["session"]))
    return EventTable(**{name: column[order] for name, column in columns.items()})


# Imputed rewards [n, k] of items [n, k], 1 … A, for sessions [n] of the store.
Impute = Callable[[np.ndarray, Tensor], np.ndarray]
Scorer = Callable[[slice], Scores]  # a chunk of a batch's events to what gives their logits [n, A]


@dataclass(frozen=True)
class Ranker:
    """What gives the scores of events.

    Attributes:
        scorer: of a batch of windows, of those events that count.
        written: whether logits come written down, a matrix [n, A].
    """

    scorer: Callable[[Batch], Scorer]
    written: bool


def by_windows(policy: Policy, device: torch.device) -> Ranker:
    """A policy that reads whole windows, one encoder pass for all events of a batch."""

    def scorer(batch: Batch) -> Scorer:
        state = _states(policy, batch, device)
        return lambda chunk: (state[chunk], policy.policy_table)

    return Ranker(scorer, written=False)


def _states(policy: Policy, batch: Batch, device: torch.device) -> Tensor:
    """Of the events that count, [N, D]."""
    return policy.forward(batch.item_seq.to(device))[batch.counts.to(device)]


def _logits(scores: Scores) -> Tensor:
    """Written down, [n, A]."""
    return scores if isinstance(scores, Tensor) else scores[1].outputs(scores[0])


def by_rows(logits: Callable[[np.ndarray], Tensor], held: Held) -> Ranker:
    """What reads one prefix per event: ``logits`` of rows [n], indices into ``held.places``."""

    def scorer(batch: Batch) -> Scorer:
        rows = np.searchsorted(held.places, batch.place[batch.counts].numpy())
        return lambda chunk: logits(rows[chunk])

    return Ranker(scorer, written=True)


def event_table(
    policy: Policy,
    held: Held,
    batch_size: int,
    device: torch.device,
    logging: Policy | None = None,
    progress: Callable[[list[np.ndarray]], Iterable[np.ndarray]] = iter,
    imputed: tuple[Impute, int] | None = None,
    candidates: int | None = None,
) -> EventTable:
    """``rank_events`` of a policy; the caller sets eval mode."""
    ranker = by_windows(policy, device)
    return rank_events(ranker, held, batch_size, device, logging, progress, imputed, candidates)


@torch.no_grad()
def rank_events(
    ranker: Ranker,
    held: Held,
    batch_size: int,
    device: torch.device,
    logging: Policy | None = None,
    progress: Callable[[list[np.ndarray]], Iterable[np.ndarray]] = iter,
    imputed: tuple[Impute, int] | None = None,
    candidates: int | None = None,
) -> EventTable:
    """Rank every held-out event against the whole catalogue.

    Args:
        ranker: gives the scores of π, item 1 first.
        batch_size: windows per encoder pass, and the most events whose logits are written down at
            a time; fewer where the catalogue is large, so that no [events, items] matrix grows.
        logging: the logging policy μ̂, for the divergences.
        progress: wraps the list of batches, to show a bar.
        imputed: what imputes rewards, and of how many first choices.
        candidates: of an event, on which its divergences are estimated; None: exact.

    Raises:
        FloatingPointError: a logit is not finite where it must be.
    """
    windows, store = held.windows, held.sessions
    place = target_places(windows)  # of a share, fewer than held.places
    most = max(1, min(batch_size, MATRIX_ELEMENTS // (held.item_num - 1)))
    written = ranker.written
    top = min(imputed[1], held.item_num - 1) if imputed else 0
    estimate: DivergenceEstimator | None = None
    if logging is not None and candidates is not None:
        counts, written = np.bincount(store.items, minlength=held.item_num)[1:], True
        estimate = DivergenceEstimator(candidates, counts, device, seed=int(place[0]))
        most = max(
            1, min(most, MATRIX_ELEMENTS // (candidates * logging.policy_table.weight.shape[1]))
        )
    columns: dict[str, np.ndarray] = {}
    batches = evaluation_batches(windows, batch_size)
    made = made_ahead(lambda index: held.batch(windows.take(index)), batches)
    for _, batch in zip(progress(batches), made, strict=True):
        scorer = ranker.scorer(batch)
        state_mu = None if logging is None else _states(logging, batch, device)
        action = batch.action[batch.counts].to(device) - 1
        rows = np.searchsorted(place, batch.place[batch.counts].numpy())
        for part in parts(len(action), most if written else max(1, len(action))):
            scores, mu = scorer(part), None
            if logging is not None and state_mu is not None:
                mu = state_mu[part], logging.policy_table
            if estimate is not None and mu is not None:
                scores = _logits(scores)
                _write(columns, estimate(scores, *mu), rows[part], len(place))
                mu = None
            found = ranking_pass(scores, action[part], mu, top)
            if not torch.isfinite(found.log_pi).all():  # ranks would look like perfect ones
                raise FloatingPointError("scores of held-out events are not finite")
            _write(columns, found, rows[part], len(place))

    def column(name: str) -> np.ndarray:
        return columns.get(name, np.full(len(place), np.nan, np.float32))

    session = np.searchsorted(store.offsets, place, side="right") - 1
    rewards = imputed[0](session, torch.from_numpy(column("top_items")) + 1) if imputed else None
    return EventTable(
        session=session,
        position=place - store.offsets[session],
        item_id=store.items[place].astype(np.int64),
        event=np.array(store.event_names, dtype=object)[store.events[place]],
        reward=store.rewards[place],
        rank=column("rank"),
        greedy_item=column("greedy_item") + 1,
        log_pi=column("log_pi"),
        log_mu=column("log_mu"),
        js=column("js"),
        kl=column("kl"),
        imputed_reward=None if rewards is None else rewards.astype(np.float32),
        js_stderr=columns.get("js_stderr"),
        kl_stderr=columns.get("kl_stderr"),
    )


def _write(columns: dict[str, np.ndarray], found: NamedTuple, rows: np.ndarray, count: int) -> None:
    """Statistics of some events into their rows of the columns of all ``count``."""
    for name, value in found._asdict().items():
        if value is not None:
            values = value.cpu().numpy()
            if name not in columns:
                columns[name] = np.empty((count, *values.shape[1:]), values.dtype)
            columns[name][rows] = values
