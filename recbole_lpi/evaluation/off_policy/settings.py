"""Settings of off-policy estimates: of the estimators, of intervals, and of when to refuse."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EstimationSettings:
    """How estimates are made and judged. ValueError names the setting and what it may be.

    Attributes:
        gamma: discount γ of the value of a session, in [0, 1].
        clip: the largest weight of clipped IPS, > 0 (30 in the paper, section 4.1).
        switch: τ > 0, the weight above which Switch-DR trusts the model alone (Wang, Agarwal &
            Dudík 2017).
        shrinkage: λ > 0 of optimistic shrinkage, λ w / (w² + λ) (Su et al. 2020).
        smoothing: α in [0, 1] of exponential smoothing, π / μ^α (Aouali et al. 2023).
        exploration: γ > 0 of implicit exploration, π / (μ + γ) (Gabbianelli, Neu & Papini 2024);
            None: 1 / (2 √N) of N events.
        log_smoothing: λ > 0 of logarithmic smoothing (Sakhi et al. 2024); None: 1 / √S of S
            sessions.
        confidence: of intervals and lower bounds, in (0, 1).
        resamples: of the bootstrap, ≥ 100. seed: of its draws.
        least_effective: the effective sample size below which what weighs is refused, ≥ 1. 100:
            a log-normal weight leaves an error of the size of a tenth there (Kong 1992).
        least_carriers: how many sessions must carry the error of an estimate, ≥ 1; or
            ``least_carriers_even`` of them, where at least ``even_share`` of the events, in [0, 1],
            are effective. ``benchmarks/interval_coverage.py`` measures how often intervals of
            fewer do not hold.
        most_off: by how many of its errors the mean weight may be off 1, > 0.
        most_unsupported: how much of π may lie where μ is below the floor, in [0, 1].
        most_width: half the width of a usable interval, as a share of the log's own value, > 0.
    """

    gamma: float = 1.0
    clip: float = 30.0
    switch: float = 10.0
    shrinkage: float = 100.0
    smoothing: float = 0.7
    exploration: float | None = None
    log_smoothing: float | None = None
    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0
    least_effective: float = 100.0
    least_carriers: float = 150.0
    least_carriers_even: float = 30.0
    even_share: float = 0.5
    most_off: float = 3.0
    most_unsupported: float = 0.05
    most_width: float = 0.5

    def __post_init__(self) -> None:
        for name in ("gamma", "smoothing", "most_unsupported", "even_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence must be in (0, 1), got {self.confidence}")
        for name in (
            "clip", "switch", "shrinkage", "exploration", "log_smoothing", "most_off", "most_width",
        ):  # fmt: skip
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be > 0 and finite, got {value}")
        for name, least in (
            ("least_effective", 1), ("least_carriers", 1), ("least_carriers_even", 1),
            ("resamples", 100),
        ):  # fmt: skip
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be >= {least}, got {getattr(self, name)}")
