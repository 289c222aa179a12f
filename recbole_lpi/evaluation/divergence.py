"""JS and KL divergence of π from μ̂, estimated on candidates where the catalogue is too large.

Both are means under π of functions of the ratio ρ = μ̂/π, whose own mean is 1 (f-divergences):

    KL(π ‖ μ̂) = − E_π[log ρ]        JS(π, μ̂) = E_π[φ(ρ)],  φ(ρ) = ½ log 2/(1+ρ) + ½ ρ log 2ρ/(1+ρ)

An event's candidates are drawn for it alone, half from π, which ranking knows anyway, and half by
popularity, for what π gives up; they are weighted by π / (½ π + ½ popularity), at most 2 (defensive
importance sampling, Hesterberg 1995), and the weights divided by their sum. Of μ̂ only logits of
candidates are needed, since dividing ρ by its own estimated mean takes its normaliser out. Where
the policies are one, every estimate is 0, whatever was drawn.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.nn.bits import LOG_2
from recbole_lpi.nn.catalogue import Factors

SEED = 2020  # of the candidates: an evaluation draws its own, and the same each time


class Divergences(NamedTuple):
    """Estimated divergences of events in nats, with their standard errors; each [N], float32."""

    js: Tensor
    kl: Tensor
    js_stderr: Tensor
    kl_stderr: Tensor


class DivergenceEstimator:
    """Draws ``number`` ≥ 2 candidates for each event, and estimates its divergences on them.

    Args:
        number: of candidates.
        counts: how often each item was logged, [A]; one is added, so that none is left out.
        seed: of the candidates, another for every share of the events.
    """

    def __init__(
        self, number: int, counts: np.ndarray, device: torch.device, seed: int = 0
    ) -> None:
        self.number = number
        popularity = torch.as_tensor(counts, dtype=torch.float64, device=device) + 1
        self._popularity = popularity / popularity.sum()
        self._reach = self._popularity.cumsum(0)
        self._generator = torch.Generator().manual_seed(SEED + seed)

    @torch.no_grad()
    def __call__(self, logits: Tensor, logging: Factors) -> Divergences:
        """Divergences of events, from logits of π [N, A] and what gives those of μ̂."""
        p, half = logits.double().softmax(-1), self.number // 2
        of_policy = _inverted(p.cumsum(-1), self._uniform(len(p), half))
        of_all = _inverted(self._reach, self._uniform(len(p), self.number - half))
        drawn = torch.cat([of_policy, of_all], 1)  # [N, C]
        share = half / self.number
        chosen = p.gather(1, drawn)
        weight = chosen / (share * chosen + (1 - share) * self._popularity[drawn])
        scores = logging.gather(drawn).double()
        return estimates(weight, scores - chosen.log())

    def _uniform(self, rows: int, number: int) -> Tensor:
        """For each row a point in each of ``number`` equal parts of [0, 1): [rows, number]."""
        within = torch.rand(rows, number, generator=self._generator, dtype=torch.float64)
        return ((torch.arange(number) + within) / number).to(self._popularity.device)


def estimates(weight: Tensor, log_ratio: Tensor) -> Divergences:
    """Divergences from importance weights and log μ̂/π of candidates, each [N, C].

    Both are known up to a factor of each row. Standard errors are of ratio estimators, by
    linearisation (Owen 2013, section 9.2).
    """
    # An item of π so small that its weight is 0 has no part in a mean under π.
    weight = weight / weight.sum(1, keepdim=True)
    log_ratio = torch.where(weight > 0, log_ratio, 0.0)
    log_mean = (weight.log() + log_ratio).logsumexp(1, keepdim=True)
    log_rho = log_ratio - log_mean
    rho, softplus = log_rho.exp(), torch.logaddexp(log_rho, torch.zeros_like(log_rho))
    kl = -(weight * log_rho).sum(1, keepdim=True)
    slope = 0.5 * (LOG_2 + log_rho - softplus)  # φ'
    phi = 0.5 * (LOG_2 - softplus) + rho * slope
    js = (weight * phi).sum(1, keepdim=True)
    # What each candidate pulls, through the mean of ρ as well.
    of_js = phi - js - (weight * slope * rho).sum(1, keepdim=True) * (rho - 1)
    of_kl = rho - 1 - log_rho - kl
    found = js.clamp(0, math.log(2)), kl.clamp(min=0)
    pulls = [(weight * pull).square().sum(1).sqrt() for pull in (of_js, of_kl)]
    return Divergences(*(value.flatten().float() for value in (*found, *pulls)))


def _inverted(reach: Tensor, point: Tensor) -> Tensor:
    """The items where cumulated probabilities [N, A] or [A] pass ``point`` [N, n] in [0, 1)."""
    found = torch.searchsorted(reach, point * reach[..., -1:], right=True)
    return found.clamp_max(reach.shape[-1] - 1)  # rounding
