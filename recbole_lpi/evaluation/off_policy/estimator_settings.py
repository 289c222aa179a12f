"""What the estimators that regularise their weights are told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recbole_lpi.roles import Role


@dataclass(frozen=True)
class EstimatorSettings:
    """How estimators treat large weights. ValueError names the setting and what it may be.

    Attributes:
        gamma: discount γ of the return of a session, in [0, 1].
        clip: λ > 0, above which clipped IPS and the empirical Bernstein bound count a weight as λ.
            30 is what the paper clips its IPS baselines at (Liang & Vlassis, section 5).
        switch: τ ≥ 0, above which Switch-DR takes q's word; the same by default.
        shrinkage: λ > 0 of optimistic shrinkage, which halves a weight of √λ; the same again.
        exponent: α in [0, 1] of π/μ^α; 1 is IPS.
        exploration: γ ≥ 0 of π/(μ + γ); None: 1/√N, the order at which the bound of Gabbianelli
            et al. (2024) is least.
        smoothing: λ > 0 of logarithmic smoothing; None: 1/√N (Sakhi et al. 2024).
    """

    ROLE: ClassVar[Role] = Role.MEASURING

    gamma: float = 1.0
    clip: float = 30.0
    switch: float = 30.0
    shrinkage: float = 900.0
    exponent: float = 0.9
    exploration: float | None = None
    smoothing: float | None = None

    def __post_init__(self) -> None:
        for name in ("clip", "shrinkage"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        if self.smoothing is not None and not self.smoothing > 0:
            raise ValueError(f"smoothing must be > 0, got {self.smoothing}")
        if self.exploration is not None and not self.exploration >= 0:
            raise ValueError(f"exploration must be ≥ 0, got {self.exploration}")
        if not self.switch >= 0:
            raise ValueError(f"switch must be ≥ 0, got {self.switch}")
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma must be from 0 to 1, got {self.gamma}")
        if not 0 <= self.exponent <= 1:
            raise ValueError(f"exponent must be from 0 to 1, got {self.exponent}")
