"""Heads on the state of the encoder: V of the state, Q and μ̂ of every item.

Both forms of Q are dueling (Wang et al. 2016): a value of the state, and on it what tells the items
apart. Most of a return is of the state, and a head that had to learn it once for every item would
learn it from the few events of each. The second part is divided by D, the width of the states. A
step of Adam moves every weight by about its learning rate η, and the states, which a layer norm
made, have units of about size 1, so that a sum over D of them moves by D·η: at D = 64 and η = 0.003
by 0.2, as much as the reward of a click. Divided by D it moves by some η, whatever D is (the output
multiplier of μP, Yang et al. 2021, "Tensor Programs V").
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from recbole_lpi.nn.catalogue import Factors, Table
from recbole_lpi.nn.repeats import RepeatHead, Seen


class ValueHead(nn.Module):
    """V(x), one number per state: [..., D] -> [...]."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(hidden_size, hidden_size), nn.GELU(), nn.Linear(hidden_size, 1)
        )

    def forward(self, state: Tensor) -> Tensor:
        """The value of each state, [..., D] -> [...]."""
        return torch.as_tensor(self.net(state)).squeeze(-1)


class QValues(NamedTuple):
    """Q(x, a) = value(x) + output(x, a) of every item, as what gives it.

    Attributes:
        value: [N].
        factors: states [N, D] and table of A rows, whose product is the outputs [N, A].
    """

    value: Tensor
    factors: Factors

    def of(self, item: Tensor) -> Tensor:
        """Q of one item per event, [N] -> [N]; or of several items, [N, n] -> [N, n]."""
        value = self.value if item.dim() == 1 else self.value[:, None]
        return value + self.factors.gather(item)


class BilinearQHead(nn.Module):
    """Q(x, a) = V(x) + (M s + u) · eₐ / D, where eₐ is the row by which the policy scores item a.

    Which items go together, and that one is in the session already, the rows know: it need not be
    learnt a second time from rewards. The rows are read, and not moved by what Q learns.

    Args:
        n_items: A; it has nothing of its own for each of them.
        hidden_size: D, the width of states and rows.
        std, sparse: as of ``TableQHead``, and make no difference: M and u begin at 0, so that two
            heads begin with the same advantages, and nothing here is a table of items.
    """

    def __init__(
        self, n_items: int, hidden_size: int, std: float = 0.02, sparse: bool = False
    ) -> None:
        super().__init__()
        self.value = ValueHead(hidden_size)
        self.form = nn.Linear(hidden_size, hidden_size)  # M and u
        nn.init.zeros_(self.form.weight)
        nn.init.zeros_(self.form.bias)

    def forward(self, state: Tensor, rows: Table) -> QValues:
        """Q values of states [N, D], from the policy's rows [A, D]."""
        table = Table(rows.weight.detach())
        return QValues(self.value(state), Factors(self.form(state) / state.shape[-1], table))


class TableQHead(nn.Module):
    """Q(x, a) = V(x) + s · wₐ / D + bₐ, every item with a row and a bias of its own (section 4.2).

    Args:
        n_items: A.
        hidden_size: D, the width of states and rows.
        std: standard deviation of the initial rows.
        sparse: whether the gradient of rows and biases is, as that of ``nn.Embedding``.
    """

    def __init__(
        self, n_items: int, hidden_size: int, std: float = 0.02, sparse: bool = False
    ) -> None:
        super().__init__()
        self.sparse = sparse
        self.value = ValueHead(hidden_size)
        self.weight = nn.Parameter(torch.empty(n_items, hidden_size).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(n_items))

    def forward(self, state: Tensor, rows: Table) -> QValues:
        """Q values of states [N, D]; the policy's rows are not read."""
        table = Table(self.weight, self.bias, self.sparse)
        return QValues(self.value(state), Factors(state / state.shape[-1], table))


class PropensityHead(nn.Module):
    """μ̂(a | x) ∝ exp(s · wₐ), learnt on states it sends no gradient to (Chen et al. 2019).

    Args:
        n_items: A.
        hidden_size: D, the width of states and rows.
        std: standard deviation of the initial rows.
        sparse: whether the gradient of its rows is, as that of ``nn.Embedding``.
        repeats: what scores the items that were seen; None: the rows alone do.
    """

    def __init__(
        self,
        n_items: int,
        hidden_size: int,
        std: float = 0.02,
        sparse: bool = False,
        repeats: RepeatHead | None = None,
    ) -> None:
        super().__init__()
        self.sparse, self.repeats = sparse, repeats
        self.weight = nn.Parameter(torch.empty(n_items, hidden_size).normal_(std=std))

    def forward(self, state: Tensor, seen: Seen | None = None) -> Factors:
        """Return what gives the logits of states [N, D], which have seen some items."""
        added = None if self.repeats is None or seen is None else self.repeats(state, seen)
        return Factors(state, Table(self.weight, sparse=self.sparse), added)


QHead = BilinearQHead | TableQHead
Q_HEADS: dict[str, type[BilinearQHead] | type[TableQHead]] = {
    "bilinear": BilinearQHead, "table": TableQHead,
}  # fmt: skip
