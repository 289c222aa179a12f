"""The logging policy of a shop: exact, and a function of what is logged."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from recbole_lpi.simulation.draws import Mixture, draw, rows_at_once
from recbole_lpi.simulation.histories import Histories
from recbole_lpi.simulation.shop_settings import ShopSettings


class ShopPolicy:
    """μ: more of what was clicked or bought, less of what was ignored, and the more so the later.

        μ(a | x) = (1 − ρ − ε) softmax_a(score) + ρ [a was clicked last] + ε / A
        score(a) = (1/τ) Σ_i signal(kind_i) exp(−(t_n − t_i) / memory) · v̂_i · v̂_a + ω g(a)

    of the n logged events i so far, at times t_i. v̂ are the items' vectors as μ sees them, g their
    appeal, and τ, ω, ρ and ε the settings ``temperature``, ``popular``, ``remind`` and ``explore``.
    What was bought is shown again by exploration alone. Where no item was clicked, or the one
    clicked last is bought by now, ρ is 0.

    Args:
        settings: of the shop.
        seen: v̂, float32 [A, D].
        appeal: g, float32 [A].
        signal: by how much an event of each logged kind pushes.
        click, purchase: the codes of these kinds in the log; None: there are no purchases.
    """

    def __init__(
        self,
        settings: ShopSettings,
        seen: Tensor,
        appeal: Tensor,
        signal: tuple[float, ...],
        click: int,
        purchase: int | None = None,
    ) -> None:
        self.settings, self.seen = settings, seen
        self.signal = torch.tensor([0.0, *signal])
        self.click = click + 1  # as histories number them
        self.purchase = -1 if purchase is None else purchase + 1
        self.table = torch.cat([seen, settings.popular * appeal[:, None]], 1).T.contiguous()

    def __call__(self, histories: Histories) -> Tensor:
        """Return log μ(a | x) of every item, float32 [S, A]; −∞ where μ is 0."""
        mixture = self._mixture(histories)
        found = torch.empty(len(histories.items), self.settings.n_items)
        for rows, weight in self._weights(histories):
            found[rows] = weight * (mixture.share[rows] / weight.sum(-1)).float()[:, None]
        found += mixture.floor
        found.scatter_add_(1, mixture.column[:, None], mixture.extra[:, None].float())
        return found.log_()

    def draw(self, histories: Histories, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draw items [S], 1 … A, for uniform numbers [S]; returns their log μ, float64 [S], too."""
        mixture = self._mixture(histories)
        pieces = [
            draw(weight, uniform[rows], mixture.take(rows))
            for rows, weight in self._weights(histories)
        ]
        column, log_probability = (torch.cat(list(part)) for part in zip(*pieces, strict=True))
        return column + 1, log_probability

    def _weights(self, histories: Histories) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield some rows at a time, and what their softmax is proportional to, float32 [rows, A].

        The largest of each row is 1, and what was bought has 0. The memory of the one is used for
        the next: to ask the system for it each time took longer than the product.
        """
        query, items = self._query(histories), histories.items
        size = rows_at_once(self.settings.n_items)
        memory = torch.empty(min(size, len(items)), self.settings.n_items)
        bought = histories.kinds == self.purchase
        for rows in torch.split(torch.arange(len(items)), size):
            weight = torch.mm(query[rows], self.table, out=memory[: len(rows)])
            row, place = bought[rows].nonzero(as_tuple=True)
            weight[row, items[rows[row], place] - 1] = -torch.inf
            yield rows, weight.sub_(weight.amax(-1, keepdim=True)).exp_()

    def _mixture(self, histories: Histories) -> Mixture:
        """Return the reminders and the exploration."""
        s, again = self.settings, self._clicked_last(histories)
        shown = s.remind * ((again > 0) & ~self._bought(histories, again)).double()
        share = (1 - s.explore) - shown
        return Mixture(share, s.explore / s.n_items, (again - 1).clamp_min(0), shown)

    def _query(self, histories: Histories) -> Tensor:
        """Return what is multiplied with the table, [S, D + 1]."""
        items, kinds, times, lengths = histories
        ones = torch.ones(len(items), 1)
        if not items.shape[1]:
            return torch.cat([ones.new_zeros(len(items), self.seen.shape[1]), ones], 1)
        last = times.gather(1, (lengths - 1).clamp_min(0)[:, None])
        age = ((times - last) / self.settings.memory).clamp_max(0)
        push = self.signal[kinds] * age.exp().float()  # 0 of padding
        pushed = torch.einsum("st,std->sd", push, self.seen[(items - 1).clamp_min(0)])
        return torch.cat([pushed / self.settings.temperature, ones], 1)

    def _clicked_last(self, histories: Histories) -> Tensor:
        """Return the item of each history's last click, int64 [S]; 0 where there is none."""
        items, kinds, _, _ = histories
        if not items.shape[1]:
            return torch.zeros(len(items), dtype=torch.int64)
        clicked = kinds == self.click
        place = (clicked * torch.arange(1, items.shape[1] + 1)).amax(1, keepdim=True)
        return (items.gather(1, (place - 1).clamp_min(0)) * (place > 0)).squeeze(1)

    def _bought(self, histories: Histories, item: Tensor) -> Tensor:
        """Whether each history has a purchase of an item [S], bool [S]."""
        items, kinds, _, _ = histories
        return ((items == item[:, None]) & (kinds == self.purchase)).any(1)
