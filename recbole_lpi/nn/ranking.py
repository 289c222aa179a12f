"""Rank of the logged item in the whole catalogue, and how far a policy stands from another there.

``ranking_of_logits`` is the definition, ``ranking_pass`` the same in chunks of events and tiles of
items, from states and a table or from logits that a model wrote down itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.nn.bits import LOG2_E, LOG_2, nats
from recbole_lpi.nn.catalogue import Factors
from recbole_lpi.nn.running_reductions import RunningMax, RunningSum
from recbole_lpi.nn.tile_sizes import LEAST_EVENTS, Tiling, parts, tiling
from recbole_lpi.nn.tiled_outputs import Matrix, Outputs, product_dtype, product_of

Scores = Factors | Tensor  # what gives logits, or logits [N, A]


class RankingStatistics(NamedTuple):
    """What evaluation needs to know of the catalogue, per event [N].

    Attributes:
        rank: place of the logged item, from 1; among ties the mean of best and worst place.
        greedy_item: argmax_a π(a | x), int64.
        greedy_log_pi: log π of that item.
        log_pi: log π(a | x) of the logged item, natural log.
        log_mu: the same under the logging policy, None without one; so are ``js`` and ``kl``.
        js: Jensen-Shannon divergence of π and μ̂ over the catalogue (Eq. 12), in [0, log 2].
        kl: KL(π ‖ μ̂) (Eq. 7), in nats.
        top_items: the first choices of π, ``greedy_item`` foremost, int64 [N, top]; None unless
            asked for.
    """

    rank: Tensor
    greedy_item: Tensor
    greedy_log_pi: Tensor
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
    greedy_log_pi = log_p.gather(1, greedy[:, None]).squeeze(1)
    best = _foremost(greedy, logits.topk(top, -1).indices) if top else None
    if logging_logits is None:
        return RankingStatistics(rank, greedy, greedy_log_pi, log_pi, top_items=best)
    log_m = logging_logits.to(log_p.dtype).log_softmax(-1)
    p, m = log_p.exp(), log_m.exp()
    mixture = torch.logaddexp(log_p, log_m) - LOG_2
    js = 0.5 * ((p * (log_p - mixture)).sum(-1) + (m * (log_m - mixture)).sum(-1))
    kl = (p * (log_p - log_m)).sum(-1)
    log_mu = log_m.gather(1, action[:, None]).squeeze(1)
    js, kl = js.clamp(0, LOG_2), kl.clamp(min=0)
    return RankingStatistics(rank, greedy, greedy_log_pi, log_pi, log_mu, js, kl, best)


@torch.no_grad()
def ranking_pass(
    policy: Scores,
    action: Tensor,
    logging: Scores | None = None,
    top: int = 0,
    chunk: int | None = None,
    tile: int | None = None,
) -> RankingStatistics:
    """What ``ranking_of_logits`` gives, with a chunk of logits in memory at a time.

    What a tile adds to log-sum-exp, argmax, first choices and rank is taken while it is in cache;
    then it is forgotten, unless divergences are asked for, which need both log-sum-exps first.
    The logged item's logit, with which a tile is compared, is computed ahead. Where it seems to be
    rounded otherwise than in its tile, the event is ranked anew, by a row of logits that is
    complete, so that ties are ties.
    ``chunk`` and ``tile`` are chosen by the memory there is, unless given.
    """
    pi, mu = _outputs(policy), None if logging is None else _outputs(logging)
    n_items, device = pi.n_items, pi.source.device
    dtype = torch.promote_types(pi.source.dtype, torch.float32)
    sizes = tiling(len(action), n_items, device, dtype.itemsize, held=mu is not None)
    sizes = Tiling(chunk or sizes.events, tile or sizes.items)
    shape = (1, 1) if mu is None else (2, -(-n_items // sizes.items))
    with torch.autocast(device.type, enabled=False):
        held = torch.empty(*shape, *sizes, dtype=dtype, device=device)
        found = [
            rank_tiles(
                pi.at(part, sizes.items), None if mu is None else mu.at(part, sizes.items),
                action[part], held[:, :, : part.stop - part.start], top,
            )
            for part in parts(len(action), sizes.events)
        ]  # fmt: skip
    columns = [None if c[0] is None else torch.cat(c) for c in zip(*found, strict=True)]
    return RankingStatistics(*columns)  # type: ignore[arg-type]


def rank_tiles(
    pi: Outputs, mu: Outputs | None, item: Tensor, held: Tensor, top: int
) -> RankingStatistics:
    """Rank a chunk of c events, with logged items [c].

    ``held``: where tiles of π and of μ̂ go, [2, tiles, c, t]; [1, 1, c, t] where there is no μ̂.
    """
    kept, columns = held.shape[1], held.shape[3]
    tiles = [
        (items, held[:, i % kept, :, : items.stop - items.start])
        for i, items in enumerate(parts(pi.n_items, columns))
    ]
    one, other = len(tiles) == 1, torch.empty_like(held[0, 0])
    logged = None if one else pi.logged(item).to(other.dtype)
    of_pi, of_mu, best, firsts = RunningSum(other), RunningSum(other), RunningMax(), []
    ahead = other.new_zeros(len(item))
    for items, at in tiles:
        x, out = pi.tile(items, at[0]), other[:, : at.shape[2]]
        if logged is None:
            logged = x.gather(1, item[:, None])
        of_pi.read(x, best.take(x, items.start)[:, None], LOG2_E, out)
        ahead += _ahead(x, logged, out)
        if top > 1:
            value, place = x.topk(min(top, x.shape[1]), 1)
            firsts.append((value, place + items.start))
        if mu is not None:
            y = mu.tile(items, at[1])
            of_mu.read(y, y.amax(1, keepdim=True), LOG2_E, out)
    assert logged is not None and best.item is not None and best.value is not None
    known = one or isinstance(pi, Matrix)  # the logged logits, to the bit
    for rows in () if known else to_rank_anew(ahead, pi.n_items):
        x = other.new_empty(len(rows), pi.n_items)
        pi.at(rows, pi.n_items).tile(slice(0, pi.n_items), x)
        logged[rows] = x.gather(1, item[rows, None])
        ahead[rows] = _ahead(x, logged[rows], x)
    found = RankingStatistics(
        rank=(pi.n_items + 1 + ahead) / 2,  # as many ahead as behind: in the middle
        greedy_item=best.item,
        greedy_log_pi=nats(best.value[:, None] * LOG2_E - of_pi.log_total),
        log_pi=nats(logged * LOG2_E - of_pi.log_total),
        top_items=_first_choices(best.item, firsts, top) if top else None,
    )
    if mu is None:
        return found
    rows = torch.arange(len(item), device=item.device)
    logged_mu = held[1, item // columns, rows, item % columns][:, None]
    js, kl = _divergences([at for _, at in tiles], of_pi.log_total, of_mu.log_total)
    return found._replace(log_mu=nats(logged_mu * LOG2_E - of_mu.log_total), js=js, kl=kl)


def _ahead(x: Tensor, logged: Tensor, out: Tensor) -> Tensor:
    """Items of a tile x [c, t] ahead of the logged one [c, 1], less those behind it: [c]."""
    return torch.sub(x, logged, out=out).sign_().sum(1)


def to_rank_anew(ahead: Tensor, n_items: int) -> Iterator[Tensor]:
    """Events of which an even number of items equals the logged one, a few at a time.

    Their number is as even as that of all items, less those ahead and those behind. In float32 it
    mostly is one, the logged item itself; none if its logit was rounded otherwise.
    """
    rows = ((n_items % 2 + ahead) % 2 == 0).nonzero().squeeze(1)
    return (rows[some] for some in parts(len(rows), LEAST_EVENTS))


def _divergences(
    tiles: list[Tensor], log_total: Tensor, log_total_mu: Tensor
) -> tuple[Tensor, Tensor]:
    """JS and KL of each event, [c] in nats, from all tiles [2, c, t] of logits of π and of μ̂."""
    js, kl = log_total.new_zeros(2, len(log_total))
    for x, y in tiles:
        of_js, of_kl = _tile_divergences(x, log_total, y, log_total_mu)
        js, kl = js + of_js, kl + of_kl
    return (js * LOG_2 / 2).clamp(0, LOG_2), (kl * LOG_2).clamp(min=0)


def _tile_divergences(
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


def _first_choices(greedy: Tensor, firsts: list[tuple[Tensor, Tensor]], top: int) -> Tensor:
    """The first choices of all tiles [c, top], from values and items of each if there are more."""
    if top == 1:
        return greedy[:, None]
    values, items = (torch.cat(columns, 1) for columns in zip(*firsts, strict=True))
    return _foremost(greedy, items.gather(1, values.topk(top, 1).indices))


def _foremost(greedy: Tensor, items: Tensor) -> Tensor:
    """First choices [c, top] with the greedy item in front: of ties topk has its own order."""
    items = torch.where(items == greedy[:, None], items[:, :1], items)
    items[:, 0] = greedy
    return items


def _outputs(scores: Scores) -> Outputs:
    """Scores as outputs that are read in tiles."""
    if isinstance(scores, Tensor):
        return Matrix(scores)
    return product_of(scores, product_dtype(scores.state))
