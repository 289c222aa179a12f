"""Which epoch is kept, and when training stops: decided by one metric of validation."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn


class Selector:
    """Keeps the weights of the epoch with the best score so far.

    Args:
        metric: the name of the metric that decides.
        stopping_step: how many validations without a better score training goes on after.
        smaller_is_better: whether a score is better than another that is larger.

    Attributes:
        best_epoch: the epoch kept, from 0; −1: none yet.
        best_score, best_result: the score of that epoch, and all of its metrics.
        best_state: its weights; None: none yet.
        waited: validations since then.
        stopped: whether training is to end.
    """

    def __init__(
        self, metric: str, stopping_step: int = 10, smaller_is_better: bool = False
    ) -> None:
        self.metric, self.stopping_step = metric, stopping_step
        self.smaller_is_better = smaller_is_better
        self.best_epoch, self.best_score = -1, np.inf if smaller_is_better else -np.inf
        self.best_result: dict[str, float] = {}
        self.best_state: dict[str, Tensor] | None = None
        self.waited, self.stopped = 0, False

    def see(self, epoch: int, found: dict[str, float], module: nn.Module) -> None:
        """Compare the metrics of an epoch with the best ones so far."""
        score, best = found[self.metric], self.best_score
        if score < best if self.smaller_is_better else score > best:
            self.best_score, self.waited = score, 0
            self.best_result = found
            self.keep(epoch, module)
        else:
            self.waited += 1
            self.stopped = self.waited > self.stopping_step

    def keep(self, epoch: int, module: nn.Module) -> None:
        """Take the weights that ``module`` has now for those of the best epoch."""
        self.best_epoch = epoch
        self.best_state = {k: v.detach().clone() for k, v in module.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Return what was decided, without the weights, as plain values."""
        return {
            "waited": self.waited,
            "stopped": self.stopped,
            "best_epoch": self.best_epoch,
            "best_valid_score": float(self.best_score),
            "best_valid_result": dict(self.best_result),
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``."""
        self.waited, self.stopped = state["waited"], state["stopped"]
        self.best_epoch, self.best_score = state["best_epoch"], state["best_valid_score"]
        self.best_result = dict(state["best_valid_result"])
