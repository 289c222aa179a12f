"""``Estimates``: what a policy weight may see of an event, a few numbers and no catalogue row."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True)
class Estimates:
    """Numbers per event, each a tensor of shape [N]; what an objective does not need is None.

    Attributes:
        reward: r_t of the logged action.
        discount: γ, and 0 at the last observed event of a session, so that no flag is needed.
        log_pi: log π(a_t | x_t) of the policy being trained.
        return_: discounted sum of rewards from t to the end of the session.
        max_reward: the largest reward in the training data.
        log_mu: log μ̂(a_t | x_t) under the logging policy.
        q: Q(x_t, a_t) of the logged action.
        v: the baseline V(x_t) that the advantage subtracts.
        v_tp1: V(x_{t+1}); ignored where ``discount`` is 0.
        advantage: A(x_t, a_t) of an advantage estimator that sums it along the session.
    """

    reward: Tensor
    discount: Tensor
    log_pi: Tensor
    return_: Tensor | None = None
    max_reward: Tensor | None = None
    log_mu: Tensor | None = None
    q: Tensor | None = None
    v: Tensor | None = None
    v_tp1: Tensor | None = None
    advantage: Tensor | None = None

    def __post_init__(self) -> None:
        if self.reward.dim() != 1:
            raise ValueError(f"reward must have shape [N], got {tuple(self.reward.shape)}")
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value.shape != self.reward.shape:
                raise ValueError(
                    f"{field.name} must have the shape of reward, {tuple(self.reward.shape)}, "
                    f"got {tuple(value.shape)}"
                )

    def need(self, name: str) -> Tensor:
        """The attribute ``name``, [N], detached; ValueError where no head or data supplied it."""
        value = getattr(self, name)
        if value is None:
            raise ValueError(f"this policy weight needs '{name}', which no head supplied")
        return torch.as_tensor(value).detach()
