"""What is kept of a run while it trains: its folder, its log, and how to resume it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch

from recbole_lpi.data.identity import catalogue_hash
from recbole_lpi.data.session_data import SessionData
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.files import write_tensors
from recbole_lpi.policy.checkpoint import (
    FORMAT,
    SCHEMA,
    read_checkpoint,
    vocabulary_tensors,
    weights_hash,
)
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import load_weights, refusing
from recbole_lpi.training.distributed import Ranks
from recbole_lpi.training.loop import TrainingLoop
from recbole_lpi.training.observers import Observer, named
from recbole_lpi.training.random_states import random_states, set_random_states
from recbole_lpi.training.resume_file import check_best, read_resume_file
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.run_log import log_to
from recbole_lpi.training.verdicts import plain

Identify = Callable[[Any, Any], str]  # training part, and validation part or None, to an identity


@dataclass(frozen=True)
class RunDescription:
    """What the files of a run say of it.

    Attributes:
        model, dataset, seed: of the run.
        config: every setting, as plain values, for config.yaml.
        kept: those of them that a checkpoint keeps.
        policy: what builds the policy again (``policy.checkpoint.policy_values``); None of a model
            of RecBole's.
        identify: gives, for the parts it is trained and validated on, what the model is found by
            again; None of models that nothing looks for.
    """

    model: str
    dataset: str
    seed: int = 0
    config: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] | None = None
    identify: Identify | None = None


@dataclass
class Recorder:
    """Keeps the epochs of one run in its folder, and goes on with them.

    Of several processes each has one, and the first alone writes.

    Attributes:
        about: what the files say of the run.
        folder: where it is kept; None: nothing is.
        ranks, device: the processes of the run, and where the module is.
        train: the training part.
        data: the hash of the training data; validation: of the validation part, or None.
        identity: what the model is found by again; None: nothing looks for it.
        observer: told of what is kept, once it is.
        draws: what several processes draw from alike, once ``restore`` has set it.
    """

    about: RunDescription
    folder: RunFolder | None
    ranks: Ranks
    device: torch.device
    train: SessionData
    data: str
    validation: str | None = None
    identity: str | None = None
    observer: Observer = field(default_factory=Observer)
    draws: torch.Generator | None = None

    @property
    def writes(self) -> bool:
        """Whether this process keeps anything of the run."""
        return self.folder is not None and self.ranks.first

    @cached_property
    def _catalogue(self) -> dict[str, Any]:
        """What a checkpoint keeps of the items: taken once, for it reads every name."""
        tokens = self.train.item_tokens
        return {"items": vocabulary_tensors(tokens), "catalogue": catalogue_hash(tokens)}

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Write the settings of a new run, and what is logged in the block to its log."""
        if self.folder is None or not self.writes:
            yield
            return
        if not self.folder.begun:
            self.folder.write_config(self.about.config)
        with log_to(self.folder.log):
            yield

    def record(self, loop: TrainingLoop, losses: dict[str, float], found: dict[str, float]) -> None:
        """Keep the epoch that has just ended.

        The resume file is first, then the best model: what a kill between the two loses is in it.
        """
        if self.folder is None:
            return
        random = random_states(self.ranks, self.device, self.draws)
        if not self.writes:
            return
        epoch = loop.next_epoch - 1
        write_tensors(
            self.folder.resume,
            {
                "data": self.data,
                "next_epoch": loop.next_epoch,
                **loop.selector.state(),
                "state_dict": loop.module.state_dict(),
                **loop.step.state(),
                **random,
            },
        )
        if loop.selector.best_epoch == epoch:
            self.write_best(loop)
        self.folder.settle()
        self.observer.epoch(epoch, named(train=losses, valid=found))

    def write_best(self, loop: TrainingLoop) -> None:
        """Write the weights of the best epoch to model.pth, with what builds the policy again.

        Of a model that trains nothing, and has no epoch, they are what it has counted. Nothing is
        written where nothing is kept, nor by another process than the first.
        """
        if self.folder is None or not self.writes:
            return
        write_tensors(
            self.folder.model,
            {
                "format": FORMAT,
                "schema": SCHEMA,
                "model": self.about.model,
                "config": dict(self.about.kept),
                "policy": self.about.policy,
                **self._catalogue,
                "data": self.data,
                "validation": self.validation,
                "identity": self.identity,
                "n_items": int(self.train.item_num),
                "epoch": loop.selector.best_epoch,
                "valid_score": float(loop.selector.best_score),
                "state_dict": loop.selector.best_state or loop.module.state_dict(),
            },
        )

    def restore(self, loop: TrainingLoop, resume: bool) -> None:
        """Go on where the resume file ends, observed; from the beginning if there is none yet.

        Raises:
            SettingError: what the folder holds is not of this run, or is damaged.
        """
        state = self.ranks.from_first(lambda: self._resume_state(loop.number) if resume else None)
        if state is not None and self.folder is not None:
            with refusing(self.folder.resume):
                self._go_on(loop, state)
                self._begin(loop, state)
        else:
            self._begin(loop, None)
        if self.folder is not None and self.writes:
            self.observer.begin(self.folder, self.about.config)

    def write_events(self, table: EventTable, held: SessionData) -> None:
        """Write the event table of a part to events.parquet."""
        if self.folder is not None and self.writes:
            table.write(self.folder.events, held.session_tokens, held.item_tokens)

    def finish(
        self,
        loop: TrainingLoop | None,
        results: Mapping[str, Mapping[str, Estimate]],
        more: Mapping[str, Any],
    ) -> None:
        """Write metrics.json, with ``more`` in it: from here on the run counts as finished."""
        if self.folder is None or not self.writes:
            return
        self.folder.settle()
        about, selector = self.about, None if loop is None else loop.selector
        self.folder.write_metrics(
            {
                "model": about.model, "dataset": about.dataset, "data": self.data,
                "seed": about.seed, **more, **self._identified(loop),
                "best_epoch": -1 if selector is None else selector.best_epoch,
                "epochs": 0 if loop is None else loop.next_epoch,
                **{part: plain(dict(found)) for part, found in results.items()},
            }
        )  # fmt: skip
        test = {name: estimate.mean for name, estimate in results.get("test", {}).items()}
        self.observer.finish(max(loop.selector.best_epoch, 0) if loop else 0, named(test=test))

    def _identified(self, loop: TrainingLoop | None) -> dict[str, str]:
        """What tells that model.pth is still the model of this identity; {} where there is none."""
        if self.identity is None or loop is None or loop.selector.best_state is None:
            return {}
        return {"identity": self.identity, "weights": weights_hash(loop.selector.best_state)}

    def _begin(self, loop: TrainingLoop, state: dict[str, Any] | None) -> None:
        """Let all processes begin with the same weights, and draw what they share alike."""
        # RecBole's launcher has each process begin with other weights.
        self.ranks.copy_first(loop.module.state_dict().values())
        seed = [self.about.seed, loop.next_epoch]
        self.draws = set_random_states(state, self.ranks, self.device, seed)

    def _resume_state(self, epochs: int) -> dict[str, Any] | None:
        if self.folder is None or not self.folder.resume.is_file():
            return None
        return read_resume_file(self.folder.resume, epochs)

    def _go_on(self, loop: TrainingLoop, state: dict[str, Any]) -> None:
        assert self.folder is not None
        path, selector = self.folder.resume, loop.selector
        if state.get("data") != self.data:
            raise SettingError(
                f"{self.folder.path} was trained on other data: {self.train.dataset_name} has "
                "changed since it broke off; start a new run"
            )
        loop.next_epoch = state["next_epoch"]
        selector.load_state(state)
        if 0 <= selector.best_epoch < loop.next_epoch - 1:
            kept = self.folder.model
            best = self.ranks.from_first(lambda: read_checkpoint(kept))
            check_best(best, kept, state, path)
            load_weights(loop.module, best["state_dict"], kept)
            selector.best_state = {k: v.to(self.device) for k, v in best["state_dict"].items()}
        load_weights(loop.module, state["state_dict"], path)
        loop.step.load_state(state, path)
        if selector.best_epoch == loop.next_epoch - 1:  # killed, perhaps, before it was written
            selector.keep(selector.best_epoch, loop.module)
            self.write_best(loop)
        logging.getLogger().info(f"resumed after epoch {loop.next_epoch - 1} of {self.folder.path}")
