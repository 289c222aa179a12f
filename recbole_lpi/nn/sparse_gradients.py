"""Sparse gradients of item tables, of which a step touches few rows, and their optimiser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_


def slice_rows(weight: Tensor, start: int, stop: int) -> Tensor:
    """Rows ``weight[start:stop]``, through which a sparse gradient stays sparse."""
    return torch.as_tensor(_SliceRows.apply(weight, start, stop))  # type: ignore[no-untyped-call]


class _SliceRows(torch.autograd.Function):
    """A slice of rows whose gradient is sparse where the one that comes in is."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, start: int, stop: int) -> Tensor:
        ctx.start, ctx.shape = start, weight.shape
        return weight[start:stop]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        if not grad.is_sparse:
            whole = grad.new_zeros(ctx.shape)
            whole[ctx.start : ctx.start + len(grad)] = grad
            return whole, None, None
        index, value = grad._indices() + ctx.start, grad._values()
        return torch.sparse_coo_tensor(index, value, ctx.shape), None, None


class LazyAdam(torch.optim.Optimizer):
    """SparseAdam for tables, which updates the rows a step touched, and Adam for the rest.

    Lazy: moments of a row that is not touched do not decay, and it does not move. Dense Adam decays
    and moves every row at every step; the two differ.

    Args:
        parameters: all of them.
        tables: those among them whose gradients are sparse.
        lr: learning rate of both.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], tables: Iterable[nn.Parameter], lr: float
    ) -> None:
        # As by default, but said, or torch warns of it.
        torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]
        lazy = list(tables)
        known = {id(table) for table in lazy}
        dense = [parameter for parameter in parameters if id(parameter) not in known]
        self.parts: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.SparseAdam(lazy, lr=lr), torch.optim.Adam(dense, lr=lr),
        )  # fmt: skip
        super().__init__([{"params": lazy}, {"params": dense}], {"lr": lr})
        self.param_groups = [group for part in self.parts for group in part.param_groups]

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take a step of both optimisers; a closure is a ValueError."""
        if closure is not None:
            raise ValueError("LazyAdam takes no closure")
        for part in self.parts:
            part.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of SparseAdam and Adam, as ``parts``."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what ``state_dict`` gave."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)
        self.param_groups = [group for part in self.parts for group in part.param_groups]


def clip_gradients(
    parameters: Iterable[nn.Parameter], max_norm: float, norm_type: float = 2.0
) -> None:
    """Clip gradients to a norm as ``clip_grad_norm_`` does, where some may be sparse too."""
    held = [parameter for parameter in parameters if parameter.grad is not None]
    if not any(parameter.grad.is_sparse for parameter in held if parameter.grad is not None):
        clip_grad_norm_(held, max_norm, norm_type)
        return
    values: list[Tensor] = []
    for parameter in held:
        assert parameter.grad is not None
        if parameter.grad.is_sparse:  # rows that were touched several times are summed first
            parameter.grad = parameter.grad.coalesce()
            values.append(parameter.grad._values())
        else:
            values.append(parameter.grad)
    norms = torch.stack([torch.linalg.vector_norm(value, norm_type) for value in values])
    factor = (max_norm / (torch.linalg.vector_norm(norms, norm_type) + 1e-6)).clamp(max=1.0)
    for value in values:
        value.mul_(factor)
