"""Rank of the logged item in the whole catalogue, and how far a policy stands from another there.

``ranking_of_logits`` is the definition, ``ranking_pass`` the same in chunks of events and tiles of
items, from states and a table or from logits that a model wrote down itself.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.nn.catalogue import LOG2_E, LOG_2, Logging, nats, product_dtype
from recbole_lpi.nn.tiles import Matrix, Outputs, Product, RunningMax, RunningSum
from recbole_lpi.nn.tiling import Tiling, parts, tiling

Scores = Logging | Tensor  # states and table, or logits [N, A]


class RankingStatistics(NamedTuple):
    """What evaluation needs, per event [N].

    Attributes:
        rank: place of the logged item, from 1; among ties the mean of best and worst place.
        greedy_item: argmax_a π(a | x), int64.
        log_pi: log π(a | x) of the logged item, natural log.
        log_mu: the same under the logging policy, None without one; so are ``js`` and ``kl``.
        js: Jensen-Shannon divergence of π and μ̂ over the catalogue (Eq. 12), in [0, log 2].
        kl: KL(π ‖ μ̂) (Eq. 7), in nats.
        top_items: the first choices of π, ``greedy_item`` foremost, int64 [N, top]; None unless
            asked for.
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
    best = _foremost(greedy, logits.topk(top, -1).indices) if top else None
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


@torch.no_grad()
def ranking_pass(
    policy: Scores,
    action: Tensor,
    logging: Scores | None = None,
    top: int = 0,
    chunk: int | None = None,
    tile: int | None = None,
) -> RankingStatistics:
    """``ranking_of_logits`` with no more than a chunk of logits in memory at a time.

    Logits are written once, tile by tile, and read twice: with the log-sum-exp, argmax and first
    choices of a tile taken as it is made, and when what they are compared with is known. A logged
    item is compared with itself, not with its logit computed anew, so that ties are ties.
    ``chunk`` and ``tile`` are chosen by the memory there is, unless given.
    """
    pi, mu = _outputs(policy), None if logging is None else _outputs(logging)
    n_items, device = pi.n_items, pi.source.device
    dtype = torch.promote_types(pi.source.dtype, torch.float32)
    sizes = tiling(len(action), n_items, device, dtype.itemsize)
    sizes = Tiling(chunk or sizes.events, tile or sizes.items)
    shape = -(-n_items // sizes.items), sizes.events, sizes.items
    with torch.autocast(device.type, enabled=False):
        held = [torch.empty(shape, dtype=dtype, device=device) for o in (pi, mu) if o is not None]
        found = [
            _rank(part, pi, mu, action, held, top) for part in parts(len(action), sizes.events)
        ]
    columns = [None if c[0] is None else torch.cat(c) for c in zip(*found, strict=True)]
    return RankingStatistics(*columns)  # type: ignore[arg-type]


def _rank(
    part: slice, pi: Outputs, mu: Outputs | None, action: Tensor, held: list[Tensor], top: int
) -> RankingStatistics:
    """Of a chunk of events; ``held``, [tiles, c, t] each: where the logits of π and of μ̂ go."""
    item, columns = action[part], held[0].shape[2]
    count, where = len(item), list(parts(pi.n_items, columns))
    sizes = [(slice(0, count), slice(0, items.stop - items.start)) for items in where]
    logged_at = item // columns, torch.arange(count, device=item.device), item % columns
    other = torch.empty_like(held[0][0])
    best, firsts, logs = RunningMax(), [], []
    for outputs, kept in zip((pi, mu), held, strict=False):
        assert outputs is not None
        total = RunningSum(kept[0, :count])
        for tile, items, size in zip(kept, where, sizes, strict=True):
            x = outputs.tile(part, items, tile[size])
            total.take(torch.mul(x, LOG2_E, out=other[size]))
            if outputs is pi:
                best.take(x, items.start)
                if top:
                    value, place = x.topk(min(top, x.shape[1]), 1)
                    firsts.append((value, place + items.start))
        logs.append(total.log_total)
    logged = held[0][logged_at][:, None]
    ahead, js, kl = (held[0].new_zeros(count) for _ in range(3))
    for number, size in enumerate(sizes):
        x = held[0][number][size]
        ahead += torch.sub(x, logged, out=other[size]).sign_().sum(1)
        if mu is not None:
            of_js, of_kl = _divergences(x, logs[0], held[1][number][size], logs[1])
            js, kl = js + of_js, kl + of_kl
    assert best.item is not None
    found = RankingStatistics(
        rank=(pi.n_items + 1 + ahead) / 2,  # as many ahead as behind: in the middle
        greedy_item=best.item,
        log_pi=nats(logged * LOG2_E - logs[0]),
        top_items=_foremost(best.item, _first_choices(firsts, top)) if top else None,
    )
    if mu is None:
        return found
    log_mu = nats(held[1][logged_at][:, None] * LOG2_E - logs[1])
    return found._replace(
        log_mu=log_mu, js=(js * LOG_2 / 2).clamp(0, LOG_2), kl=(kl * LOG_2).clamp(min=0)
    )


def _divergences(
    x: Tensor, log_total: Tensor, y: Tensor, log_total_mu: Tensor
) -> tuple[Tensor, Tensor]:
    """What a tile of logits x of π and y of μ̂ [c, t] adds to 2 JS and to KL, in bits, [c] each."""
    log_p = torch.add(-log_total, x, alpha=LOG2_E)
    log_m = torch.add(-log_total_mu, y, alpha=LOG2_E)
    p, m = log_p.exp2(), log_m.exp2()
    kl = torch.linalg.vecdot(p, log_p - log_m)
    mixture = torch.lerp(p, m, 0.5).clamp_(min=torch.finfo(p.dtype).tiny).log2_()
    js = torch.linalg.vecdot(p, log_p.sub_(mixture)) + torch.linalg.vecdot(m, log_m.sub_(mixture))
    return js, kl


def _first_choices(firsts: list[tuple[Tensor, Tensor]], top: int) -> Tensor:
    """The first choices of all tiles [c, top], from values and items of each."""
    values, items = (torch.cat(columns, 1) for columns in zip(*firsts, strict=True))
    return items.gather(1, values.topk(top, 1).indices)


def _foremost(greedy: Tensor, items: Tensor) -> Tensor:
    """First choices [c, top] with the greedy item in front: of ties topk has its own order."""
    items = torch.where(items == greedy[:, None], items[:, :1], items)
    items[:, 0] = greedy
    return items


def _outputs(scores: Scores) -> Outputs:
    if isinstance(scores, Tensor):
        return Matrix(scores)
    state, table = scores
    dtype = product_dtype(state)
    return Product(state.to(dtype), *table.to(dtype)[:2])
