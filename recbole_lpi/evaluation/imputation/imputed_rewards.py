"""A fitted imputation, and the rewards it imputes for the sessions of a held-out part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.data.sessions import Part, Sessions
from recbole_lpi.evaluation.imputation.rated_log import RewardScale, session_ratings
from recbole_lpi.evaluation.imputation.settings import ImputationSettings
from recbole_lpi.nn.factorization import Ratings, half_step

MATRIX_ELEMENTS = 2**24  # of one [n, K] matrix of factors, for each choice


@dataclass(frozen=True)
class Imputation:
    """A fitted factorisation, which gives the reward r̂(x, a) of every session x and item a.

    Attributes:
        items: factors of the items [A, K], item 1 first.
        settings: those it was fitted with, of one rank and one regularisation.
        scale: from ratings to rewards.
        report: what ``fit_report`` said of it.
    """

    items: Tensor
    settings: ImputationSettings
    scale: RewardScale
    report: dict[str, Any]

    def sessions(self, ratings: Ratings) -> Tensor:
        """Solve for the factors [S, K] of sessions, from their ratings."""
        return half_step(ratings, self.items, self.settings.weighting)

    def ratings(self, sessions: Tensor, items: Tensor) -> Tensor:
        """Predicted ratings [n, k] of items [n, k], 1 … A, for sessions of factors [n, K]."""
        predicted = torch.bmm(self.items[items - 1], sessions[:, :, None]).squeeze(2)
        return predicted + self.settings.missing_rating

    def rewards(self, sessions: Tensor, items: Tensor) -> np.ndarray:
        """Imputed rewards [n, k]; arguments as of ``ratings``."""
        return self.scale(self.ratings(sessions, items).cpu().numpy())


class ImputedRewards:
    """Imputed rewards of the sessions of one held-out part, whose factors are solved for once."""

    def __init__(
        self, imputation: Imputation, sessions: Sessions, part: Part, item_num: int
    ) -> None:
        s = imputation.settings
        self.imputation = imputation
        self.row = np.full(len(sessions), -1)
        self.row[part.session] = np.arange(len(part))
        self.factors = imputation.sessions(
            session_ratings(sessions, part, item_num, s.missing_rating, s.dtype)
        )

    def __call__(self, session: np.ndarray, items: Tensor) -> np.ndarray:
        """Imputed rewards [n, k] of items [n, k], 1 … A, for sessions [n] of the store."""
        row = torch.from_numpy(self.row[session])
        step = max(1, MATRIX_ELEMENTS // (items.shape[1] * self.factors.shape[1]))
        chunks = zip(torch.split(row, step), torch.split(items.cpu(), step), strict=True)
        return np.concatenate(
            [self.imputation.rewards(self.factors[rows], chosen) for rows, chosen in chunks]
        )
