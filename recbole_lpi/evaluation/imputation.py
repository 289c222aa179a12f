"""The reward of what was not logged, imputed from ratings (paper, section 4.1; Steck 2010).

Which ratings there are depends on what they would be: people rate what they like. A factorisation
of the observed ratings alone imputes too many high ones, so that of the whole matrix is used, in
which every missing entry counts as a low rating r_m with a small weight w_m.

The items' factors come from training sessions. A held-out session gets its factors from its own
ratings, by one more half-step of the alternating least squares with the items' factors fixed. A
predicted rating becomes a reward by linear interpolation between the rewards of the ratings that
occur, and beyond the lowest and the highest it is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.data.sessions import Part, Sessions, ranges
from recbole_lpi.nn.factorization import Ratings, Weighting, half_step
from recbole_lpi.settings import SettingError

BINS = 10  # of the distribution of rewards, over [lowest, highest]
REPORTED_SESSIONS = 1000  # whose every item enters the distribution of imputed rewards
MATRIX_ELEMENTS = 2**24  # of one [sessions, items] matrix


@dataclass(frozen=True)
class ImputationSettings:
    """Settings of the factorisation. ValueError names the setting, its value and what it may be.

    Attributes:
        rank, regularization: K and λ. Of several, the pair with the least held-out error is taken.
        missing_rating, missing_weight: r_m and w_m. Held-out error cannot choose them: it is over
            ratings that people chose to give, which is the bias that they are there to correct.
        sweeps: over all users, then all items.
        float64: solve in double precision.
        seed: of the initial factors and of which validation ratings are held out.
    """

    rank: tuple[int, ...] = (10, 20, 50)
    regularization: tuple[float, ...] = (0.05, 0.1)
    missing_rating: float = 2.0
    missing_weight: float = 0.005
    sweeps: int = 10
    float64: bool = False
    seed: int = 2020

    def __post_init__(self) -> None:
        for name in ("rank", "regularization"):
            if not getattr(self, name) or min(getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be > 0, got {list(getattr(self, name))}")
        if self.sweeps < 1:
            raise ValueError(f"sweeps must be >= 1, got {self.sweeps}")
        for regularization in self.regularization:
            Weighting(self.missing_weight, regularization)

    @property
    def candidates(self) -> list[ImputationSettings]:
        """Each pair of a rank and a regularisation."""
        return [
            replace(self, rank=(rank,), regularization=(regularization,))
            for rank in self.rank
            for regularization in self.regularization
        ]

    @property
    def weighting(self) -> Weighting:
        """w_m and the first λ."""
        return Weighting(self.missing_weight, self.regularization[0])

    @property
    def dtype(self) -> torch.dtype:
        """Of the factors."""
        return torch.float64 if self.float64 else torch.float32


@dataclass(frozen=True)
class RewardScale:
    """The ratings that occur, ascending [P], and the reward of each [P]."""

    ratings: np.ndarray
    rewards: np.ndarray

    def __call__(self, ratings: np.ndarray) -> np.ndarray:
        """Reward of any rating, by linear interpolation; of one beyond the scale, its end's."""
        return np.asarray(np.interp(ratings, self.ratings, self.rewards))

    def check(self, missing_rating: float) -> None:
        """SettingError unless r_m is a rating that could be given."""
        low, high = self.ratings[0], self.ratings[-1]
        if not low <= missing_rating <= high:
            raise SettingError(
                f"imputation: missing_rating must lie among the ratings, {low:g} to {high:g}, got "
                f"{missing_rating:g}"
            )

    @property
    def positive(self) -> float:
        """The least reward above the lowest: from here on an action was liked at all."""
        above = self.rewards[self.rewards > self.rewards.min()]
        return float(above.min()) if len(above) else float(self.rewards.min())


def reward_scale(ratings: np.ndarray, rewards: np.ndarray) -> RewardScale:
    """From the ratings and rewards [E] of a log: the mean reward of each rating."""
    known, place, counts = np.unique(ratings, return_inverse=True, return_counts=True)
    return RewardScale(known.astype(np.float64), np.bincount(place, rewards) / counts)


def session_ratings(
    sessions: Sessions, part: Part, item_num: int, missing_rating: float, dtype: torch.dtype
) -> Ratings:
    """Ratings of the part's sessions up to their stop, item 1 as column 0, less r_m.

    Of an item that a session rated twice the later rating counts.
    """
    assert sessions.ratings is not None
    row, place = ranges(sessions.offsets[part.session], part.stop)
    column = sessions.items[place].astype(np.int64) - 1
    order = np.lexsort((place, column, row))
    entry = row[order] * item_num + column[order]
    kept = np.sort(order[entry != np.append(entry[1:], -1)])
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row[kept], minlength=len(part)))])
    value = sessions.ratings[place[kept]].astype(np.float64) - missing_rating
    return Ratings(
        torch.from_numpy(offsets),
        torch.from_numpy(column[kept]),
        torch.from_numpy(value).to(dtype),
        item_num - 1,
    )


