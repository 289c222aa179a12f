"""An estimate as a sum of ratios of sums over sessions: what every interval works on.

    value = Σ_k  Σ_s n_ks / Σ_s d_ks

A mean of terms per event has one ratio, whose denominators count the events. A self-normalised one
divides by sums of weights, and a difference of two such is a sum of two ratios. Sessions are
independent draws, events of one are not, so nothing finer than a session is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from recbole_lpi.evaluation.metrics import stderr_of_sum


@dataclass(frozen=True, eq=False)
class SessionSums:
    """Numerators and denominators of an estimate, summed over each session.

    Attributes:
        numerators: of each of the K ratios, [S] each.
        denominators: likewise; their sums over sessions are not 0.
    """

    numerators: tuple[np.ndarray, ...]
    denominators: tuple[np.ndarray, ...]

    def __post_init__(self) -> None:
        shapes = {array.shape for array in (*self.numerators, *self.denominators)}
        if len(self.numerators) != len(self.denominators) or len(shapes) != 1:
            raise ValueError(f"K numerators and K denominators of shape [S] each, got {shapes}")

    def __add__(self, other: SessionSums) -> SessionSums:
        """The sum of two estimates over the same sessions, in their order."""
        return SessionSums(
            self.numerators + other.numerators, self.denominators + other.denominators
        )

    def __neg__(self) -> SessionSums:
        return SessionSums(tuple(-numerator for numerator in self.numerators), self.denominators)

    def __sub__(self, other: SessionSums) -> SessionSums:
        return self + -other

    def __len__(self) -> int:
        return len(self.numerators[0])

    @cached_property
    def ratios(self) -> tuple[float, ...]:
        """Each of the K ratios; NaN where a denominator is 0."""
        return tuple(
            _divided(float(n.sum()), float(d.sum()))
            for n, d in zip(self.numerators, self.denominators, strict=True)
        )

    @cached_property
    def value(self) -> float:
        """The estimate."""
        return float(sum(self.ratios))

    @cached_property
    def pulls(self) -> np.ndarray:
        """What each session does to the estimate, to first order (delta method), [S]; sum 0.

        Of a ratio r = Σ n / Σ d a session pulls by (n_s − r d_s) / Σ d.
        """
        pulls = np.zeros(len(self))
        for n, d, ratio in zip(self.numerators, self.denominators, self.ratios, strict=True):
            total = float(d.sum())
            pulls += (n - ratio * d) / total if total else float("nan")
        return pulls

    @cached_property
    def stderr(self) -> float:
        """Standard error of the estimate, sessions as draws; NaN of one session."""
        return stderr_of_sum(self.pulls)

    @cached_property
    def effective_sessions(self) -> float:
        """How many sessions carry the error: (Σ pull²)² / Σ pull⁴, from 1 to S; 0 without error.

        Of S equal pulls it is S, of k rare rewards about k. The skewness of the estimate is at
        most one over its root (Cauchy and Schwarz), so it tells how nearly normal the error is.
        """
        return effective_number(self.pulls)

    def grouped(self, groups: int) -> SessionSums:
        """Join sessions into at most ``groups``, every so-manyth: sums of independent draws too.

        The estimate stays; its error is known from ``groups`` draws in place of S.
        """
        if len(self) <= groups:
            return self
        at = np.arange(len(self)) % groups
        return SessionSums(
            tuple(np.bincount(at, n) for n in self.numerators),
            tuple(np.bincount(at, d) for d in self.denominators),
        )


def mean_of(numerator: np.ndarray, denominator: np.ndarray) -> SessionSums:
    """Return one ratio, from sums over each session [S]."""
    return SessionSums((numerator,), (denominator,))


def effective_number(values: np.ndarray) -> float:
    """Return (Σ v²)² / Σ v⁴ of values [n]: how many equal ones vary as much; 0 where all are 0."""
    largest = float(np.abs(values).max())
    if not largest > 0:
        return 0.0
    squares = np.square(values / largest)
    return float(squares.sum() ** 2 / np.square(squares).sum())


def _divided(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")
