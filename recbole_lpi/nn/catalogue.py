"""The catalogue pass: all that an objective or an evaluation needs of the whole item catalogue.

This is its plainest form: every matrix [N, A] is written down. It is the reference for any
faster form, which has to return the same numbers and the same gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_2 = 0.6931471805599453


class Table(NamedTuple):
    """Rows of items, weight [A, D] and bias [A] or None; outputs are state @ weight.T + bias."""

    weight: Tensor
    bias: Tensor | None = None

    def outputs(self, state: Tensor) -> Tensor:
        """[N, D] -> [N, A]."""
        return F.linear(state, self.weight, self.bias)

    def gather(self, state: Tensor, item: Tensor) -> Tensor:
        """Output of one item per state: state [N, D], item [N] -> [N]."""
        output = (state * self.weight[item]).sum(-1)
        return output if self.bias is None else output + self.bias[item]


class CatalogueStatistics(NamedTuple):
    """What training needs, per event [N]. Only ``log_pi`` carries a gradient.

    Attributes:
        log_pi: log π(a | x) of the logged action.
        expected_q: E_{a~π}[Q(x, a)], None without a Q table.
        logging_q: E_{a~μ̂}[Q(x, a)], None without a logging policy.
        max_q: max_a Q(x, a).
        argmax_q: argmax_a Q(x, a), int64.
    """

    log_pi: Tensor
    expected_q: Tensor | None = None
    logging_q: Tensor | None = None
    max_q: Tensor | None = None
    argmax_q: Tensor | None = None


def catalogue_pass(
    state: Tensor,
    action: Tensor,
    policy: Table,
    q: Table | None = None,
    logging: tuple[Tensor, Table] | None = None,
) -> CatalogueStatistics:
    """Statistics of π and Q over the catalogue.

    Args:
        state: [N, D].
        action: logged items, [N], int64 in 0 … A−1.
        policy: logits of π.
        q: the Q head, if the objective has one.
        logging: states [N, D'] and table of a logging policy, for E_μ̂[Q].
    """
    if state.dim() != 2 or action.shape != state.shape[:1]:
        shapes = f"{tuple(state.shape)}, {tuple(action.shape)}"
        raise ValueError(f"state must be [N, D] and action [N], got {shapes}")
    log_policy = policy.outputs(state).log_softmax(-1)  # [N, A]
    log_pi = log_policy.gather(1, action[:, None]).squeeze(1)
    if q is None:
        return CatalogueStatistics(log_pi)
    with torch.no_grad():
        values = q.outputs(state)  # [N, A]
        max_q, argmax_q = values.max(-1)
        logging_q = None
        if logging is not None:
            state_mu, table_mu = logging
            logging_q = (table_mu.outputs(state_mu).softmax(-1) * values).sum(-1)
        return CatalogueStatistics(
            log_pi, (log_policy.exp() * values).sum(-1), logging_q, max_q, argmax_q
        )


class RankingStatistics(NamedTuple):
    """What evaluation needs, per event [N].

    Attributes:
        rank: place of the logged item, from 1; among ties the mean of best and worst place.
        greedy_item: argmax_a π(a | x), int64.
        log_pi: log π(a | x) of the logged item, natural log.
        log_mu: the same under the logging policy, None without one; so are ``js`` and ``kl``.
        js: Jensen-Shannon divergence of π and μ̂ over the catalogue (Eq. 12), in [0, log 2].
        kl: KL(π ‖ μ̂) (Eq. 7), in nats.
    """

    rank: Tensor
    greedy_item: Tensor
    log_pi: Tensor
    log_mu: Tensor | None = None
    js: Tensor | None = None
    kl: Tensor | None = None


@torch.no_grad()
def ranking_pass(
    state: Tensor, action: Tensor, policy: Table, logging: tuple[Tensor, Table] | None = None
) -> RankingStatistics:
    """Rank of the logged item in the whole catalogue, and how far π stands from μ̂ there.

    Args: see ``catalogue_pass``. Logits are compared as the policy gives them; divergences are
    taken in float32 at least.
    """
    logits = policy.outputs(state)
    return ranking_of_logits(
        logits, action, None if logging is None else logging[1].outputs(logging[0])
    )


@torch.no_grad()
def ranking_of_logits(
    logits: Tensor, action: Tensor, logging_logits: Tensor | None = None
) -> RankingStatistics:
    """``ranking_pass`` from logits [N, A] of π and, if there is one, of μ̂."""
    logged = logits.gather(1, action[:, None])
    greater = (logits > logged).sum(-1)
    equal = (logits == logged).sum(-1)  # at least 1: the item itself
    rank = 1 + greater + (equal - 1) / 2
    log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    log_pi = log_p.gather(1, action[:, None]).squeeze(1)
    greedy = logits.argmax(-1)
    if logging_logits is None:
        return RankingStatistics(rank, greedy, log_pi)
    log_m = logging_logits.to(log_p.dtype).log_softmax(-1)
    p, m = log_p.exp(), log_m.exp()
    mixture = torch.logaddexp(log_p, log_m) - LOG_2
    js = 0.5 * ((p * (log_p - mixture)).sum(-1) + (m * (log_m - mixture)).sum(-1))
    kl = (p * (log_p - log_m)).sum(-1)
    log_mu = log_m.gather(1, action[:, None]).squeeze(1)
    return RankingStatistics(rank, greedy, log_pi, log_mu, js.clamp(0, LOG_2), kl.clamp(min=0))
