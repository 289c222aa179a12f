"""A trained policy put to use: raw histories in, items with their propensities out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from recbole_lpi.data.batches import History
from recbole_lpi.nn.divergences import jensen_shannon
from recbole_lpi.nn.ranking import ranking_pass
from recbole_lpi.policy.checkpoint import load_policy as load_checkpoint
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.serving.choosing import chosen, generator, left
from recbole_lpi.serving.encoding import Encoded, Vocabulary, encode
from recbole_lpi.serving.raw_histories import RawHistories, read_histories
from recbole_lpi.settings import SettingError

MATRIX_ELEMENTS = 2**24  # of the scores that are written down at a time: 64 MB


@dataclass(frozen=True)
class Recommendations:
    """k items for each of S sessions, the best or the first drawn first.

    Attributes:
        session_ids: what each session is called, [S].
        items: names, [S, k]; None where there are fewer items than k.
        scores: log π(a | x), float32 [S, k]; −∞ where there is no item.
        propensities: of what is the best, π(a | x); of what is drawn, the probability with which
            this item was drawn for this slot, given those of the slots before: float64 [S, k].
        unknown: how many events of the histories were left out, for the policy does not know their
            items.
    """

    session_ids: pl.Series
    items: np.ndarray
    scores: np.ndarray
    propensities: np.ndarray
    unknown: int

    def table(self) -> pl.DataFrame:
        """Return a row for each recommendation: session_id, slot from 1, item_id, log_pi, …"""
        n, k = self.items.shape
        there = np.isfinite(self.scores).ravel()
        return pl.DataFrame(
            {
                "session_id": self.session_ids.gather(np.repeat(np.arange(n), k)[there]),
                "slot": np.tile(np.arange(1, k + 1), n)[there],
                "item_id": pl.Series(self.items.ravel()[there].tolist(), dtype=pl.String),
                "log_pi": self.scores.ravel()[there],
                "propensity": self.propensities.ravel()[there],
            }
        )


def load_policy(path: str | os.PathLike[str]) -> Recommender:
    """Load a policy to recommend with, from its checkpoint or the folder of its run.

    Neither RecBole nor the data are needed.

    Raises:
        SettingError: there is none, it is not whole, or it is of an earlier version that did not
            keep the names of its items.
    """
    network, items = load_checkpoint(path)
    if items is None:
        raise SettingError(
            f"{path} is of an earlier version, which did not keep the names of its items: train it "
            "again"
        )
    return Recommender(network, Vocabulary(items, network.event_names))


class Recommender:
    """A policy over named items.

    Args:
        network: the policy, in evaluation mode.
        vocabulary: the names of its items and kinds of event.
    """

    def __init__(self, network: PolicyNetwork, vocabulary: Vocabulary) -> None:
        self.network, self.vocabulary = network.eval(), vocabulary

    def recommend(
        self,
        histories: Any,
        k: int = 20,
        exclude_seen: bool = False,
        candidates: Sequence[Any] | None = None,
        sample: bool = False,
        seed: int | None = None,
    ) -> Recommendations:
        """Recommend k items for each history.

        Args:
            histories: as ``read_histories`` takes them.
            k: how many, ≥ 1.
            exclude_seen: leave out what the history has already, as far as the policy reads it.
                π is then that of the other items: it sums to 1 over them.
            candidates: the items to choose from, for all sessions; None: every one. π as above.
            sample: draw the items from π, without replacement, in place of the k best.
            seed: of the draws; None: others each time.

        Raises:
            ValueError: a history is empty and the policy was not trained to open one, lacks what
                the policy reads, or an item of ``candidates`` is not known.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        raw, encoded = self._read(histories)
        allowed = None if candidates is None else self._allowed(candidates)
        draws = generator(seed) if sample else None
        width = min(k, self.network.n_items)
        found = [
            chosen(left(log_pi, history, exclude_seen, allowed), width, draws)
            for history, log_pi in self._log_pi(encoded)
        ]
        empty = torch.zeros(0, width)
        index, scores, propensities = (
            torch.cat(list(part)).cpu().numpy()
            for part in (
                zip(*found, strict=True) if found else [(empty.long(),), (empty,), (empty,)]
            )
        )
        items = self.vocabulary.names(index + 1)
        items[~np.isfinite(scores)] = None
        return Recommendations(
            raw.session_ids, items, scores, propensities.astype(np.float64), encoded.unknown
        )

    def log_prob(self, histories: Any, items: Sequence[Any]) -> np.ndarray:
        """Return log π(a | x) of one item for each history, float32 [S].

        Raises:
            ValueError: as of ``recommend``; an item is not known.
        """
        raw, encoded = self._read(histories)
        if len(items) != len(raw):
            raise ValueError(f"there are {len(raw)} histories and {len(items)} items: one for each")
        item = torch.from_numpy(self._known(items, "items")) - 1
        found = []
        for part, history, length in self._parts(encoded):
            with torch.no_grad():
                factors = self.network.last_factors(history, length)
                found.append(ranking_pass(factors, item[part]).log_pi)
        return torch.cat([torch.zeros(0), *found]).numpy()

    def log_probabilities(self, histories: Any) -> Tensor:
        """Return log π(a | x) of every item for each history, float32 [S, A].

        Raises:
            ValueError: as of ``recommend``.
        """
        found = [log_pi for _, log_pi in self._log_pi(self._read(histories)[1])]
        return torch.cat([torch.zeros(0, self.network.n_items), *found])

    def divergence(self, other: Recommender, histories: Any) -> np.ndarray:
        """Return the Jensen-Shannon divergence from another policy for each history, [S], in nats.

        Raises:
            ValueError: the other policy has other items.
        """
        if self.vocabulary.items.text != other.vocabulary.items.text:
            raise ValueError("the two policies have other items: their divergence is not defined")
        pairs = zip(
            self._log_pi(self._read(histories)[1]),
            other._log_pi(other._read(histories)[1]),
            strict=True,
        )
        return torch.cat(
            [torch.zeros(0), *(jensen_shannon(mine, theirs) for (_, mine), (_, theirs) in pairs)]
        ).numpy()

    def _read(self, histories: Any) -> tuple[RawHistories, Encoded]:
        raw, settings = read_histories(histories), self.network.settings
        encoded = encode(raw, self.vocabulary, settings.network.inputs, settings.max_length)
        empty = encoded.length == 0
        if bool(empty.any()) and not settings.evaluate_first_event:
            where = raw.session_ids[int(empty.int().argmax())]
            raise ValueError(
                f"session {where} has no event that the policy knows, and the policy has not "
                "learnt to open a session: train it with --evaluate_first_event=True, or leave the "
                "session out"
            )
        return raw, encoded

    def _parts(self, encoded: Encoded) -> Iterator[tuple[slice, History, Tensor]]:
        """Cut sessions into parts whose scores can be written down."""
        items, kinds, gaps = encoded.history
        size = max(1, MATRIX_ELEMENTS // self.network.n_items)
        for first in range(0, len(encoded.length), size):
            part = slice(first, first + size)
            history = History(
                items[part], None if kinds is None else kinds[part],
                None if gaps is None else gaps[part],
            )  # fmt: skip
            yield part, history, encoded.length[part]

    @torch.no_grad()
    def _log_pi(self, encoded: Encoded) -> Iterator[tuple[History, Tensor]]:
        """Return log π of every item, a part of the sessions at a time: [n, A]."""
        for _, history, length in self._parts(encoded):
            outputs = self.network.last_factors(history, length).outputs()
            yield history, outputs.float().log_softmax(-1)

    def _allowed(self, candidates: Sequence[Any]) -> Tensor:
        allowed = torch.zeros(self.network.n_items, dtype=torch.bool)
        allowed[torch.from_numpy(self._known(candidates, "candidates")) - 1] = True
        return allowed

    def _known(self, items: Sequence[Any], name: str) -> np.ndarray:
        """Return the ids of items; ValueError for one that is not known."""
        names = pl.Series([str(item) for item in items], dtype=pl.String)
        ids = self.vocabulary.ids(names)
        if (ids == 0).any():
            unknown = names[int((ids == 0).argmax())]
            raise ValueError(
                f"{name} has {unknown!r}, which the policy does not know: leave it out"
            )
        return ids
