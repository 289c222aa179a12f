"""What follows a run while it trains: curves for TensorBoard, trackers, a search that stops it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole_lpi.training.run_folder import RunFolder

Scalars = dict[str, float]


class Observer:
    """Follows one run; each method does nothing unless a subclass says otherwise.

    Of several processes of a run the first alone is followed, and a run that keeps nothing is not.
    """

    def begin(self, folder: RunFolder, config: Mapping[str, Any]) -> None:
        """Training begins, or goes on, in ``folder`` with these settings."""

    def epoch(self, number: int, scalars: Scalars) -> None:
        """An epoch, from 0, has ended, and its files are written.

        Args:
            scalars: its losses and, where it was validated, its metrics, by the names that every
                observer shows: ``train/policy loss``, ``valid/ndcg@20``.

        An exception ends the run, which can be resumed.
        """

    def finish(self, number: int, scalars: Scalars) -> None:
        """The run has come to its end; ``scalars`` are of the test part, ``test/ndcg@20``.

        Args:
            number: the epoch that was measured.
        """

    def close(self) -> None:
        """The run is no longer at work: it has finished, broken off or been interrupted."""


class Observers(Observer):
    """Several observers as one, told in their order."""

    def __init__(self, *observers: Observer) -> None:
        self.all, self.begun = observers, list[Observer]()

    def begin(self, folder: RunFolder, config: Mapping[str, Any]) -> None:
        """Tell each that training begins."""
        for observer in self.all:
            self.begun.append(observer)
            observer.begin(folder, config)

    def epoch(self, number: int, scalars: Scalars) -> None:
        """Tell each of an epoch."""
        for observer in self.all:
            observer.epoch(number, scalars)

    def finish(self, number: int, scalars: Scalars) -> None:
        """Tell each that the run has come to its end."""
        for observer in self.all:
            observer.finish(number, scalars)

    def close(self) -> None:
        """Tell each that was told of the run's beginning that it is no longer at work."""
        while self.begun:
            self.begun.pop().close()


def named(**parts: Mapping[str, float]) -> Scalars:
    """Name scalars by their part: ``named(valid={"nll": 4.5})`` is ``{"valid/nll": 4.5}``."""
    return {
        f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()
    }
