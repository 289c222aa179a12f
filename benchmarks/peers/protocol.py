"""What every peer of ``benchmarks/time_to_quality.py`` shares: data, clock, ranking, files.

Each adapter runs in a process of its own, perhaps in another environment, so this module needs
numpy, polars and torch alone. A run is a folder:

    settings.json    written before: ``Settings``
    epochs.jsonl     a line per epoch: epoch, training seconds cpu and wall, ndcg@10, se
    test.parquet     session and rank of the test events, by the best epoch on validation
    finished.json    written last: versions, seconds before the first step, why it ended
"""

from __future__ import annotations

import copy
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
import torch._dynamo  # the first optimiser would, inside the first epoch; Lightning does before
from torch import Tensor

PARTS = ("train", "valid", "test")
TOPK = 10
ROWS = 256  # histories scored at a time
Score = Callable[[Tensor, Tensor], Tensor]  # histories [n, L], lengths [n] -> [n, A] of items 1 … A


@dataclass(frozen=True)
class Settings:
    """Of a run. ``batch`` counts what the peer batches: sessions, or RecBole's prefixes.

    ``budget`` is training seconds, of the processor (``clock`` cpu) or on the wall, and
    ``patience`` epochs without a better validation nDCG@10; whichever comes first ends training.
    """

    data: str
    model: str
    batch: int
    learning_rate: float
    layers: int = 2
    heads: int = 2
    hidden: int = 64
    inner: int = 64
    dropout: float = 0.2
    length: int = 50
    threads: int = 1
    seed: int = 2020
    clock: str = "cpu"
    budget: float = 600
    patience: int = 10
    valid_events: int = 2000
    test_events: int = 10_000
    more: str = "{}"  # further settings of the peer's own, JSON

    @classmethod
    def read(cls, run: Path) -> Settings:
        """Of the run in this folder."""
        return cls(**json.loads((run / "settings.json").read_text()))


@dataclass(frozen=True)
class Log:
    """All events, sorted by part, session and time.

    Attributes:
        frame: part (0 train, 1 valid, 2 test), session, item (1 … A), event, reward.
        items: A; every item occurs in training.
    """

    frame: pl.DataFrame
    items: int

    @classmethod
    def read(cls, path: str) -> Log:
        """From the file that ``time_to_quality.py`` writes."""
        frame = pl.read_parquet(path)
        return cls(frame, int(frame["item"].max()))  # type: ignore[arg-type]

    @property
    def train(self) -> pl.DataFrame:
        """Training events."""
        return self.frame.filter(pl.col("part") == 0)


@dataclass(frozen=True)
class Held:
    """Held-out events, each with the most recent items before it.

    Attributes:
        history: int64 [N, L], padded on the right with 0; length [N].
        target: int64 [N], 1 … A.
        session: int64 [N].
    """

    history: Tensor
    length: Tensor
    target: Tensor
    session: np.ndarray

    @classmethod
    def of(cls, log: Log, part: str, length: int, most: int, seed: int = 0) -> Held:
        """All events of the part but the first of each session, or a fixed sample of ``most``."""
        frame = log.frame.filter(pl.col("part") == PARTS.index(part))
        item, session = frame["item"].to_numpy(), frame["session"].to_numpy()
        begins = np.flatnonzero(np.diff(session, prepend=-1))
        head = np.repeat(begins, np.diff(begins, append=len(session)))
        place = np.flatnonzero(np.arange(len(session)) > head)
        if len(place) > most:
            place = np.sort(np.random.default_rng(seed).choice(place, most, replace=False))
        begin = np.maximum(head[place], place - length)
        index = begin[:, None] + np.arange(length)
        history = np.where(index < place[:, None], item[np.minimum(index, len(item) - 1)], 0)
        return cls(
            torch.from_numpy(history.astype(np.int64)),
            torch.from_numpy(place - begin),
            torch.from_numpy(item[place].astype(np.int64)),
            session[place],
        )


def left_padded(history: Tensor, length: Tensor) -> Tensor:
    """The same histories [n, L], padded on the left."""
    position = torch.arange(history.shape[1]) - (history.shape[1] - length[:, None])
    return history.gather(1, position.clamp(min=0)).where(position >= 0, 0)


@torch.no_grad()
def ranks(score: Score, held: Held) -> np.ndarray:
    """Of each target among all items, float64 [N], from 1; ties get the mean of best and worst."""
    found = []
    for begin in range(0, len(held.target), ROWS):
        rows = slice(begin, begin + ROWS)
        scores = score(held.history[rows], held.length[rows])
        if torch.isnan(scores).any():
            raise FloatingPointError("a score is NaN: lower the learning rate")
        logged = scores.gather(1, held.target[rows, None] - 1)
        greater, equal = (scores > logged).sum(1), (scores == logged).sum(1)
        found.append((1 + greater + (equal - 1) / 2).double())
    return torch.cat(found).numpy()


