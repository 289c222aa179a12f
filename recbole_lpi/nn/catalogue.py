"""The catalogue pass: all that an objective or an evaluation needs of the whole item catalogue.

``plain_pass`` is the definition, every matrix [N, A] written down. ``catalogue_pass`` returns the
same numbers and gradients from one pass over chunks of events and tiles of items, while a tile is
still in cache. docs/performance.md counts its matrix products and its passes over memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_lpi.nn.tiles import Product, RunningMax, RunningSum
from recbole_lpi.nn.tiling import Tiling, parts, tiling

LOG_2 = math.log(2)
LOG2_E = 1 / LOG_2


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

    def to(self, dtype: torch.dtype) -> Table:
        """The table in another precision."""
        return Table(self.weight.to(dtype), None if self.bias is None else self.bias.to(dtype))

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


Factors = tuple[Tensor, Table]  # of a matrix [N, A]: states [N, D'] and a table of A rows
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
    q: Factors | None = None,
    logging: Factors | None = None,
) -> PolicyLoss:
    """Weighted cross-entropy and statistics of π and Q over the catalogue, in the plainest form.

    Args:
        state: [N, D].
        action: logged items, [N], int64 in 0 … A−1.
        policy: logits of π.
        weigh: policy weights of a stretch of events, from their place and their statistics.
        q: states and table of the Q head, if the objective has one.
        logging: states and table of the logging policy, for log μ̂ and E_μ̂[Q].
    """
    check_shapes(state, action)
    log_policy = policy.outputs(state).log_softmax(-1)  # [N, A]
    log_pi = log_policy.gather(1, action[:, None]).squeeze(1)
    with torch.no_grad():
        values = None if q is None else q[1].outputs(q[0])  # [N, A]
        mu = None if logging is None else logging[1].outputs(logging[0])
        statistics = _statistics(log_pi.detach(), action, log_policy.exp(), values, mu)
        weight = weigh(slice(0, len(state)), statistics)
    return PolicyLoss(-(weight * log_pi).mean(), weight, statistics)


def catalogue_pass(
    state: Tensor,
    action: Tensor,
    policy: Table,
    weigh: Weigh,
    q: Factors | None = None,
    logging: Factors | None = None,
    chunk: int | None = None,
    tile: int | None = None,
) -> PolicyLoss:
    """``plain_pass`` in chunks of events and tiles of items, the gradient formed in the same pass.

    It can be, because the weight is known once the statistics of a chunk are:

        ∂loss/∂logits = w (π − onehot(a)) / N

    so no [N, A] matrix is ever written, and none is computed twice. Matrix products over the
    catalogue: 3, and one each for a Q head and a logging policy. The table may not have a bias.
    ``chunk`` and ``tile`` are chosen by the memory there is, unless given.
    """
    check_shapes(state, action)
    if policy.bias is not None:
        raise ValueError("the policy table has a bias, which catalogue_pass gives no gradient")
    precision = torch.promote_types(state.dtype, torch.float32)
    sizes = tiling(len(state), len(policy.weight), state.device, precision.itemsize)
    sizes = Tiling(chunk or sizes.events, tile or sizes.items)
    found: list[tuple[Tensor, CatalogueStatistics]] = []
    loss: Tensor = _WeightedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        state, policy.weight, action, weigh, q, logging, sizes, found
    )
    weight = torch.cat([w for w, _ in found])
    columns = zip(*(statistics for _, statistics in found), strict=True)
    joined = [None if column[0] is None else torch.cat(column) for column in columns]
    return PolicyLoss(loss, weight, CatalogueStatistics(*joined))  # type: ignore[arg-type]


class _Swept(NamedTuple):
    """What the first sweep over a chunk's tiles leaves.

    Attributes:
        probabilities: of π, tile by tile [c, t], each 2^(logit − peak); and those peaks, [c, 1].
        log_total: log₂ Σ 2^logit, [c, 1].
        row: Σ_a π(a | x) row(a), [c, D], None unless asked for.
        log_total_mu: of the logging policy, [c, 1]; None without one.
        of_q: the four last columns of CatalogueStatistics.
    """

    probabilities: list[tuple[Tensor, Tensor]]
    log_total: Tensor
    row: Tensor | None
    log_total_mu: Tensor | None
    of_q: tuple[Tensor | None, ...]


def _sweep(
    part: slice, pi: Product, q: Product | None, mu: Product | None, held: Tensor, with_row: bool
) -> _Swept:
    """Everything that needs no weight, while a tile is in cache.

    Args: a chunk of events; outputs, of π and μ̂ in bits; where probabilities go, [tiles, c, t];
    whether the state is learnt.
    """
    count, n_items, columns = part.stop - part.start, len(pi.weight), held.shape[2]
    other = torch.empty_like(held[0])
    of_pi, of_mu, of_q = RunningSum(held[0, :count]), RunningSum(held[0, :count]), RunningMax()
    row = held.new_zeros(count, pi.weight.shape[1]) if with_row else None
    expected, under_mu = held.new_zeros(count, 1), held.new_zeros(count, 1)
    probabilities = []
    for place, items in enumerate(parts(n_items, columns)):
        size = slice(0, count), slice(0, items.stop - items.start)
        p = pi.tile(part, items, held[place][size])
        shrink = of_pi.take(p)
        probabilities.append((p, of_pi.peak))
        if row is not None:
            row.mul_(shrink)
            rows = pi.weight[items]
            row.addmm_(p, rows) if p.dtype == rows.dtype else row.add_(p.to(rows.dtype) @ rows)
        values = None
        if q is not None:
            values = q.tile(part, items, other[size])
            of_q.take(values, items.start)
            expected.mul_(shrink).add_(torch.linalg.vecdot(p, values)[:, None])
        if mu is not None:
            m = mu.tile(part, items, torch.empty_like(p))
            shrink = of_mu.take(m)
            if values is not None:
                under_mu.mul_(shrink).add_(torch.linalg.vecdot(m, values)[:, None])
    return _Swept(
        probabilities,
        of_pi.log_total,
        None if row is None else row.div_(of_pi.total),
        None if mu is None else of_mu.log_total,
        (
            None if q is None else (expected / of_pi.total).squeeze(1),
            None if q is None or mu is None else (under_mu / of_mu.total).squeeze(1),
            of_q.value,
            of_q.item,
        ),
    )


class _WeightedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, state: Tensor, weight: Tensor, action: Tensor, weigh: Weigh, q: Factors | None,
        logging: Factors | None, sizes: Tiling, found: list[tuple[Tensor, CatalogueStatistics]],
    ) -> Tensor:  # fmt: skip
        count, device = len(state), state.device
        dtype = torch.promote_types(state.dtype, torch.float32)
        lower = product_dtype(state)
        with torch.autocast(device.type, enabled=False):
            pi = in_bits(state, Table(weight), lower)
            mu = None if logging is None else in_bits(*logging, lower)
            values = None if q is None else Product(q[0].to(lower), *q[1].to(lower)[:2])
            logged = pi.gather(action, dtype)[:, None]
            logged_mu = None if mu is None else mu.gather(action, dtype)[:, None]
            exact, learns_state = state.to(dtype), ctx.needs_input_grad[0]
            grad_state = torch.empty_like(exact) if learns_state else None
            grad_weight = torch.zeros_like(weight, dtype=dtype)
            tiles = -(-len(weight) // sizes.items)
            held = torch.empty(tiles, sizes.events, sizes.items, dtype=dtype, device=device)
            for part in parts(count, sizes.events):
                swept = _sweep(part, pi, values, mu, held, learns_state)
                log_mu = None
                if logged_mu is not None and swept.log_total_mu is not None:
                    log_mu = nats(logged_mu[part] - swept.log_total_mu)
                log_pi = nats(logged[part] - swept.log_total)
                statistics = CatalogueStatistics(log_pi, log_mu, *swept.of_q)
                w = weigh(part, statistics)
                found.append((w, statistics))
                # The gradient of the rows is Σ wπs / N: w/N and what makes p a probability go to
                # the states, [c, D], so that the tiles [c, t] are only read.
                share = w.to(dtype)[:, None] / count
                weighted = exact[part] * share
                columns = parts(len(weight), sizes.items)
                for items, (p, peak) in zip(columns, swept.probabilities, strict=True):
                    scale = (peak - swept.log_total).exp2_()
                    grad_weight[items].addmm_(p.t(), weighted * scale)
                # −w/N for the logged item: a row of [c, D] each, not an element of [c, A].
                grad_weight.index_add_(0, action[part], weighted, alpha=-1)
                if grad_state is not None and swept.row is not None:
                    grad_state[part] = share * (swept.row - pi.weight[action[part]].to(dtype))
            ctx.save_for_backward(grad_state, grad_weight)
            losses = [(w * statistics.log_pi).sum() for w, statistics in found]
            return -torch.stack(losses).sum() / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        grad_state, grad_weight = ctx.saved_tensors
        by_state = None if grad_state is None else grad_state * grad
        return by_state, grad_weight * grad, *[None] * 6


def product_dtype(state: Tensor) -> torch.dtype:
    """What matrix products with ``state`` run in: its own precision, or that of autocast."""
    kind = state.device.type
    if torch.is_autocast_enabled(kind) and state.dtype != torch.float64:
        return torch.get_autocast_dtype(kind)
    return state.dtype


def in_bits(state: Tensor, table: Table, dtype: torch.dtype) -> Product:
    """Logits over log 2, since 2^x is faster than e^x."""
    bias = None if table.bias is None else table.bias * LOG2_E
    return Product((state * LOG2_E).to(dtype), *Table(table.weight, bias).to(dtype)[:2])


def nats(bits: Tensor) -> Tensor:
    """Logarithms of probabilities [c, 1] in bits to [c] in nats, rounding above 0 cut off."""
    return (bits * LOG_2).clamp(max=0).squeeze(1)


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


def check_shapes(state: Tensor, action: Tensor) -> None:
    """ValueError unless they are [N, D] and [N]."""
    if state.dim() != 2 or action.shape != state.shape[:1]:
        shapes = f"{tuple(state.shape)}, {tuple(action.shape)}"
        raise ValueError(f"state must be [N, D] and action [N], got {shapes}")
