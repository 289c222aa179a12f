"""A log with ratings: what an imputation is fitted to, and what each rating is worth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from recbole_lpi.data.sessions import Part, Sessions, ranges
from recbole_lpi.evaluation.imputation.settings import ImputationSettings
from recbole_lpi.nn.factorization import Ratings
from recbole_lpi.settings import SettingError


@dataclass(frozen=True)
class RewardScale:
    """What a rating is worth: those that occur, ascending [P], and the reward of each [P]."""

    ratings: np.ndarray
    rewards: np.ndarray

    def __call__(self, ratings: np.ndarray) -> np.ndarray:
        """The reward of any rating, by linear interpolation; beyond the scale, that of its end."""
        return np.asarray(np.interp(ratings, self.ratings, self.rewards))

    def check(self, missing_rating: float) -> None:
        """Raise SettingError unless r_m is a rating that could be given."""
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
    """The scale of a log, from its ratings and rewards [E]: the mean reward of each rating."""
    known, place, counts = np.unique(ratings, return_inverse=True, return_counts=True)
    return RewardScale(known.astype(np.float64), np.bincount(place, rewards) / counts)


def session_ratings(
    sessions: Sessions, part: Part, item_num: int, missing_rating: float, dtype: torch.dtype
) -> Ratings:
    """The matrix of ratings, less r_m, of the part's sessions up to their stop, item 1 as column 0.

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


@dataclass(frozen=True)
class RatedLog:
    """A log whose ratings an imputation is fitted to, and the parts it is fitted and judged on.

    Attributes:
        name: of the data set; rating_field: of the column of ratings in it.
        sessions: of all parts.
        item_num: A + 1: items and padding.
        training, validation: what the items' factors come from, and what chooses among them.
        catalogue: hash of the items; data: of the events and of which are trained on.
    """

    name: str
    rating_field: str
    sessions: Sessions
    item_num: int
    training: Part
    validation: Part
    catalogue: str
    data: str

    @cached_property
    def scale(self) -> RewardScale:
        """What each rating is worth, from the whole log; SettingError if it has no such ratings."""
        ratings = self.sessions.ratings
        if ratings is None:
            raise SettingError(
                f"imputed_average_reward: {self.name} has no column '{self.rating_field}' "
                "(RATING_FIELD) from which rewards could be imputed; take it out of metrics"
            )
        bad = np.flatnonzero(~np.isfinite(ratings))
        if len(bad):
            raise SettingError(
                f"imputed_average_reward: {len(bad)} events of {self.name} have a "
                f"{self.rating_field} that is no number; correct or remove them"
            )
        return reward_scale(ratings, self.sessions.rewards)

    def training_ratings(self, settings: ImputationSettings) -> Ratings:
        """The matrix of ratings of the training sessions."""
        return self._ratings(self.training, settings)

    def validation_ratings(self, settings: ImputationSettings) -> tuple[Ratings, Ratings]:
        """Ratings of the validation sessions, and of them those before the part, known already."""
        part = self.validation
        before = replace(part, stop=part.start)
        return self._ratings(part, settings), self._ratings(before, settings)

    def _ratings(self, part: Part, settings: ImputationSettings) -> Ratings:
        missing, dtype = settings.missing_rating, settings.dtype
        return session_ratings(self.sessions, part, self.item_num, missing, dtype)
