"""A trained policy put to use: raw histories in, items with their propensities out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from recbole_lpi.serving.choosing import Choice, Chosen, Recommendations
from recbole_lpi.serving.encoding import Encoded, Vocabulary, encode
from recbole_lpi.serving.raw_histories import RawHistories, read_histories
from recbole_lpi.serving.served_policy import ServedPolicy

MATRIX_ELEMENTS = 2**24  # of the scores that are written down at a time: 64 MB


class Recommender:
    """A policy over named items.

    Args:
        policy: what gives π of its items.
        vocabulary: the names of its items and kinds of event.
    """

    def __init__(self, policy: ServedPolicy, vocabulary: Vocabulary) -> None:
        self.policy, self.vocabulary = policy, vocabulary

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
        choice = self.choice(k, exclude_seen, candidates, sample, seed)
        raw, encoded, unknown = self._answerable(histories)
        return self.choose(raw.session_ids, encoded, choice, unknown)

    def log_prob(self, histories: Any, items: Sequence[Any]) -> np.ndarray:
        """Return log π(a | x) of one item for each history, float32 [S].

        Raises:
            ValueError: as of ``recommend``; an item is not known.
        """
        raw, encoded, _ = self._answerable(histories)
        if len(items) != len(raw):
            raise ValueError(f"there are {len(raw)} histories and {len(items)} items: one for each")
        index = self._known(items, "items") - 1
        found = [
            self.policy.log_pi(encoded.take(part))[np.arange(part.stop - part.start), index[part]]
            for part in self._parts(encoded)
        ]
        return np.concatenate([np.zeros(0, np.float32), *found])

    def log_probabilities(self, histories: Any) -> np.ndarray:
        """Return log π(a | x) of every item for each history, float32 [S, A].

        Raises:
            ValueError: as of ``recommend``.
        """
        _, encoded, _ = self._answerable(histories)
        found = [self.policy.log_pi(encoded.take(part)) for part in self._parts(encoded)]
        return np.concatenate([np.zeros((0, self.policy.n_items), np.float32), *found])

    def divergence(self, other: Recommender, histories: Any) -> np.ndarray:
        """Return the Jensen-Shannon divergence from another policy for each history, [S], in nats.

        Raises:
            ValueError: the other policy has other items.
        """
        import torch  # which a policy of another runtime does without

        from recbole_lpi.nn.divergences import jensen_shannon

        if self.vocabulary.items.text != other.vocabulary.items.text:
            raise ValueError("the two policies have other items: their divergence is not defined")
        raw, mine, _ = self._answerable(histories)
        _, theirs, _ = other._answerable(raw)
        found = [
            jensen_shannon(
                torch.from_numpy(self.policy.log_pi(mine.take(part))),
                torch.from_numpy(other.policy.log_pi(theirs.take(part))),
            )
            for part in self._parts(mine)
        ]
        return torch.cat([torch.zeros(0), *found]).numpy()

    def read(self, histories: Any, first_row: int = 0) -> tuple[RawHistories, Encoded, int]:
        """Read histories as ``read_histories`` does, and encode them; also count events left out.

        Raises:
            ValueError: they are no histories, or lack what the policy reads.
        """
        raw = read_histories(histories, first_row)
        encoded, unknown = encode(raw, self.vocabulary, self.policy.inputs, self.policy.max_length)
        return raw, encoded, unknown

    def choice(
        self,
        k: int = 20,
        exclude_seen: bool = False,
        candidates: Sequence[Any] | None = None,
        sample: bool = False,
        seed: int | None = None,
    ) -> Choice:
        """Say what is asked for of each session, with the arguments of ``recommend``."""
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        allowed = None
        if candidates is not None:
            allowed = np.zeros(self.policy.n_items, bool)
            allowed[self._known(candidates, "candidates") - 1] = True
        return Choice(k, exclude_seen, allowed, np.random.default_rng(seed) if sample else None)

    def choose(
        self, session_ids: pl.Series, encoded: Encoded, choice: Choice, unknown: int = 0
    ) -> Recommendations:
        """Recommend for histories that were read, each of which the policy can continue."""
        k = min(choice.k, self.policy.n_items)
        empty = np.zeros((0, k))
        found = [
            Chosen(empty.astype(np.int64), empty.astype(np.float32), empty),
            *(self._chosen(encoded.take(part), choice, k) for part in self._parts(encoded)),
        ]
        index, scores, propensities = (np.concatenate(part) for part in zip(*found, strict=True))
        ids = np.where(np.isfinite(scores), index + 1, 0)
        return Recommendations(
            session_ids, ids, scores, propensities, unknown, self.vocabulary.items
        )

    def _chosen(self, histories: Encoded, choice: Choice, k: int) -> Chosen:
        if choice.of_the_best:
            index, scores = self.policy.best(histories, k)
            return Chosen(index, scores, np.exp(scores, dtype=np.float64))
        return choice.of(self.policy.log_pi(histories), histories.items)

    def _answerable(self, histories: Any) -> tuple[RawHistories, Encoded, int]:
        """Read histories; ValueError if the policy cannot continue one because it is empty."""
        raw, encoded, unknown = self.read(histories)
        empty = encoded.length == 0
        if empty.any() and not self.policy.opens:
            where = raw.session_ids[int(empty.argmax())]
            raise ValueError(
                f"session {where} has no event that the policy knows, and the policy has not "
                "learnt to open a session: train it with --evaluate_first_event=True, or leave the "
                "session out"
            )
        return raw, encoded, unknown

    def _parts(self, encoded: Encoded) -> Iterator[slice]:
        """Cut sessions into parts whose scores can be written down."""
        size, number = max(1, MATRIX_ELEMENTS // self.policy.n_items), len(encoded.length)
        return (slice(a, min(a + size, number)) for a in range(0, number, size))

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
