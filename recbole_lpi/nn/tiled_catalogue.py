"""The tiled form of the catalogue pass: the numbers of the plain form, and no [N, A] matrix.

``catalogue_pass`` returns what ``catalogue.plain_pass`` does, and the same gradients, from one pass
over chunks of events and tiles of items, while a tile is still in cache. docs/performance.md counts
its matrix products and its passes over memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recbole_lpi.nn.bits import LOG2_E, nats
from recbole_lpi.nn.catalogue import (
    Additions,
    CatalogueStatistics,
    Factors,
    PolicyLoss,
    Table,
    Weigh,
    check_shapes,
)
from recbole_lpi.nn.running_reductions import RunningMax, RunningSum
from recbole_lpi.nn.tile_sizes import Tiling, parts, tiling
from recbole_lpi.nn.tiled_outputs import Product, product_dtype, product_of


def catalogue_pass(
    state: Tensor,
    action: Tensor,
    policy: Table,
    weigh: Weigh,
    q: Factors | None = None,
    logging: Factors | None = None,
    added: Additions | None = None,
    chunk: int | None = None,
    tile: int | None = None,
) -> PolicyLoss:
    """What ``plain_pass`` gives, in chunks and tiles, the gradient formed in the same pass.

    It can be, because the weight is known once the statistics of a chunk are:

        ∂loss/∂logits = w (π − onehot(a)) / N

    so no [N, A] matrix is ever written, and none is computed twice. Matrix products over the
    catalogue: 3, and one each for a Q head and a logging policy. What is ``added`` to the logits of
    a few items is added to the tile that they lie in. The table may not have a bias.
    ``chunk`` and ``tile`` are chosen by the memory there is, unless given.
    """
    check_shapes(state, action)
    if policy.bias is not None:
        raise ValueError("the policy table has a bias, which catalogue_pass gives no gradient")
    precision = torch.promote_types(state.dtype, torch.float32)
    sizes = tiling(len(state), len(policy.weight), state.device, precision.itemsize)
    sizes = Tiling(chunk or sizes.events, tile or sizes.items)
    found: list[tuple[Tensor, CatalogueStatistics]] = []
    seen, value = (None, None) if added is None else added
    loss: Tensor = _WeightedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        state, policy.weight, value, seen, action, weigh, q, logging, sizes, found
    )
    weight = torch.cat([w for w, _ in found])
    columns = zip(*(statistics for _, statistics in found), strict=True)
    joined = [None if column[0] is None else torch.cat(column) for column in columns]
    return PolicyLoss(loss, weight, CatalogueStatistics(*joined))  # type: ignore[arg-type]


class _Swept(NamedTuple):
    """What is known of a chunk of events after a sweep over its tiles.

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
    pi: Product, q: Product | None, mu: Product | None, held: Tensor, with_row: bool
) -> _Swept:
    """Take all that needs no weight from each tile of a chunk, while the tile is in cache.

    Args:
        pi, q, mu: outputs of the chunk's events; those of π and μ̂ in bits.
        held: where probabilities go, [tiles, c, t].
        with_row: whether the mean row is taken too, of which the gradient of the state is made.
    """
    count, n_items, columns = len(pi.state), len(pi.weight), held.shape[2]
    other = torch.empty_like(held[0])
    of_pi, of_mu, of_q = RunningSum(held[0, :count]), RunningSum(held[0, :count]), RunningMax()
    row = held.new_zeros(count, pi.weight.shape[1]) if with_row else None
    expected, under_mu = held.new_zeros(count, 1), held.new_zeros(count, 1)
    probabilities = []
    for place, items in enumerate(parts(n_items, columns)):
        size = slice(0, count), slice(0, items.stop - items.start)
        p = pi.tile(items, held[place][size])
        shrink = of_pi.take(p)
        probabilities.append((p, of_pi.peak))
        if row is not None:
            row.mul_(shrink)
            rows = pi.weight[items]
            row.addmm_(p, rows) if p.dtype == rows.dtype else row.add_(p.to(rows.dtype) @ rows)
        values = None
        if q is not None:
            values = q.tile(items, other[size])
            of_q.take(values, items.start)
            expected.mul_(shrink).add_(torch.linalg.vecdot(p, values)[:, None])
        if mu is not None:
            m = mu.tile(items, torch.empty_like(p))
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


