"""A matrix of ratings of which the higher ones are given more often, and policies' true rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recbole_lpi.data.sessions import Part, Sessions
from recbole_lpi.evaluation.imputation.rated_log import RewardScale

GIVEN = (0.01, 0.02, 0.05, 0.15, 0.25)  # how often a rating of 1, 2, … 5 is given
SHARES = (0.4, 0.75, 0.85, 0.95)  # of the ratings that are below 2, 3, 4 and 5
SCALE = RewardScale(np.arange(1.0, 6.0), np.array([0.0, 0.0, 0.5, 1.0, 1.0]))


@dataclass(frozen=True)
class RatingsWorld:
    """Every user's rating of every item, those that were given, and what four policies choose.

    Attributes:
        ratings: 1 … 5, float64 [U, A], whether given or not.
        sessions: the given ones, a session for each user, in the order of the items.
        training: the first four fifths of the users.
        part: the last fifth of the users, on whom policies are measured.
        policies: by name, the items that each chooses for the users of ``part``, int64 [P, 1],
            0 … A − 1.
    """

    ratings: np.ndarray
    sessions: Sessions
    training: Part
    part: Part
    policies: dict[str, np.ndarray]

    @classmethod
    def drawn(cls, users: int = 600, items: int = 120, seed: int = 0) -> RatingsWorld:
        """Draw ratings of rank 2 and of items' quality, cut into five by ``SHARES``.

        Each is given with the probability that ``GIVEN`` has for it, and nobody is left without.
        """
        rng = np.random.default_rng(seed)
        taste = rng.normal(size=(users, 2)) @ rng.normal(size=(2, items))
        liked = taste + rng.normal(size=items) + 0.3 * rng.normal(size=(users, items))
        ratings = 1.0 + np.digitize(liked, np.quantile(liked, SHARES))
        given = rng.random(ratings.shape) < np.array(GIVEN)[ratings.astype(int) - 1]
        given[:, :2] |= ~given.any(1, keepdims=True)
        sessions, cut = _given_sessions(ratings, given), users * 4 // 5
        training, part = (
            Part(chosen, sessions.offsets[chosen], sessions.offsets[chosen + 1])
            for chosen in (np.arange(cut), np.arange(cut, users))
        )
        best = liked[cut:].argsort(1)
        chosen = {
            "each user's 5th best": best[:, -5],
            "the best on average": np.full(users - cut, liked.mean(0).argmax()),
            "a random item": rng.integers(items, size=users - cut),
            "each user's 5th worst": best[:, 4],
        }
        policies = {name: column[:, None] for name, column in chosen.items()}
        return cls(ratings, sessions, training, part, policies)

    @property
    def rewards(self) -> np.ndarray:
        """True rewards, float64 [U, A]."""
        return SCALE(self.ratings)

    @property
    def mean_given(self) -> float:
        """Mean of the training users' given ratings, round which one would factorise naively."""
        given = self.sessions.ratings
        assert given is not None
        return float(given[: int(self.training.stop[-1])].mean())

    def value(self, name: str) -> float:
        """Return J(π) of one of the policies: the mean true reward of what it chooses."""
        chosen = self.policies[name][:, 0]
        return float(self.rewards[self.part.session, chosen].mean())


def _given_sessions(ratings: np.ndarray, given: np.ndarray) -> Sessions:
    """Return the ratings at which ``given``, bool [U, A], is true, a session for each user."""
    user, item = given.nonzero()
    found = ratings[user, item]
    return Sessions(
        items=(item + 1).astype(np.int32),
        rewards=SCALE(found).astype(np.float32),
        events=np.zeros(len(item), np.uint8),
        timestamps=np.arange(len(item), dtype=np.float64),
        offsets=np.concatenate([[0], np.cumsum(given.sum(1))]),
        event_names=("rated",),
        ratings=found.astype(np.float32),
    )
