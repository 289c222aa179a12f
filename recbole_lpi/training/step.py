"""One step of training: the losses of a batch, their gradients, and a step of the optimiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from recbole_lpi.nn.sparse_gradients import clip_gradients
from recbole_lpi.policy.loss_parts import LossParts
from recbole_lpi.stored_tensors import load_optimizer
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.distributed import ALONE, Ranks
from recbole_lpi.training.settings import Clipping


class TrainingStep:
    """Takes steps of an optimiser on a module, in several processes as in one.

    Args:
        module: what is trained.
        losses: a batch to its losses by part.
        optimizer: over the parameters of ``module``; None where it has none.
        acceleration: half precision and the scale of the loss.
        device: where the module is.
        ranks: the processes that share a batch.
        clip: how gradients are clipped; None: they are not.
        cure: what to do where the loss is not finite, for the message.
    """

    def __init__(
        self,
        module: nn.Module,
        losses: Callable[[Any], LossParts],
        optimizer: torch.optim.Optimizer | None,
        acceleration: AccelerationSettings | None = None,
        device: torch.device | None = None,
        ranks: Ranks = ALONE,
        clip: Clipping | None = None,
        cure: str = "lower learning_rate or set clip_grad_norm",
    ) -> None:
        self.module, self.losses, self.optimizer = module, losses, optimizer
        self.acceleration = acceleration or AccelerationSettings()
        self.device = device or torch.device("cpu")
        self.ranks, self.clip, self.cure = ranks, clip, cure
        scaled = self.acceleration.enable_scaler
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)

    def __call__(self, batch: Any, epoch: int = 0, number: int = 0) -> dict[str, Tensor]:
        """Take the step of a batch; its losses by part, and its diagnostics, detached.

        Args:
            batch: as ``losses`` takes it.
            epoch, number: of the step, for the message.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        assert self.optimizer is not None
        self.optimizer.zero_grad(set_to_none=True)
        with self.acceleration.autocast(self.device):
            losses = self.losses(batch)
        own = torch.stack(list(losses.parts.values())).sum()
        self.scaler.scale(own).backward()  # type: ignore[no-untyped-call]
        parts = self.ranks.sum_gradients(self.module.parameters(), losses.parts)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} in epoch {epoch}, step {number}: {self.cure}"
            )
        if self.clip:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self.module.parameters(), **vars(self.clip))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return {name: v.detach() for name, v in {**parts, **losses.diagnostics}.items()}

    def state(self) -> dict[str, Any]:
        """Return the state of the optimiser and of the scale of the loss."""
        optimizer = {} if self.optimizer is None else self.optimizer.state_dict()
        return {"optimizer": optimizer, "scaler": self.scaler.state_dict()}

    def load_state(self, state: dict[str, Any], path: object) -> None:
        """Go on from a ``state``; SettingError that names ``path`` unless it fits."""
        if self.optimizer is not None:
            # A scaler skips steps whose gradients overflow: at the beginning that may be all.
            stepped = not self.scaler.is_enabled()
            load_optimizer(self.optimizer, state["optimizer"], path, stepped)
        self.scaler.load_state_dict(state["scaler"])
