"""Reward-aware sampling: which sessions or events an epoch learns from, and what each weighs.

A unit of reward r is drawn with probability proportional to (ε + r)^α. Drawn c times it has the
factor c, which keeps that distribution, or c / E[c], whose mean is 1: then the expected gradient is
that of uniform sampling, exactly, because E[c] is known exactly:

    with replacement      n p            multinomial draws (Hansen & Hurwitz 1943)
    without               min(1, a p)    systematic draws (Madow 1949; Horvitz & Thompson 1952)

n is the number of draws, and a such that the probabilities of inclusion sum to n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recbole_lpi.data.sessions import Ints, Sessions
from recbole_lpi.data.windows import Windows, target_places
from recbole_lpi.settings import SettingError

UNITS = ("session", "event")


@dataclass(frozen=True)
class SamplingSettings:
    """Settings of sampling by reward. ValueError names the setting, its value and what it may be.

    Attributes:
        unit: ``session``, drawn by the sum of the rewards of its targets, or ``event``, by its own.
        alpha: α; 0 is uniform, < 0 prefers low rewards.
        epsilon: ε >= 0, what a unit without reward is worth.
        replacement: whether a unit can be drawn more than once in an epoch.
        fraction: draws in an epoch, as a share of the units.
        correct: reweight to the expected gradient of uniform sampling, or keep the distribution.
    """

    unit: str = "session"
    alpha: float = 1.0
    epsilon: float = 0.1
    replacement: bool = True
    fraction: float = 1.0
    correct: bool = False

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ValueError(f"unit must be one of {', '.join(UNITS)}, got {self.unit!r}")
        if not math.isfinite(self.alpha):
            raise ValueError(f"alpha must be finite, got {self.alpha}")
        if not 0 <= self.epsilon < math.inf:
            raise ValueError(f"epsilon must be >= 0 and finite, got {self.epsilon}")
        if not 0 < self.fraction < (math.inf if self.replacement else 1):
            rule = (
                "> 0 and finite"
                if self.replacement
                else f"in (0, 1) without replacement (at 1 every {self.unit} would be drawn, and "
                "nothing sampled)"
            )
            raise ValueError(f"fraction must be {rule}, got {self.fraction}")


class Sample(NamedTuple):
    """The windows and events that one epoch learns from.

    Attributes:
        windows: those with anything drawn, each once.
        factor: float64 [E], by place in the flat store; 0 where nothing was drawn.
        total: sum of the factors over the targets, or what it is expected to be if corrected.
        draws: int64 [U], how often each unit was drawn.
    """

    windows: Windows
    factor: np.ndarray
    total: float
    draws: Ints

    def weights(self, batches: Sequence[Ints]) -> np.ndarray:
        """Return ``sample_weight`` of each event, float32 [E], when trained in ``batches``.

        The loss of a batch is a mean over its N targets. A factor becomes a weight by N K / total,
        K batches: the mean over the epoch's batches then is Σ factor · loss / total, however they
        were cut. A denominator of each batch's own would be random, and the correction inexact.
        """
        weight = np.zeros(len(self.factor), np.float32)
        for batch in batches:
            place = target_places(self.windows.take(batch))
            weight[place] = self.factor[place] * (len(place) * len(batches) / self.total)
        return weight


class RewardSampler:
    """Draws epochs from the targets of ``windows``; SettingError if they cannot be drawn so."""

    def __init__(self, sessions: Sessions, windows: Windows, settings: SamplingSettings) -> None:
        self.settings, self.windows, self.events = settings, windows, len(sessions.items)
        self.place = target_places(windows)  # [N]
        self.row = np.repeat(np.arange(len(windows)), windows.targets)  # [N], the window of each
        reward = sessions.rewards[self.place].astype(np.float64)
        self.unit = self.row if settings.unit == "session" else np.arange(len(self.place))
        self.reward = np.bincount(self.unit, reward)  # [U]
        self.expected = expected_counts(self.reward, settings)  # [U]

    def draw(self, rng: np.random.Generator) -> Sample:
        """Draw the sample of one epoch."""
        draw = with_replacement if self.settings.replacement else without_replacement
        count = draw(self.expected, rng)
        of_unit = count / self.expected if self.settings.correct else count.astype(np.float64)
        factor = np.zeros(self.events)
        factor[self.place] = of_unit[self.unit]
        drawn = np.bincount(self.row, count[self.unit]) > 0
        total = len(self.place) if self.settings.correct else factor.sum()
        return Sample(self.windows.take(np.flatnonzero(drawn)), factor, float(total), count)

    def describe(self, sample: Sample) -> str:
        """Describe a sample in one line."""
        draws, unit = sample.draws, self.settings.unit
        return (
            f"{draws.sum()} draws from {len(draws)} {unit}s, {np.count_nonzero(draws)} distinct, "
            f"in {len(sample.windows)} of {len(self.windows)} sessions; mean reward of a draw "
            f"{np.average(self.reward, weights=draws):.4f}, uniformly {self.reward.mean():.4f}"
        )


def expected_counts(reward: np.ndarray, settings: SamplingSettings) -> np.ndarray:
    """Compute how often a unit of each reward [U] is drawn in an epoch, on average: float64 [U].

    SettingError where the rewards leave no such draw, or none that can be corrected.
    """
    s, number = settings, len(reward)
    base = s.epsilon + reward
    if base.min() < 0:
        _refuse(
            f"epsilon + reward must be >= 0, and a {s.unit} has reward {reward.min():g}: set "
            f"epsilon to {-reward.min():g} or more"
        )
    with np.errstate(divide="ignore"):
        share = (base / (base.max() or 1.0)) ** s.alpha
    possible = np.count_nonzero(share)
    if not possible or not np.isfinite(share.sum()):
        _refuse(f"no {s.unit} can be drawn by alpha {s.alpha:g}: set epsilon > 0")
    if s.correct and possible < number:
        _refuse(
            f"{number - possible} of {number} {s.unit}s would never be drawn, so that no "
            "correction is exact: set epsilon > 0, or correct: false"
        )
    draws = max(1, round(s.fraction * number))
    if s.replacement:
        return np.asarray(draws * (share / share.sum()))
    if draws == number or draws > possible:
        _refuse(
            f"{draws} draws without replacement from {possible} {s.unit}s that can be drawn: "
            "lower fraction, or set replacement: true"
        )
    return inclusion_probabilities(share, draws)


def inclusion_probabilities(share: np.ndarray, draws: int) -> np.ndarray:
    """Compute min(1, a · share), float64 [U], with a such that they sum to ``draws``."""
    certain = np.zeros(len(share), bool)
    while True:
        rest = np.where(certain, 0.0, share)
        expected = np.where(certain, 1.0, (draws - certain.sum()) * (rest / rest.sum()))
        over = expected > 1 + 1e-12
        if not over.any():
            return np.minimum(expected, 1.0)
        certain |= over


def with_replacement(expected: np.ndarray, rng: np.random.Generator) -> Ints:
    """Draw multinomial counts, int64 [U], with these expectations [U], whose sum is whole."""
    return rng.multinomial(round(expected.sum()), expected / expected.sum())


def without_replacement(expected: np.ndarray, rng: np.random.Generator) -> Ints:
    """Draw counts 0 or 1, int64 [U], with these expectations [U]: systematic sampling (Madow 1949).

    Units in random order lie end to end, each as long as its probability, and a comb of unit
    spacing and random start is laid over them.
    """
    order = rng.permutation(len(expected))
    reach = np.cumsum(expected[order])
    teeth = rng.random() + np.arange(round(reach[-1]))
    drawn = order[np.searchsorted(reach[:-1], teeth, side="right")]
    return np.bincount(drawn, minlength=len(expected))


def _refuse(reason: str) -> None:
    raise SettingError(f"reward_sampling: {reason}")