def ndcg(rank: np.ndarray) -> np.ndarray:
    """nDCG@10 of one relevant item at each rank."""
    return np.where(rank <= TOPK, 1 / np.log2(rank + 1), 0.0)


def mean_and_error(value: np.ndarray, session: np.ndarray) -> tuple[float, float]:
    """Mean over events, and its standard error; the events of a session are one draw."""
    _, cluster = np.unique(session, return_inverse=True)
    number = cluster.max() + 1
    sums = np.bincount(cluster, value - value.mean())
    error = np.sqrt(number / max(number - 1, 1) * np.square(sums).sum()) / len(value)
    return float(value.mean()), float(error)


class Recorder:
    """Ranks after every epoch, with the training clock stopped, and says when to end."""

    def __init__(self, run: Path) -> None:
        self.run, self.settings = run, Settings.read(run)
        self.log = Log.read(self.settings.data)
        torch.set_num_threads(self.settings.threads)
        self._created = _clocks()
        length = self.settings.length
        self._valid = Held.of(self.log, "valid", length, self.settings.valid_events)
        self._test = Held.of(self.log, "test", length, self.settings.test_events)
        self._begun: np.ndarray | None = None
        self._setup = self._away = np.zeros(2)  # cpu, wall
        self.epochs: list[dict[str, float]] = []
        self._best: dict[str, Any] = {}
        self._ended = ""
        (run / "epochs.jsonl").unlink(missing_ok=True)

    def begin(self) -> None:
        """The first step is about to be taken."""
        self._begun = _clocks()
        self._setup = self._begun - self._created

    def epoch(self, model: torch.nn.Module, score: Score) -> bool:
        """To be called after each epoch; True when training is to end.

        ``score`` reads ``model``, which is put into evaluation mode and back.
        """
        assert self._begun is not None
        reached = _clocks()
        cpu, wall = map(float, reached - self._begun - self._away)
        model.eval()
        mean, error = mean_and_error(ndcg(ranks(score, self._valid)), self._valid.session)
        model.train()
        line = {"epoch": len(self.epochs) + 1, "cpu": cpu, "wall": wall, "ndcg@10": mean,
                "se": error}  # fmt: skip
        best = max((one["ndcg@10"] for one in self.epochs), default=-1.0)
        self.epochs.append(line)
        with (self.run / "epochs.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(self.settings.model, line, file=sys.stderr, flush=True)
        if mean > best:
            self._best = copy.deepcopy(model.state_dict())
        self._ended = self._reason(cpu if self.settings.clock == "cpu" else wall)
        self._away = self._away + _clocks() - reached
        return bool(self._ended)

    def _reason(self, seconds: float) -> str:
        scores = [one["ndcg@10"] for one in self.epochs]
        if seconds >= self.settings.budget:
            return "budget"
        if len(scores) - 1 - int(np.argmax(scores)) >= self.settings.patience:
            return "no better epoch"
        return ""

    def finish(self, model: torch.nn.Module, score: Score, *packages: str) -> None:
        """Rank the test events by the best epoch, and write what marks the run as finished."""
        model.load_state_dict(self._best)
        model.eval()
        frame = pl.DataFrame({"session": self._test.session, "rank": ranks(score, self._test)})
        frame.write_parquet(self.run / "test.parquet")
        found = {
            "ended": self._ended,
            "setup_cpu": float(self._setup[0]),
            "setup_wall": float(self._setup[1]),
            "versions": {name: version(name) for name in ("torch", *packages)},
            "parameters": sum(p.numel() for p in model.parameters()),
            "settings": asdict(self.settings),
        }
        beside = self.run / "finished.part"
        beside.write_text(json.dumps(found, indent=1))
        os.replace(beside, self.run / "finished.json")


def _clocks() -> np.ndarray:
    return np.array([time.process_time(), time.perf_counter()])


def lightning_callback(base: type, recorder: Recorder, model: Any, score: Score) -> Any:
    """A callback of either name of Lightning (``base`` is its Callback) that records epochs.

    ``model`` gives the torch module when called: RecTools makes it in ``fit``.
    """

    class Record(base):  # type: ignore[misc]
        def __deepcopy__(self, memo: Any) -> Any:  # RecTools copies its trainer
            return self

        def on_train_start(self, trainer: Any, module: Any) -> None:
            recorder.begin()

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            trainer.should_stop = recorder.epoch(model(), score)

    return Record()
