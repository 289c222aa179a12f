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


Factors = tuple[Tensor, Table]  # of a matrix [N, A]: states [N, D'] and a table of A rows
Weigh = Callable[[slice, CatalogueStatistics], Tensor]


class PolicyLoss(NamedTuple):
    """What each form of the catalogue pass returns.

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
