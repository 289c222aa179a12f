"""Settings of the factorisation that imputes ratings."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from recbole_lpi.nn.factorization import Weighting


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
        """Settings with one rank and one regularisation, for each pair of them."""
        return [
            replace(self, rank=(rank,), regularization=(regularization,))
            for rank in self.rank
            for regularization in self.regularization
        ]

    @property
    def weighting(self) -> Weighting:
        """How missing entries and large factors weigh: w_m and the first λ."""
        return Weighting(self.missing_weight, self.regularization[0])

    @property
    def dtype(self) -> torch.dtype:
        """The number type of the factors."""
        return torch.float64 if self.float64 else torch.float32
