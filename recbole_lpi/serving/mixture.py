"""Two policies at once: a new one that shows a share of the items, beside the one that is live."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from recbole_lpi.data.tokens import Tokens
from recbole_lpi.serving.choosing import Choice, Recommendations
from recbole_lpi.serving.encoding import Vocabulary
from recbole_lpi.serving.raw_histories import ITEM, read_histories
from recbole_lpi.serving.recommender import Recommender


class Mixture:
    """The policy m(a | x) = (1 − share) · live(a | x) + share · new(a | x).

    Its items are those of either policy. One that a policy does not know has probability 0 there.

    Args:
        live: the policy that most items are drawn from.
        new: the policy to try.
        share: of the new one, in [0, 1].

    Attributes:
        vocabulary: the names of all items.
    """

    def __init__(self, live: Recommender, new: Recommender, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"share must be in [0, 1], got {share}")
        names = new.vocabulary.items.text[1:]
        more = names.filter(pa.array(live.vocabulary.ids(_series(names)) == 0))
        both = pa.concat_arrays([live.vocabulary.items.text.cast(names.type), more])
        self.vocabulary = Vocabulary(Tokens(both))
        self._parts = [
            (policy, self._numbers(policy), weight)
            for policy, weight in ((live, 1 - share), (new, share))
            if weight > 0
        ]

    def recommend(self, histories: Any, k: int = 1, seed: int | None = None) -> Recommendations:
        """Draw k items for each history, none twice.

        A slot's propensity is the probability with which m gave it this item, out of what the slots
        before had left; scores are log m. The matrix [S, A] is written down.

        Args:
            histories: as ``read_histories`` takes them.
            k: how many, ≥ 1.
            seed: of the draws; None: others each time.

        Raises:
            ValueError: as of ``Recommender.recommend``.
        """
        if k < 1:
            raise ValueError(f"k must be >= 1, got {k}")
        raw = read_histories(histories)
        m = np.zeros((len(raw), len(self.vocabulary.items) - 1))
        for policy, place, weight in self._parts:
            m[:, place] += weight * np.exp(policy.log_probabilities(raw), dtype=np.float64)
        with np.errstate(divide="ignore"):  # of an item that neither shows
            log_m = np.log(m)
        drawn = Choice(k, draws=np.random.default_rng(seed)).of(log_m, np.zeros((len(raw), 0), int))
        ids = np.where(np.isfinite(drawn.scores), drawn.place + 1, 0)
        unknown = int((self.vocabulary.ids(raw.events[ITEM]) == 0).sum())
        return Recommendations(
            raw.session_ids, ids, drawn.scores.astype(np.float32), drawn.propensities, unknown,
            self.vocabulary.items,
        )  # fmt: skip

    def _numbers(self, policy: Recommender) -> np.ndarray:
        """Return the column of each of a policy's items."""
        return self.vocabulary.ids(_series(policy.vocabulary.items.text[1:])) - 1


def _series(names: pa.Array) -> pl.Series:
    return pl.Series(names.cast(pa.large_string()))
