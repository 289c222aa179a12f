"""The catalogue pass: all that an objective needs of the whole item catalogue, by definition.

``plain_pass`` writes every matrix [N, A] down. ``tiled_catalogue.catalogue_pass`` returns the same
numbers and gradients without, and is what training uses; ``candidates.candidate_pass`` estimates
them from some of the items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Table(NamedTuple):
    """A table with a row for each item: weight [A, D] and bias [A] or None.

    Outputs are state @ weight.T + bias.

    With ``sparse``, rows that are taken out by ``at`` and ``gather`` get a sparse gradient.
    """

    weight: Tensor
    bias: Tensor | None = None
    sparse: bool = False

    def outputs(self, state: Tensor) -> Tensor:
        """Outputs of every item, state [N, D] -> [N, A]."""
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


class Additions(NamedTuple):
    """What is added to the outputs of a few items of each event, such as those it has seen.

    Attributes:
        item: int64 [N, U], 0 … A−1, no item twice in a row; −1 where there is none.
        value: [N, U].
    """

    item: Tensor
    value: Tensor

    def at(self, events: slice | Tensor) -> Additions:
        """Return those of some events."""
        return Additions(self.item[events], self.value[events])

    def of(self, item: Tensor) -> Tensor:
        """Return what is added to one item per event, [N] -> [N]; or to several, [N, n]."""
        if item.dim() == 1:
            return torch.where(self.item == item[:, None], self.value, 0).sum(-1)
        ordered, order = self.item.sort(-1)  # by bisection: a mask would be [N, n, U]
        place = torch.searchsorted(ordered, item).clamp_max(ordered.shape[1] - 1)
        value = self.value.gather(1, order.gather(1, place))
        return torch.where(ordered.gather(1, place) == item, value, 0)

    def to_all(self, outputs: Tensor) -> Tensor:
        """Return outputs [N, A] with these added."""
        real = self.item >= 0
        value = torch.where(real, self.value, 0).to(outputs.dtype)
        return outputs.scatter_add(1, self.item.clamp_min(0), value)


class Factors(NamedTuple):
    """A matrix of outputs [N, A] as what gives it.

    Attributes:
        state: [N, D].
        table: A rows, whose products with the states are the outputs.
        added: what the outputs of some items have on top of that; None: nothing.
    """

    state: Tensor
    table: Table
    added: Additions | None = None

    def at(self, events: slice | Tensor) -> Factors:
        """Return the rows of some events."""
        added = None if self.added is None else self.added.at(events)
        return Factors(self.state[events], self.table, added)

    def outputs(self) -> Tensor:
        """Write the matrix down, [N, A]."""
        outputs = self.table.outputs(self.state)
        return outputs if self.added is None else self.added.to_all(outputs)

    def gather(self, item: Tensor) -> Tensor:
        """Return the outputs of one item per event, [N] -> [N]; or of several, [N, n]."""
        state = self.state if item.dim() == 1 else self.state[:, None]
        output = self.table.gather(state, item)
        return output if self.added is None else output + self.added.of(item)


class CatalogueStatistics(NamedTuple):
    """What training needs to know of the catalogue, per event [N]; detached.

    Attributes:
        log_pi: log π(a | x) of the logged action.
        log_mu: log μ̂(a | x) of the logged action, None without a logging policy.
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


Weigh = Callable[[slice, CatalogueStatistics], Tensor]


class PolicyLoss(NamedTuple):
    """What each form of the catalogue pass returns.

    Attributes:
        loss: −(1/N) Σ w log π(a | x), a scalar; its gradient reaches states, policy table and what
            is added only.
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
    added: Additions | None = None,
) -> PolicyLoss:
    """Weighted cross-entropy and statistics of π and Q over the catalogue, in the plainest form.

    Args:
        state: [N, D].
        action: logged items, [N], int64 in 0 … A−1.
        policy: rows that give the logits of π.
        weigh: policy weights of a stretch of events, from their place and their statistics.
        q: what gives the outputs of the Q head, if the objective has one.
        logging: what gives the logits of the logging policy, for log μ̂ and E_μ̂[Q].
        added: to the logits of π.
    """
    check_shapes(state, action)
    log_policy = Factors(state, policy, added).outputs().log_softmax(-1)  # [N, A]
    log_pi = log_policy.gather(1, action[:, None]).squeeze(1)
    with torch.no_grad():
        values = None if q is None else q.outputs()  # [N, A]
        mu = None if logging is None else logging.outputs()
        statistics = _statistics(log_pi.detach(), action, log_policy.exp(), values, mu)
        weight = weigh(slice(0, len(state)), statistics)
    return PolicyLoss(-(weight * log_pi).mean(), weight, statistics)


def _statistics(
    log_pi: Tensor, action: Tensor, p: Tensor, values: Tensor | None, mu: Tensor | None
) -> CatalogueStatistics:
    """Statistics from probabilities p of π, Q values and logits of μ̂, each [N, A]."""
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
    """Raise ValueError unless ``state`` is [N, D] and ``action`` [N]."""
    if state.dim() != 2 or action.shape != state.shape[:1]:
        shapes = f"{tuple(state.shape)}, {tuple(action.shape)}"
        raise ValueError(f"state must be [N, D] and action [N], got {shapes}")
