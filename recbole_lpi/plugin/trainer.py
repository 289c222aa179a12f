"""Pass RecBole's calls of a trainer on to ``training``."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from recbole.trainer import AbstractTrainer

from recbole_lpi import settings
from recbole_lpi.plugin import imputation_model, logging_policy
from recbole_lpi.plugin.counting_models import CountingModel
from recbole_lpi.plugin.dataset import part_of
from recbole_lpi.plugin.policy_recommender import PolicyRecommender
from recbole_lpi.plugin.row_learner import RowLearner
from recbole_lpi.plugin.run_description import describe_run
from recbole_lpi.policy.checkpoint import policy_values
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.learner import Learner, PolicyLearner
from recbole_lpi.training.observers import Observer, Observers
from recbole_lpi.training.run_folder import RunFolder, claimed, run_path
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.surroundings import Surroundings
from recbole_lpi.training.tensorboard import TensorBoard
from recbole_lpi.training.trackers import trackers
from recbole_lpi.training.training import Training


class PolicyTrainer(AbstractTrainer):  # type: ignore[misc]
    """A trainer, as RecBole calls it, of a policy or a baseline by ``training.Training``.

    Args:
        config: RecBole's.
        model: a policy, or what has ``calculate_loss`` and ``full_sort_predict``.
        folder: the run folder, already claimed; None makes or claims one when training begins.
        resume: go on from the last epoch in ``folder``.
        observers: follow the run, beside TensorBoard and the trackers of the settings.
    """

    def __init__(
        self,
        config: Any,
        model: Any,
        folder: RunFolder | None = None,
        resume: bool = False,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.config, self.model = config, model  # RecBole's __init__ would wrap it for nccl as well
        learner: Learner = RowLearner(config, model)
        built_from = None  # what builds the model again without RecBole
        if isinstance(model, PolicyRecommender):
            learner, built_from = PolicyLearner(model.network), policy_values(model.network)
        elif isinstance(model, CountingModel):
            built_from = model.checkpoint_values()
        given, device = TrainingSettings.of(config), torch.device(config["device"])
        where = [config[name] for name in ("model", "dataset", "run_dir", "overwrite")]
        own = run_path(*where[:3]) if folder is None else folder.path
        # What ``auto`` looks for begins from scratch.
        mu = config["model"] == "LoggingPolicy" and given.init_from is None
        self.training = Training(
            learner,
            given,
            describe_run(
                config, built_from, partial(logging_policy.identity, config) if mu else None
            ),
            Surroundings(
                device,
                settings.read(AccelerationSettings, config),
                partial(claimed, *where) if folder is None else lambda held: folder,
                resume,
                partial(logging_policy.resolve, given.logging_policy, config, beside=own.parent),
                partial(logging_policy.noise_floor, config, own.parent),
                partial(imputation_model.resolve, given, device),
                Observers(TensorBoard(), *trackers(given.trackers), *observers),
            ),
        )

    def fit(
        self,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Callable[[int, float], None] | None = None,
    ) -> tuple[float, OrderedDict[str, float]]:
        """Train to the best epoch on validation; return its score and results, unrounded.

        Without ``valid_data`` every epoch is trained and the last is the best.
        """
        valid = None if valid_data is None else part_of(valid_data)
        found = self.training.fit(
            part_of(train_data), valid, verbose, saved, show_progress, callback_fn
        )
        if valid is None:
            return -1, OrderedDict()
        return found.best_score, OrderedDict(found.best_result)

    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> OrderedDict[str, float]:
        """Measure a part, unrounded; after the test part the run's folder is complete."""
        self.training.measure.show_progress = show_progress
        found = self.training.evaluate(part_of(eval_data), load_best_model, model_file)
        return OrderedDict((name, estimate.mean) for name, estimate in found.items())

    @property
    def saved_model_file(self) -> str:
        """The path of the checkpoint of the best epoch; empty before there is one."""
        recorder = self.training.recorder
        return "" if recorder is None or recorder.folder is None else str(recorder.folder.model)
