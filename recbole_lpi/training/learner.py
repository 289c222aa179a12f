"""What training asks of the kind of model that it trains: its batches, losses and scores."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import nn

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.evaluation.event_ranking import Ranker, by_windows
from recbole_lpi.objectives import Objective
from recbole_lpi.policy.loss_parts import LossParts
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.settings import SettingError
from recbole_lpi.training.acceleration import AccelerationSettings, compile_encoder
from recbole_lpi.training.distributed import Ranks
from recbole_lpi.training.epochs import Epochs, SessionEpochs
from recbole_lpi.training.settings import TrainingSettings


class Learner(Protocol):
    """A model with all that training and evaluation need to know of it."""

    cure: str  # what to do where its loss is not finite

    @property
    def module(self) -> nn.Module:
        """What is trained, and whose weights are kept."""

    @property
    def objective(self) -> Objective | None:
        """Its row of OBJECTIVES; None where it has none."""

    @property
    def logging_policy(self) -> PolicyNetwork | None:
        """The policy that it is compared with; None: none."""

    @property
    def warming_up(self) -> bool:
        """Whether it is not yet what it is to be."""

    def compare_with(self, logging_policy: PolicyNetwork | None) -> None:
        """Take ``logging_policy`` as the policy to compare with."""

    def epochs(
        self, train: SessionData, settings: TrainingSettings, device: torch.device, ranks: Ranks
    ) -> Epochs:
        """Return what gives the batches of each epoch."""

    def begin_epoch(self, epoch: int) -> None:
        """Say that the losses asked for from here on are of ``epoch``."""

    def losses(self, batch: Any) -> LossParts:
        """Take the losses of a batch of ``epochs``."""

    def ranker(self, held: SessionData, device: torch.device) -> Ranker:
        """Return what gives the scores of held-out events."""

    def share_draws(self, draws: torch.Generator | None) -> None:
        """Draw what several processes must draw alike from ``draws``."""

    def compile(self, acceleration: AccelerationSettings, device: torch.device) -> None:
        """Compile what can be compiled; SettingError if nothing can."""


class PolicyLearner:
    """A policy of ours, as training sees it."""

    cure = "lower learning_rate, raise beta, or set weight_clip or clip_grad_norm"

    def __init__(self, network: PolicyNetwork) -> None:
        self.network = network

    @property
    def module(self) -> PolicyNetwork:
        """The network of the policy."""
        return self.network

    @property
    def objective(self) -> Objective | None:
        """The policy's row of OBJECTIVES."""
        return self.network.objective

    @property
    def logging_policy(self) -> PolicyNetwork | None:
        """The policy that it is compared with; None: none."""
        return self.network.logging_policy

    @property
    def warming_up(self) -> bool:
        """Whether its weights are still uniform."""
        return self.network.warming_up

    def compare_with(self, logging_policy: PolicyNetwork | None) -> None:
        """Take ``logging_policy``; SettingError where the objective needs one and there is none."""
        try:
            self.network.compare_with(logging_policy)
        except ValueError as error:
            raise SettingError(str(error)) from None

    def epochs(
        self, train: SessionData, settings: TrainingSettings, device: torch.device, ranks: Ranks
    ) -> Epochs:
        """Return epochs over whole sessions; SettingError if they lack what the policy reads."""
        names, own = self.network.event_names, train.sessions.event_names
        if self.network.reads_events and names != tuple(own):
            raise SettingError(
                f"the policy reads the kinds of event {', '.join(names)}, and "
                f"{train.dataset_name} has {', '.join(own)}: give it event_names of this data"
            )
        if self.network.needs_propensities and train.sessions.propensities is None:
            raise SettingError(
                "propensity: logged needs the probability with which each item was shown, and "
                f"{train.dataset_name} has none: give its .inter file a column propensity:float, "
                "or name one (PROPENSITY_FIELD); or set propensity to head or checkpoint"
            )
        return SessionEpochs(
            train, settings.train_batch_size, settings.reward_sampling, device, ranks
        )

    def begin_epoch(self, epoch: int) -> None:
        """Say that the losses asked for from here on are of ``epoch``."""
        self.network.begin_epoch(epoch)

    def losses(self, batch: Any) -> LossParts:
        """Take the losses of a batch of ``epochs``."""
        return self.network.losses(*batch)

    def ranker(self, held: SessionData, device: torch.device) -> Ranker:
        """Return what reads whole windows, one pass of the encoder for all events of a batch."""
        return by_windows(self.network, device)

    def share_draws(self, draws: torch.Generator | None) -> None:
        """Draw Q heads and candidates from ``draws``."""
        self.network.draws = draws

    def compile(self, acceleration: AccelerationSettings, device: torch.device) -> None:
        """Compile the encoder."""
        length = min(3, self.network.settings.max_length)
        size = self.network.item_embedding.embedding_dim
        example = torch.zeros(2, length, size, device=device)
        self.network.train()
        with acceleration.training(), acceleration.autocast(device):
            compile_encoder(self.network.encoder, example)


def has_parameters(module: nn.Module) -> bool:
    """Tell whether there is anything to train."""
    return any(True for _ in module.parameters())
