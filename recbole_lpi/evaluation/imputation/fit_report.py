"""How good a fit is: error of held-out ratings, and imputed against observed rewards."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.evaluation.imputation.imputed_rewards import Imputation
from recbole_lpi.nn.factorization import Ratings

BINS = 10  # of the distribution of rewards, over [lowest, highest]
REPORTED_SESSIONS = 1000  # whose every item enters the distribution of imputed rewards
MATRIX_ELEMENTS = 2**24  # of one [sessions, items] matrix


def held_apart(ratings: Ratings, known: Ratings, seed: int) -> tuple[Ratings, Ratings]:
    """Divide the entries among two matrices: what is given, and what is to be predicted.

    By chance, half and half; but what is ``known`` before, to the factorisation too, is given.
    """
    given = torch.from_numpy(np.random.default_rng(seed).random(len(ratings.value)) < 0.5)
    given |= torch.isin(ratings.entries, known.entries)
    return _chosen(ratings, given), _chosen(ratings, ~given)


def _chosen(ratings: Ratings, chosen: Tensor) -> Ratings:
    """The matrix with the chosen entries alone."""
    reached = torch.cat([chosen.new_zeros(1, dtype=torch.int64), chosen.cumsum(0)])
    return ratings._replace(
        offsets=reached[ratings.offsets],
        column=ratings.column[chosen],
        value=ratings.value[chosen],
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
