"""The loop over epochs: steps, then validation, then what is kept of the epoch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from recbole_lpi.training.epochs import Epochs
from recbole_lpi.training.memory import FreedMemory
from recbole_lpi.training.run_log import label, log_to_file
from recbole_lpi.training.selection import Selector
from recbole_lpi.training.step import TrainingStep

T = TypeVar("T")


class Recording(Protocol):
    """What keeps an epoch."""

    def record(self, loop: TrainingLoop, losses: dict[str, float], found: dict[str, float]) -> None:
        """Keep the epoch that the loop has just ended, with its losses and its metrics."""


class TrainingLoop:
    """Trains a module epoch by epoch; every part of it is handed in, and can be another.

    Args:
        module: what is trained.
        epochs: gives the batches of an epoch.
        step: takes the step of a batch.
        selector: decides which epoch is kept, and when training stops.
        validate: metrics of the module as it is, by name; None: the last epoch is the best.
        recorder: keeps each epoch; None: nothing does.
        number: how many epochs there are.
        eval_step: epochs between validations.
        seed: of the order of batches, which with the number of the epoch is all that decides it.
        begin_epoch: called with the number of each epoch before its first step.
        eligible: whether the module as it is can be the best; None: always.
        shown: metrics that the line of an epoch tells beside the one that decides.

    Attributes:
        next_epoch: how many epochs are done.
    """

    def __init__(
        self,
        module: nn.Module,
        epochs: Epochs,
        step: TrainingStep,
        selector: Selector,
        validate: Callable[[], dict[str, float]] | None = None,
        recorder: Recording | None = None,
        number: int = 1,
        eval_step: int = 1,
        seed: int = 0,
        begin_epoch: Callable[[int], None] | None = None,
        eligible: Callable[[], bool] | None = None,
        shown: Sequence[str] = (),
    ) -> None:
        self.module, self.epochs, self.step, self.selector = module, epochs, step, selector
        self.validate, self.recorder = validate, recorder
        self.number, self.eval_step, self.seed = number, eval_step, seed
        self.begin_epoch, self.eligible, self.shown = begin_epoch, eligible, shown
        self.next_epoch = 0
        self.logger = logging.getLogger()

    def run(
        self,
        verbose: bool = True,
        show_progress: bool = False,
        callback: Callable[[int, float], None] | None = None,
    ) -> None:
        """Train until all epochs are done or the selector stops it.

        Args:
            verbose: whether each epoch is told in the log.
            show_progress: whether a bar is shown, on a terminal.
            callback: called after each validation with the epoch and its score.

        Raises:
            FloatingPointError: the loss of a step is not finite.
        """
        while self.next_epoch < self.number and not self.selector.stopped:
            epoch = self.next_epoch
            losses = self.train_epoch(epoch, verbose, show_progress)
            self.next_epoch = epoch + 1
            found = self.select(epoch, verbose)
            if self.recorder is not None:
                self.recorder.record(self, losses, found)
            if callback and found:
                callback(epoch, found[self.selector.metric])

    def train_epoch(
        self, epoch: int, verbose: bool = True, show_progress: bool = False
    ) -> dict[str, float]:
        """Take all steps of an epoch; means over them, by name."""
        began = time.time()
        self.module.train()
        if self.begin_epoch is not None:
            self.begin_epoch(epoch)
        rng = np.random.default_rng([self.seed, epoch])  # so resuming needs no state of it
        indices = self.epochs.begin(epoch, rng)
        totals: dict[str, Tensor] = {}
        freed = FreedMemory()
        # One of RecBole's model files turns anomaly detection on for all of torch when imported.
        with (
            torch.autograd.set_detect_anomaly(False),
            self.step.acceleration.training(),
            progress_bar(indices, f"Train {epoch:>5}", show_progress) as bar,
        ):
            batches = self.epochs.batches(indices)
            for number, (_, batch) in enumerate(zip(bar, batches, strict=True)):
                for name, value in self.step(batch, epoch, number).items():
                    totals[name] = totals.get(name, torch.zeros_like(value)) + value
                freed.give_back()
                if show_progress and number % 20 == 0:
                    bar.set_postfix_str(_in_words(totals, number + 1))
        means = {name: float(total) / len(indices) for name, total in totals.items()}
        if verbose:
            numbers = ", ".join(f"{name}: {value:.4f}" for name, value in means.items())
            took = time.time() - began
            self.logger.info(f"epoch {epoch} training [time: {took:.2f}s, {numbers}]")
        return means

    def select(self, epoch: int, verbose: bool = True) -> dict[str, float]:
        """Validate the epoch and let the selector see it; its metrics, {} where it is not time."""
        if self.validate is None:
            self.selector.keep(epoch, self.module)
            return {}
        if self.next_epoch % self.eval_step and self.next_epoch < self.number:
            return {}
        began = time.time()
        found = self.validate()
        # In a warm-up it is not yet what it is to be: neither the best, nor one without progress.
        if self.eligible is None or self.eligible():
            self.selector.see(epoch, found, self.module)
        if verbose:
            self._tell(epoch, found, time.time() - began)
        return found

    def _tell(self, epoch: int, found: dict[str, float], took: float) -> None:
        """Log the decisive metric and those shown; all of them in the file of the run."""
        metric = self.selector.metric
        told = [f"time: {took:.2f}s", f"{metric}: {found[metric]:.6f}"]
        few = [name for name in self.shown if name in found and name != metric]
        told += [f"{name}: {found[name]:.4f}" for name in few]
        if self.selector.best_epoch >= 0:
            told.append(f"best epoch: {self.selector.best_epoch}")
        self.logger.info(f"epoch {epoch} evaluating [{', '.join(told)}]")
        every = ", ".join(f"{name}: {value:.4f}" for name, value in found.items())
        log_to_file(f"epoch {epoch} validation [{every}]")


def progress_bar(items: Iterable[T], name: str, shown: bool) -> tqdm[T]:
    """Return a progress bar over ``items``, which is seen on a terminal only."""
    text, off = label.get() + name, None if shown else True
    return tqdm(items, desc=text, ncols=100, leave=False, disable=off)


def _in_words(totals: dict[str, Tensor], steps: int) -> str:
    return ", ".join(f"{name} {float(total) / steps:.3f}" for name, total in totals.items())
