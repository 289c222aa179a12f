"""The catalogue pass: all that an objective or an evaluation needs of the whole item catalogue.

``plain_pass`` is the definition, every matrix [N, A] written down. ``catalogue_pass`` returns the
same numbers and gradients from one pass over chunks of events, while a chunk is still in cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_2 = 0.6931471805599453
CHUNK_ELEMENTS = 2**22  # of one [events, items] chunk: 16 MB in float32


class Table(NamedTuple):
    """Rows of items, weight [A, D] and bias [A] or None; outputs are state @ weight.T + bias.

    With ``sparse``, rows that are taken out by ``at`` and ``gather`` get a sparse gradient.
    """

    weight: Tensor
    bias: Tensor | None = None
    sparse: bool = False

    def outputs(self, state: Tensor) -> Tensor:
        """[N, D] -> [N, A]."""
        return F.linear(state, self.weight, self.bias)

    def at(self, item: Tensor) -> Table:
        """The rows of some items, in any shape: weight [..., D] and bias [...]."""
        if not self.sparse:
            return Table(self.weight[item], None if self.bias is None else self.bias[item])
        bias = None
        if self.bias is not None:
            bias = torch.gather(self.bias, 0, item.flatten(), sparse_grad=True).view(item.shape)
        return Table(F.embedding(item, self.weight, sparse=True), bias)

    def gather(self, state: Tensor, item: Tensor) -> Tensor:
        """Output of one item per state: state [N, D], item [N] -> [N]; or [N, 1, D], [N, n]."""
        weight, bias, _ = self.at(item)
        output = (state * weight).sum(-1)
        return output if bias is None else output + bias


class CatalogueStatistics(NamedTuple):
    """What training needs, per event [N]; detached.

    Attributes:
        log_pi: log π(a | x) of the logged action.
        log_mu: log μ̂(a | x) of it, None without a logging policy.
        expected_q: E_{a~π}[Q(x, a)], None without a Q table; so are the following.
        logging_q: E_{a~μ̂}[Q(x, a)], None also without a logging policy.
        max_q: max_a Q(x, a).
        argmax_q: argmax_a Q(x, a), int64.
    """

    log_pi: Tensor
    log_mu: Tensor | None = None
    expected_q: Tensor | None = None
    logging_q: Tensor | None = None
    max_q: Tensor | None = None
    argmax_q: Tensor | None = None


Logging = tuple[Tensor, Table]  # states [N, D'] and table of a logging policy
Weigh = Callable[[slice, CatalogueStatistics], Tensor]


class PolicyLoss(NamedTuple):
    """What the catalogue pass gives.

    Attributes:
        loss: −(1/N) Σ w log π(a | x), a scalar; its gradient reaches states and policy table only.
        weight: w per event [N], detached.
        statistics: detached.
    """

    loss: Tensor
    weight: Tensor
    statistics: CatalogueStatistics


def plain_pass(
    state: Tensor,
    action: Tensor,
    policy: Table,
    weigh: Weigh,
    q: Table | None = None,
    logging: Logging | None = None,
) -> PolicyLoss:
    """Weighted cross-entropy and statistics of π and Q over the catalogue, in the plainest form.

    Args:
        state: [N, D].
        action: logged items, [N], int64 in 0 … A−1.
        policy: logits of π.
        weigh: policy weights of a stretch of events, from their place and their statistics.
        q: the Q head, if the objective has one.
        logging: the logging policy, for log μ̂ and E_μ̂[Q].
    """
    _check(state, action)
    log_policy = policy.outputs(state).log_softmax(-1)  # [N, A]
    log_pi = log_policy.gather(1, action[:, None]).squeeze(1)
    with torch.no_grad():
        values = None if q is None else q.outputs(state)  # [N, A]
        mu = None if logging is None else logging[1].outputs(logging[0])
        statistics = _statistics(log_pi.detach(), action, log_policy.exp(), values, mu)
        weight = weigh(slice(0, len(state)), statistics)
    return PolicyLoss(-(weight * log_pi).mean(), weight, statistics)


def catalogue_pass(
    state: Tensor,
    action: Tensor,
    policy: Table,
    weigh: Weigh,
    q: Table | None = None,
    logging: Logging | None = None,
    chunk: int | None = None,
) -> PolicyLoss:
    """``plain_pass`` in chunks of ``chunk`` events, the gradient formed in the same pass.

    It can be, because the weight is known once the statistics of a chunk are:

        ∂loss/∂logits = w (π − onehot(a)) / N

    so no [N, A] matrix is ever written to memory, and none is recomputed. Matrix products over the
    catalogue: 3, and one each for a Q head and a logging policy. The table may not have a bias.
    """
    _check(state, action)
    if policy.bias is not None:
        raise ValueError("the policy table has a bias, which catalogue_pass gives no gradient")
    rows = chunk or max(1, CHUNK_ELEMENTS // len(policy.weight))
    found: list[tuple[Tensor, CatalogueStatistics]] = []
    loss: Tensor = _WeightedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        state, policy.weight, action, weigh, q, logging, rows, found
    )
    weight = torch.cat([w for w, _ in found])
    columns = zip(*(statistics for _, statistics in found), strict=True)
    joined = [None if column[0] is None else torch.cat(column) for column in columns]
    return PolicyLoss(loss, weight, CatalogueStatistics(*joined))  # type: ignore[arg-type]


class _WeightedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, state: Tensor, weight: Tensor, action: Tensor, weigh: Weigh, q: Table | None,
        logging: Logging | None, rows: int, found: list[tuple[Tensor, CatalogueStatistics]],
    ) -> Tensor:  # fmt: skip
        count = len(state)
        dtype = torch.promote_types(state.dtype, torch.float32)
        grad_state = torch.empty_like(state, dtype=dtype)
        grad_weight = torch.zeros_like(weight, dtype=dtype)
        loss = torch.zeros((), dtype=dtype, device=state.device)
        for begin in range(0, count, rows):
            part = slice(begin, min(begin + rows, count))
            s, a = state[part], action[part]
            logits = F.linear(s, weight).to(dtype)  # [c, A]
            logged = logits.gather(1, a[:, None])
            peak = logits.amax(1, keepdim=True)
            p = logits.sub_(peak).exp_()
            total = p.sum(1, keepdim=True)
            log_pi = (logged - peak - total.log()).squeeze(1)
            p.div_(total)
            values = None if q is None else q.outputs(s).to(dtype)
            mu = None if logging is None else logging[1].outputs(logging[0][part]).to(dtype)
            statistics = _statistics(log_pi, a, p, values, mu)
            w = weigh(part, statistics)
            found.append((w, statistics))
            loss -= (w * log_pi).sum()
            # Gradient of the chunk's loss by its logits, in place of p.
            p.mul_(w[:, None]).scatter_add_(1, a[:, None], -w[:, None])
            grad_state[part] = p.to(weight.dtype) @ weight
            grad_weight.addmm_(p.t(), s.to(dtype))
        ctx.save_for_backward(grad_state.div_(count), grad_weight.div_(count))
        return loss / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        grad_state, grad_weight = ctx.saved_tensors
        return grad_state * grad, grad_weight * grad, *[None] * 6


def _statistics(
    log_pi: Tensor, action: Tensor, p: Tensor, values: Tensor | None, mu: Tensor | None
) -> CatalogueStatistics:
    """From probabilities p of π, Q values and logits of μ̂, each [c, A]."""
    log_mu = None
    if mu is not None:
        log_mu = mu.gather(1, action[:, None]).squeeze(1) - mu.logsumexp(-1)
    if values is None:
        return CatalogueStatistics(log_pi, log_mu)
    max_q, argmax_q = values.max(-1)
    with torch.autocast(values.device.type, enabled=False):  # a mean in half precision is no mean
        expected = torch.linalg.vecdot(p, values)
        under_mu = None if mu is None else torch.linalg.vecdot(mu.softmax(-1), values)
    return CatalogueStatistics(log_pi, log_mu, expected, under_mu, max_q, argmax_q)


def _check(state: Tensor, action: Tensor) -> None:
    if state.dim() != 2 or action.shape != state.shape[:1]:
        shapes = f"{tuple(state.shape)}, {tuple(action.shape)}"
        raise ValueError(f"state must be [N, D] and action [N], got {shapes}")


class RankingStatistics(NamedTuple):
    """What evaluation needs, per event [N].

    Attributes:
        rank: place of the logged item, from 1; among ties the mean of best and worst place.
        greedy_item: argmax_a π(a | x), int64.
        log_pi: log π(a | x) of the logged item, natural log.
        log_mu: the same under the logging policy, None without one; so are ``js`` and ``kl``.
        js: Jensen-Shannon divergence of π and μ̂ over the catalogue (Eq. 12), in [0, log 2].
        kl: KL(π ‖ μ̂) (Eq. 7), in nats.
        top_items: the first choices of π, int64 [N, top], None unless asked for.
    """

    rank: Tensor
    greedy_item: Tensor
    log_pi: Tensor
    log_mu: Tensor | None = None
    js: Tensor | None = None
    kl: Tensor | None = None
    top_items: Tensor | None = None


@torch.no_grad()
def ranking_of_logits(
    logits: Tensor, action: Tensor, logging_logits: Tensor | None = None, top: int = 0
) -> RankingStatistics:
    """Rank of the logged item in the whole catalogue, and how far π stands from μ̂ there.

    Args: logits [N, A] of π and, if there is one, of μ̂; ``action`` [N], from 0; how many of the
    first choices to tell. Logits are compared as they are; divergences are taken in float32 at
    least.
    """
    logged = logits.gather(1, action[:, None])
    greater = (logits > logged).sum(-1)
    equal = (logits == logged).sum(-1)  # at least 1: the item itself
    rank = 1 + greater + (equal - 1) / 2
    log_p = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
    log_pi = log_p.gather(1, action[:, None]).squeeze(1)
    greedy = logits.argmax(-1)
    best = logits.topk(top, -1).indices if top else None
    if logging_logits is None:
        return RankingStatistics(rank, greedy, log_pi, top_items=best)
    log_m = logging_logits.to(log_p.dtype).log_softmax(-1)
    p, m = log_p.exp(), log_m.exp()
    mixture = torch.logaddexp(log_p, log_m) - LOG_2
    js = 0.5 * ((p * (log_p - mixture)).sum(-1) + (m * (log_m - mixture)).sum(-1))
    kl = (p * (log_p - log_m)).sum(-1)
    log_mu = log_m.gather(1, action[:, None]).squeeze(1)
    js, kl = js.clamp(0, LOG_2), kl.clamp(min=0)
    return RankingStatistics(rank, greedy, log_pi, log_mu, js, kl, best)
