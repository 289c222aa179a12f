"""Sampled softmax: the catalogue pass from a few candidates instead of all items.

All events of a batch share one set of candidates S, and each adds its own logged item a:

    log π(a | x) ≈ o_a − log( exp(o_a) + Σ_{j ∈ S, j ≠ a} (c_j / E[c_j]) exp(o_j) )

o are logits, c_j is how often j was drawn and E[c_j] how often it is on average, so that the sum is
an unbiased estimate of the one over all items but a: importance sampling (Bengio & Senécal 2008),
done as a correction of logits by − log E[c_j] (log-Q, Yi et al. 2019). The logged item is always
there and not by chance, so it has no correction, and where it was drawn too it counts once
(Khrylchenko et al. 2025).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from recbole_lpi.nn.catalogue import (
    Additions,
    CatalogueStatistics,
    Factors,
    PolicyLoss,
    Table,
    Weigh,
    check_shapes,
)

ORDER_SEED = 2020  # of the order in which items lie in strata


class Candidates(NamedTuple):
    """Items that stand for the catalogue, with their weights.

    Attributes:
        item: [C], distinct.
        log_weight: log c/E[c], [C], or [N, C] where it differs from event to event.
    """

    item: Tensor
    log_weight: Tensor


class LoggedItems(NamedTuple):
    """The events of a batch, [N] each: the logged item, 0 … A−1, and the session, any int64."""

    action: Tensor
    session: Tensor


class Sampler(Protocol):
    """What draws candidates for a batch of logged items."""

    def draw(
        self,
        batch: LoggedItems,
        session: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Candidates:
        """Draw candidates, by torch's own generator unless given another.

        Args:
            batch: the events whose candidates are drawn together, of every process.
            session: [M], of the events that the candidates are for; those of ``batch`` if None.
        """


class StratifiedSampler:
    """Items drawn with given expected numbers, of which none is above 1 and the sum is whole.

    Items lie end to end in a random order, each as long as its expected number; the line is cut
    into pieces of length 1, and in each piece one point is drawn uniformly. Those of length 1 come
    first, a piece each: they are always drawn. One that lies across a cut can be drawn twice.

    Args:
        expected: float64 [A], each in (0, 1].
    """

    def __init__(self, expected: Tensor) -> None:
        order = torch.randperm(len(expected), generator=torch.Generator().manual_seed(ORDER_SEED))
        certain = expected[order] == 1
        self._order = torch.cat([order[certain], order[~certain]])
        self._reach = expected[self._order].cumsum(0)
        self._log_expected = expected.log()
        self._pieces = round(float(self._reach[-1]))

    def draw(
        self,
        batch: LoggedItems,
        session: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Candidates:
        """Draw as many items as the expected numbers add up to, whatever was logged."""
        within = torch.rand(self._pieces, generator=generator, dtype=torch.float64)
        point = torch.arange(self._pieces) + within
        place = torch.searchsorted(self._reach[:-1], point, right=True)
        item, drawn = torch.unique(self._order[place], return_counts=True)
        log_weight = drawn.double().log() - self._log_expected[item]
        return Candidates(item.to(batch.action.device), log_weight.to(batch.action.device))


class InBatchSampler:
    """The logged items of the batch itself: to an event, those of other sessions are draws.

    Those of its own session are not: they are there because it is, and a session returns to what it
    has seen, so that they would count for far more than their share.

    Args:
        counts: how often each item is logged in the training data, [A].
    """

    def __init__(self, counts: Tensor) -> None:
        self._log_share = (counts.double().clamp_min(1) / counts.sum()).log()

    def draw(
        self,
        batch: LoggedItems,
        session: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Candidates:
        """Take each item once, weighted by c / (n · share in the training data), [M, C].

        n are the events of other sessions and c those among them that are of the item.
        """
        item, column = torch.unique(batch.action, return_inverse=True)
        sessions, row = torch.unique(batch.session, return_inverse=True)
        own = torch.zeros(len(sessions), len(item), dtype=torch.float64, device=item.device)
        own.index_put_((row, column), torch.ones_like(row, dtype=own.dtype), accumulate=True)
        others = own.sum(0) - own
        log_expected = self._log_share[item.cpu()].to(item.device) + others.sum(1, True).log()
        log_weight = (others.log() - log_expected).masked_fill(others == 0, float("-inf"))
        wanted = batch.session if session is None else session
        return Candidates(item, log_weight.float()[torch.searchsorted(sessions, wanted)])


def candidate_pass(
    state: Tensor,
    action: Tensor,
    policy: Table,
    weigh: Weigh,
    q: Factors | None = None,
    logging: Factors | None = None,
    added: Additions | None = None,
    *,
    candidates: Candidates,
) -> PolicyLoss:
    """What ``plain_pass`` gives, every sum and maximum taken over candidates.

    Args: as of ``plain_pass``, and what to take for the catalogue. log π and log μ̂ are estimates;
    E_π[Q] and E_μ̂[Q] are means under the probabilities so estimated (self-normalised importance
    sampling); max Q and argmax Q are over the candidates and the logged item. With all items as
    candidates, each drawn once as expected, all are exact.

    Items to which something is ``added`` are likely ones. They are candidates of their event
    besides, without a correction, as the logged item is: left to chance, they would be most of the
    estimate's variance.
    """
    check_shapes(state, action)
    also = [
        each for each in (added, None if logging is None else logging.added) if each is not None
    ]
    over = _Over(action, candidates, *also)
    log_policy = over.logits(Factors(state, policy, added)).log_softmax(-1)  # the logged one first
    log_pi = log_policy[:, 0]
    with torch.no_grad():
        log_mu = mu = None
        if logging is not None:
            log_mu = over.logits(logging).log_softmax(-1)
            mu, log_mu = log_mu.exp(), log_mu[:, 0]
        statistics = CatalogueStatistics(log_pi.detach(), log_mu)
        if q is not None:
            values = over.outputs(q)
            max_q, best = values.max(-1)
            with torch.autocast(values.device.type, enabled=False):
                expected = torch.linalg.vecdot(log_policy.exp(), values)
                under_mu = None if mu is None else torch.linalg.vecdot(mu, values)
            statistics = CatalogueStatistics(
                log_pi.detach(), log_mu, expected, under_mu, max_q, over.item_at(best)
            )
        weight = weigh(slice(0, len(state)), statistics)
    return PolicyLoss(-(weight * log_pi).mean(), weight, statistics)


class _Over:
    """The columns of a batch: the logged item of each event, U others it has seen, the candidates.

    [N, 1 + U + C]; an event that has seen fewer than U has the logged item again, masked.
    """

    def __init__(self, action: Tensor, candidates: Candidates, *also: Additions) -> None:
        self.drawn, self.log_weight = candidates.item, candidates.log_weight
        logged = action[:, None]
        seen = torch.cat([logged[:, :0], *(each.item for each in also)], 1)
        if len(also) > 1:  # an item that several have stands there once
            seen = seen.sort(-1).values
            again = seen[:, 1:] == seen[:, :-1]
            seen = torch.cat([seen[:, :1], seen[:, 1:].masked_fill(again, -1)], 1)
        absent = (seen < 0) | (seen == logged)
        self.own = torch.cat([logged, torch.where(absent, logged, seen)], 1)
        self.absent = torch.cat([torch.zeros_like(logged, dtype=torch.bool), absent], 1)
        self.hit = _those_among(self.own, self.drawn)  # accidental: the item is there already

    def outputs(self, factors: Factors) -> Tensor:
        """Outputs of the columns, uncorrected."""
        drawn = factors.table.at(self.drawn).outputs(factors.state)  # nothing is added to these
        dtype = torch.promote_types(drawn.dtype, torch.float32)
        return torch.cat([factors.gather(self.own).to(dtype), drawn.to(dtype)], 1)

    def logits(self, factors: Factors) -> Tensor:
        """Outputs corrected so that a softmax over them estimates the one over the catalogue."""
        outputs, number = self.outputs(factors), self.own.shape[1]
        drawn = outputs[:, number:] + self.log_weight.to(outputs.dtype)
        masked = torch.cat([self.absent, self.hit], 1)
        return torch.cat([outputs[:, :number], drawn], 1).masked_fill(masked, float("-inf"))

    def item_at(self, column: Tensor) -> Tensor:
        """Return the item of one column per event, [N]."""
        number = self.own.shape[1]
        own = self.own.gather(1, column.clamp_max(number - 1)[:, None]).squeeze(1)
        return torch.where(column < number, own, self.drawn[(column - number).clamp_min(0)])


def _those_among(own: Tensor, drawn: Tensor) -> Tensor:
    """Whether each of the items drawn [C] is among the event's own [N, U]: bool [N, C]."""
    if own.shape[1] == 1:
        return own == drawn
    hit = torch.zeros(len(own), len(drawn), dtype=torch.bool, device=own.device)
    ordered, order = drawn.sort()
    place = torch.searchsorted(ordered, own).clamp_max(len(drawn) - 1)
    row, column = (ordered[place] == own).nonzero(as_tuple=True)
    hit[row, order[place[row, column]]] = True
    return hit