def _add_gradient(
    grad_weight: Tensor, chunk: Product, swept: _Swept, weighted: Tensor, width: int
) -> Tensor:
    """Add what a chunk of events gives the rows, Σ wπs / N; return π of the items added to, [E].

    w/N and what makes p a probability go to the states ``weighted`` [c, D], so that the tiles
    [c, t] are only read.
    """
    of_seen = []
    columns = parts(len(grad_weight), width)
    for items, (p, peak) in zip(columns, swept.probabilities, strict=True):
        scale = (peak - swept.log_total).exp2_()
        grad_weight[items].addmm_(p.t(), weighted * scale)
        if chunk.spread is not None:
            row, column, _ = chunk.spread.within(items)
            of_seen.append(p[row, column] * scale[row, 0])
    return torch.cat(of_seen) if of_seen else weighted.new_empty(0)


class _WeightedCrossEntropy(torch.autograd.Function):
    """−(1/N) Σ w log π(a | x) by state, table and additions, with a gradient that forward makes."""

    @staticmethod
    def forward(
        ctx: Any, state: Tensor, weight: Tensor, value: Tensor | None, seen: Tensor | None,
        action: Tensor, weigh: Weigh, q: Factors | None, logging: Factors | None, sizes: Tiling,
        found: list[tuple[Tensor, CatalogueStatistics]],
    ) -> Tensor:  # fmt: skip
        count, device = len(state), state.device
        dtype = torch.promote_types(state.dtype, torch.float32)
        lower = product_dtype(state)
        added = None if value is None or seen is None else Additions(seen, value)
        with torch.autocast(device.type, enabled=False):
            pi = product_of(Factors(state, Table(weight), added), lower, LOG2_E)
            mu = None if logging is None else product_of(logging, lower, LOG2_E)
            values = None if q is None else product_of(q, lower)
            logged = pi.gather(action, dtype)[:, None]
            logged_mu = None if mu is None else mu.gather(action, dtype)[:, None]
            exact, learns_state = state.to(dtype), ctx.needs_input_grad[0]
            grad_state = torch.empty_like(exact) if learns_state else None
            grad_value = None if value is None else torch.zeros_like(value, dtype=dtype)
            grad_weight = torch.zeros_like(weight, dtype=dtype)
            tiles = -(-len(weight) // sizes.items)
            held = torch.empty(tiles, sizes.events, sizes.items, dtype=dtype, device=device)
            for part in parts(count, sizes.events):
                chunk = pi.at(part, sizes.items)
                swept = _sweep(
                    chunk, None if values is None else values.at(part, sizes.items),
                    None if mu is None else mu.at(part, sizes.items), held, learns_state,
                )  # fmt: skip
                log_mu = None
                if logged_mu is not None and swept.log_total_mu is not None:
                    log_mu = nats(logged_mu[part] - swept.log_total_mu)
                log_pi = nats(logged[part] - swept.log_total)
                statistics = CatalogueStatistics(log_pi, log_mu, *swept.of_q)
                w = weigh(part, statistics)
                found.append((w, statistics))
                share = w.to(dtype)[:, None] / count
                weighted = exact[part] * share
                of_seen = _add_gradient(grad_weight, chunk, swept, weighted, sizes.items)
                # −w/N for the logged item: a row of [c, D] each, not an element of [c, A].
                grad_weight.index_add_(0, action[part], weighted, alpha=-1)
                if chunk.spread is not None and grad_value is not None and seen is not None:
                    own = grad_value[part]
                    own[chunk.spread.row, chunk.spread.place] = of_seen
                    own.sub_((seen[part] == action[part, None]).to(dtype)).mul_(share)
                if grad_state is not None and swept.row is not None:
                    grad_state[part] = share * (swept.row - pi.weight[action[part]].to(dtype))
            ctx.save_for_backward(grad_state, grad_weight, grad_value)
            losses = [(w * statistics.log_pi).sum() for w, statistics in found]
            return -torch.stack(losses).sum() / count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        found = (None if each is None else each * grad for each in ctx.saved_tensors)
        return *found, *[None] * 7
