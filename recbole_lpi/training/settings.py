"""Settings of training and evaluation, named as RecBole names them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn

from recbole_lpi import settings
from recbole_lpi.data.reward_sampling import SamplingSettings
from recbole_lpi.evaluation.imputation import ImputationSettings
from recbole_lpi.evaluation.metrics import Kinds, Metric, names_at
from recbole_lpi.nn.sparse_gradients import LazyAdam
from recbole_lpi.roles import Role, setting
from recbole_lpi.settings import Config

LEARNERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
}
FUSED = ("adam", "adamw", "sgd")  # torch has them in one pass over memory, on every device
SPARSE = "sparse_adam"
IMPUTED = "imputed_reward"  # the column of the event table that an imputation fills


@dataclass(frozen=True)
class Clipping:
    """The arguments of torch's ``clip_grad_norm_``. ValueError names what is wrong.

    Attributes:
        max_norm: > 0, the largest norm of all gradients together.
        norm_type: p > 0 of the p-norm; infinity is the largest entry.
    """

    EXAMPLE: ClassVar[str] = "{max_norm: 5}"

    max_norm: float
    norm_type: float = 2.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"{name} must be > 0, got {value}")


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of training and evaluation. ValueError names the setting and what it may be.

    Attributes:
        train_batch_size: sessions per step, on average.
        reward_sampling: what an epoch learns from is drawn by reward; None: every session.
        eval_batch_size: windows per evaluation pass.
        learner, learning_rate, weight_decay: the optimiser, by RecBole's names; ``sparse_adam`` is
            lazy Adam on tables of items and Adam on the rest (``nn.sparse_gradients.LazyAdam``).
        clip_grad_norm: arguments of ``clip_grad_norm_``, such as {max_norm: 5}; None: no clipping.
        eval_step: epochs between validations; stopping_step: validations without a better score
            before training stops.
        metrics, topk, valid_metric: what is measured, at which cut-offs, and what picks the epoch.
        init_from: the checkpoint or run folder of a policy whose weights training begins with;
            None: it begins from scratch.
        logging_policy: ``auto``, ``none``, a checkpoint or a run folder.
        logging_policy_dir: where ``auto`` keeps the logging policies it trained.
        logging_policy_seeds: 2: with ``auto``, one of another seed is trained as well, and how far
            the two are apart is the noise floor of divergences; 1: it is not known.
        divergence_candidates: items an event on which its divergence from the logging policy is
            estimated, ≥ 2; None: exact, over the catalogue.
        collective_timeout: of several processes, seconds that one is waited for in a step.
        imputation: how rewards are imputed from ratings, for ``imputed_average_reward``.
        imputation_model: ``auto``, or the file or folder of one that was fitted.
        imputation_dir: where ``auto`` keeps those it fitted.
        trackers: what follows the run beside TensorBoard, ``mlflow`` and ``wandb``.
    """

    epochs: int = setting(Role.TRAINING, 20)
    train_batch_size: int = setting(Role.TRAINING, 256)
    reward_sampling: SamplingSettings | None = setting(Role.SAMPLING, None)
    eval_batch_size: int = setting(Role.MEASURING, 1024)
    learner: str = setting(Role.TRAINING, "adam")
    learning_rate: float = setting(Role.TRAINING, 0.001)
    weight_decay: float = setting(Role.TRAINING, 0.0)
    clip_grad_norm: Clipping | None = setting(Role.TRAINING, None)
    eval_step: int = setting(Role.TRAINING, 1)
    stopping_step: int = setting(Role.TRAINING, 10)
    metrics: tuple[str, ...] = setting(Role.MEASURING, ("hit", "ndcg"))
    topk: tuple[int, ...] = setting(Role.MEASURING, (5, 10, 20))
    valid_metric: str = setting(Role.SELECTION, "reward_weighted_ndcg@20")
    purchase_events: tuple[str, ...] = setting(Role.KINDS, ("purchase", "liked"))
    click_events: tuple[str, ...] = setting(Role.KINDS, ("click", "rated"))
    init_from: str | None = setting(Role.MADE, None)
    logging_policy: str = setting(Role.MADE, "auto")
    logging_policy_dir: str = setting(Role.CACHE, "runs/logging_policy")
    logging_policy_seeds: int = setting(Role.MEASURING, 2)
    divergence_candidates: int | None = setting(Role.MEASURING, None)
    imputation: ImputationSettings = setting(Role.MEASURING, factory=ImputationSettings)
    imputation_model: str = setting(Role.MADE, "auto")
    imputation_dir: str = setting(Role.CACHE, "runs/imputation")
    collective_timeout: float = setting(Role.MACHINE, 600.0)
    trackers: tuple[Literal["mlflow", "wandb"], ...] = setting(Role.MACHINE, ())
    seed: int = setting(Role.SEED, 2020)

    def __post_init__(self) -> None:
        for name in ("epochs", "train_batch_size", "eval_batch_size", "eval_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.logging_policy_seeds not in (1, 2):
            raise ValueError(
                f"logging_policy_seeds must be 2, or 1 for no noise floor, got "
                f"{self.logging_policy_seeds}"
            )
        number = self.divergence_candidates
        if number is not None and number < 2:
            raise ValueError(f"divergence_candidates must be >= 2, or null for all, got {number}")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be > 0, got {self.learning_rate}")
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay must be >= 0, got {self.weight_decay}")
        if self.stopping_step < 0:
            raise ValueError(f"stopping_step must be >= 0, got {self.stopping_step}")
        if not 0 < self.collective_timeout < float("inf"):
            raise ValueError(f"collective_timeout must be > 0, got {self.collective_timeout}")
        learners = (*LEARNERS, SPARSE)
        if self.learner.lower() not in learners:
            raise ValueError(f"learner must be one of {', '.join(learners)}, got {self.learner!r}")
        if self.learner.lower() == SPARSE and self.weight_decay:
            raise ValueError(
                f"weight_decay cannot be {self.weight_decay} with learner: sparse_adam: it would "
                "move every row at every step, and only those touched are; set 0, or learner: adam"
            )
        if not self.topk or min(self.topk) < 1:
            raise ValueError(f"topk must be whole numbers >= 1, got {list(self.topk)}")
        names_at(self.metrics, self.topk)
        if self.criterion.neutral:
            raise ValueError(
                f"valid_metric cannot be {self.valid_metric}: an epoch is picked by how well it "
                "predicts, and the logging policy is compared with the best one"
            )
        if IMPUTED in self.criterion.columns:
            raise ValueError(
                f"valid_metric cannot be {self.valid_metric}: an epoch is picked by what was "
                "logged; take average_reward@1"
            )

    @classmethod
    def of(cls, config: Config) -> TrainingSettings:
        """Read the settings from RecBole's config."""
        return settings.read(cls, config)

    @property
    def metric_names(self) -> list[str]:
        """Every metric at every cut-off, the validation metric among them."""
        names = names_at(self.metrics, self.topk)
        return list(dict.fromkeys([*names, str(self.criterion)]))

    @property
    def criterion(self) -> Metric:
        """The metric that picks the epoch, which ``valid_metric`` names."""
        return Metric.parse(self.valid_metric)

    @property
    def imputes(self) -> bool:
        """Whether one of the metrics is of imputed rewards."""
        return any(IMPUTED in Metric.parse(name).columns for name in self.metric_names)

    @property
    def kinds(self) -> Kinds:
        """The names of the events that are purchases and of those that are clicks."""
        return Kinds(self.purchase_events, self.click_events)

    @property
    def criterion_events(self) -> tuple[str, ...] | None:
        """The events that the validation metric is over; None for all."""
        return self.criterion.event_names(self.kinds)

    def optimiser(
        self, parameters: Iterable[nn.Parameter], tables: Iterable[nn.Parameter] = ()
    ) -> torch.optim.Optimizer:
        """Make the optimiser over ``parameters``, of which ``tables`` have sparse gradients."""
        name = self.learner.lower()
        if name == SPARSE:
            return LazyAdam(parameters, tables, self.learning_rate)
        learner: Any = LEARNERS[name]
        how = {"fused": True} if name in FUSED else {}
        optimiser: torch.optim.Optimizer = learner(
            parameters, lr=self.learning_rate, weight_decay=self.weight_decay, **how
        )
        return optimiser


@dataclass(frozen=True)
class RunSettings:
    """Settings of a run as a whole.

    Attributes:
        run_dir: its folder; None: a new one under ``runs/``.
        overwrite: replace the run that is there.
        resume: the folder of a run to go on with; taken before settings are read.
        download: fetch RecBole's published files where the data set is missing.
    """

    run_dir: str | None = setting(Role.FOLDER, None)
    overwrite: bool = setting(Role.FOLDER, False)
    resume: Any = setting(Role.FOLDER, None)
    download: bool = setting(Role.CALL, False)
