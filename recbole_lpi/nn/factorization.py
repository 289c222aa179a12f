"""Weighted matrix factorisation of a whole matrix, missing entries included (Steck 2010).

    min  Σ_ui w_ui [ (r_ui − r_m − p_u · q_i)² + λ (‖p_u‖² + ‖q_i‖²) ]

over every user u and item i: w_ui is 1 where a rating was observed, and w_m where it is missing and
taken to be r_m. Because r_m is the offset of the model, a missing entry has the target 0, and the
sum over all of a user's missing items is one Gram matrix that all users share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.settings import SettingError

CHUNK_ELEMENTS = 2**23  # of one [rows, ratings, rank] or [rows, rank, rank] block: 32 MB in float32


class Ratings(NamedTuple):
    """A sparse matrix by rows, each entry once: row u is offsets[u] … offsets[u + 1] − 1.

    Attributes:
        offsets: int64 [U + 1].
        column: int64 [E], 0 … ``columns`` − 1.
        value: float [E], the rating less r_m.
        columns: how many columns there are.
    """

    offsets: Tensor
    column: Tensor
    value: Tensor
    columns: int

    @property
    def counts(self) -> Tensor:
        """Observed entries per row, [U]."""
        return self.offsets.diff()

    @property
    def rows(self) -> int:
        """The number of rows, U."""
        return len(self.offsets) - 1

    @property
    def row(self) -> Tensor:
        """The row of each entry, [E]."""
        return torch.repeat_interleave(torch.arange(self.rows).to(self.column), self.counts)

    @property
    def entries(self) -> Tensor:
        """Which cell of the matrix each entry is, counted row by row, [E]."""
        return self.row * self.columns + self.column

    def to(self, device: torch.device) -> Ratings:
        """The matrix on a device."""
        offsets, column, value = (tensor.to(device) for tensor in self[:3])
        return Ratings(offsets, column, value, self.columns)

    def transposed(self) -> Ratings:
        """The transposed matrix: its rows are the columns of this one."""
        order = torch.argsort(self.column, stable=True)
        counts = torch.bincount(self.column, minlength=self.columns)
        offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        return Ratings(offsets, self.row[order], self.value[order], self.rows)


@dataclass(frozen=True)
class Weighting:
    """w_m, the weight of a missing entry in [0, 1], and λ > 0. ValueError for others.

    With w_m = 0 this is ordinary factorisation of the observed entries, regularised by how many
    there are of a row or column (Zhou et al. 2008).
    """

    missing: float
    regularization: float

    def __post_init__(self) -> None:
        if not 0 <= self.missing <= 1:
            raise ValueError(f"missing_weight must be in [0, 1], got {self.missing}")
        if not 0 < self.regularization < float("inf"):
            raise ValueError(f"regularization must be > 0, got {self.regularization}")

    def total(self, ratings: Ratings) -> Tensor:
        """Σ_i w_ui of each row, [U]."""
        observed = ratings.counts.to(ratings.value.dtype)
        return (1 - self.missing) * observed + self.missing * ratings.columns


def half_step(ratings: Ratings, factors: Tensor, weighting: Weighting) -> Tensor:
    """The best factors of the rows [U, K], those of the columns [A, K] being given.

    A row solves (w_m QᵀQ + (1 − w_m) Q_uᵀQ_u + λ Σ_i w_ui I) p = Q_uᵀ (r_u − r_m), Q_u being the
    factors of what was observed in it; all rows of a chunk by one batched Cholesky. A row without
    a rating has the factors 0.

    Raises:
        SettingError: λ is lost in the rounding of the sums that it is added to.
    """
    rank = factors.shape[1]
    gram = weighting.missing * factors.T @ factors
    ridge = weighting.regularization * weighting.total(ratings)
    identity = torch.eye(rank, dtype=factors.dtype, device=factors.device)
    solution = factors.new_zeros(ratings.rows, rank)
    for rows, block, value in _blocks(ratings, factors):
        left = gram + ridge[rows, None, None] * identity
        left.baddbmm_(block.transpose(1, 2), block, alpha=1 - weighting.missing)
        right = torch.bmm(block.transpose(1, 2), value[:, :, None])
        lower, failed = torch.linalg.cholesky_ex(left)
        if failed.any():
            raise SettingError(
                f"imputation: regularization {weighting.regularization:g} is too small for rank "
                f"{rank} in {str(factors.dtype).removeprefix('torch.')}; raise it, or set float64"
            )
        solution[rows] = torch.cholesky_solve(right, lower).squeeze(2)
    return solution


def objective(ratings: Ratings, left: Tensor, right: Tensor, weighting: Weighting) -> float:
    """What is minimised, for factors of rows [U, K] and columns [A, K], in float64."""
    left, right = left.double(), right.double()
    w, total = weighting.missing, weighting.total(ratings).double()
    predicted = (left[ratings.row] * right[ratings.column]).sum(1)
    observed = (ratings.value.double() - predicted).square() - w * predicted.square()
    everything = w * ((left.T @ left) * (right.T @ right)).sum()
    of_columns = weighting.total(ratings.transposed()).double()
    norms = (total * left.square().sum(1)).sum() + (of_columns * right.square().sum(1)).sum()
    return float(observed.sum() + everything + weighting.regularization * norms)


def sweeps(
    ratings: Ratings, columns: Tensor, weighting: Weighting
) -> Iterator[tuple[Tensor, Tensor]]:
    """Alternating least squares without end: factors of rows and columns after each sweep."""
    by_column = ratings.transposed()
    while True:
        rows = half_step(ratings, columns, weighting)
        columns = half_step(by_column, rows, weighting)
        yield rows, columns


def _blocks(ratings: Ratings, factors: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Rows of like many ratings: their places [b], factors [b, n, K] and values [b, n], 0 beyond.

    Rows without a rating are left out.
    """
    counts, rank = ratings.counts, factors.shape[1]
    order = torch.argsort(counts, descending=True, stable=True)
    order = order[: int((counts > 0).sum())]
    begin = 0
    while begin < len(order):
        longest = int(counts[order[begin]])
        rows = order[begin : begin + max(1, CHUNK_ELEMENTS // (rank * max(longest, rank)))]
        begin += len(rows)
        place = torch.arange(longest, device=rows.device).expand(len(rows), longest)
        real = place < counts[rows, None]
        place = torch.where(real, place + ratings.offsets[rows, None], 0)
        block = factors[ratings.column[place]] * real[:, :, None]
        yield rows, block, ratings.value[place] * real