def held_apart(ratings: Ratings, known: Ratings, seed: int) -> tuple[Ratings, Ratings]:
    """Every entry in one of two matrices: what is given, and what is to be predicted.

    By chance, half and half; but what is ``known`` before, to the factorisation too, is given.
    """
    given = torch.from_numpy(np.random.default_rng(seed).random(len(ratings.value)) < 0.5)
    given |= torch.isin(ratings.entries, known.entries)
    return _chosen(ratings, given), _chosen(ratings, ~given)


def _chosen(ratings: Ratings, chosen: Tensor) -> Ratings:
    reached = torch.cat([chosen.new_zeros(1, dtype=torch.int64), chosen.cumsum(0)])
    return ratings._replace(
        offsets=reached[ratings.offsets],
        column=ratings.column[chosen],
        value=ratings.value[chosen],
    )


@dataclass(frozen=True)
class Imputation:
    """r̂(x, a) of every session x and item a.

    Attributes:
        items: their factors [A, K], item 1 first.
        settings: those it was fitted with, of one rank and one regularisation.
        scale: from ratings to rewards.
        report: ``fit_report``.
    """

    items: Tensor
    settings: ImputationSettings
    scale: RewardScale
    report: dict[str, Any]

    def sessions(self, ratings: Ratings) -> Tensor:
        """Factors [S, K] of sessions, from their ratings."""
        return half_step(ratings, self.items, self.settings.weighting)

    def ratings(self, sessions: Tensor, items: Tensor) -> Tensor:
        """Predicted ratings [n, k] of items [n, k], 1 … A, for sessions of factors [n, K]."""
        predicted = torch.bmm(self.items[items - 1], sessions[:, :, None]).squeeze(2)
        return predicted + self.settings.missing_rating

    def rewards(self, sessions: Tensor, items: Tensor) -> np.ndarray:
        """Imputed rewards [n, k]; arguments as of ``ratings``."""
        return self.scale(self.ratings(sessions, items).cpu().numpy())


class ImputedRewards:
    """r̂ for the sessions of one held-out part, whose factors are solved for once."""

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


def held_out_error(imputation: Imputation, given: Ratings, hidden: Ratings) -> dict[str, float]:
    """Error of the hidden ratings, predicted from those given: root mean square and mean absolute.

    Beside them the error of predicting the mean of those given for all.
    """
    factors = imputation.sessions(given)[hidden.row]
    predicted = imputation.ratings(factors, hidden.column[:, None] + 1).squeeze(1)
    low, high = imputation.scale.ratings[[0, -1]]
    true = hidden.value + imputation.settings.missing_rating
    error = predicted.clamp(low, high) - true
    return {
        "rmse": float(error.square().mean().sqrt()),
        "mae": float(error.abs().mean()),
        "rmse_of_mean": float((hidden.value - given.value.mean()).square().mean().sqrt()),
        "ratings": len(error),
    }


def fit_report(imputation: Imputation, ratings: Ratings, observed: np.ndarray) -> dict[str, Any]:
    """Imputed against observed rewards: distributions, means and shares of positives.

    Args:
        ratings: of training sessions; every item of 1,000 of them, drawn by the seed, is imputed.
        observed: rewards of all that they logged.
    """
    scale = imputation.scale
    rng = np.random.default_rng(imputation.settings.seed)
    some = np.sort(rng.permutation(ratings.rows)[:REPORTED_SESSIONS])
    factors = imputation.sessions(ratings)[torch.from_numpy(some)]
    edges = np.linspace(scale.rewards.min(), scale.rewards.max(), BINS + 1)
    counts, total, positive, number = np.zeros(BINS), 0.0, 0, 0
    rows = max(1, MATRIX_ELEMENTS // len(imputation.items))
    for chunk in torch.split(factors, rows):
        predicted = chunk @ imputation.items.T + imputation.settings.missing_rating
        rewards = scale(predicted.numpy())
        counts += np.histogram(rewards, edges)[0]
        total, number = total + float(rewards.sum()), number + rewards.size
        positive += int((rewards >= scale.positive).sum())
    return {
        "edges": edges.tolist(),
        "imputed": (counts / number).tolist(),
        "observed": (np.histogram(observed, edges)[0] / len(observed)).tolist(),
        "imputed_mean": total / number,
        "observed_mean": float(observed.mean()),
        "positive_from": scale.positive,
        "imputed_positive": positive / number,
        "observed_positive": float((observed >= scale.positive).mean()),
        "sessions": len(some),
    }
