"""Train a logging policy for the data at hand, once, unless a finished run is the same."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch

from recbole_lpi import settings
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.plugin import configuration
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.logging_policy.identities import identity
from recbole_lpi.plugin.logging_policy.searching import finished_run
from recbole_lpi.plugin.models import MODELS, LoggingPolicy
from recbole_lpi.plugin.recbole_table import unread
from recbole_lpi.plugin.run_description import describe_run, plain_config
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.policy.checkpoint import policy_values
from recbole_lpi.policy.settings import NetworkSettings, SoftmaxSettings
from recbole_lpi.roles import OF_DATA, Role
from recbole_lpi.training import distributed
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.learner import PolicyLearner
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.run_log import labelled
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.surroundings import Surroundings
from recbole_lpi.training.training import Training


class Places(NamedTuple):
    """Where logging policies are looked for.

    Attributes:
        own: holds those that ``auto`` trained, each in a folder named by its identity.
        beside: holds the run that is started, and others of the user's; None: there are none.
    """

    own: Path
    beside: Path | None

    @classmethod
    def of(cls, config: Any, beside: Path | None) -> Places:
        """The places of a run with these settings, in the folder ``beside``."""
        return cls(Path(config["logging_policy_dir"] or "runs/logging_policy"), beside)


@contextmanager
def own_random_numbers(config: Any) -> Iterator[None]:
    """Leave the run's random numbers as they are, whatever is trained inside."""
    own_gpu = [config["device"]] if torch.device(config["device"]).type == "cuda" else []
    with torch.random.fork_rng(own_gpu):
        yield


def own_config(config: Any, train: PolicyDataset, seeds_on: int = 0) -> Any:
    """Make the Config of a LoggingPolicy with its own defaults, for the data at hand.

    A policy is compared with one of its own encoder and softmax, any other model with the default
    one.

    Args:
        seeds_on: added to the default seed; whatever the seed of the run, it is the same.
    """
    given, s = plain_config(config), train.settings
    taken = _shared()
    if config["model"] in MODELS:
        taken |= {field.name for field in (*fields(NetworkSettings), *fields(SoftmaxSettings))}
        taken -= {"fit_temperature"}  # of a policy it is another question
        if not settings.read(SoftmaxSettings, config).sparse:
            taken -= {"learner"}
    data = {key: given[key] for key in taken if key in given}
    data |= {
        "split_seed": s.seed if s.split_seed is None else s.split_seed,
        "logging_policy": "none",
        "gpu_id": config["gpu_id"],
    }
    made = configuration.make("LoggingPolicy", config["dataset"], data)
    if not seeds_on:
        return made
    data["seed"] = int(made["seed"]) + seeds_on
    return configuration.make("LoggingPolicy", config["dataset"], data)


def found_or_trained(
    own: Any,
    train: PolicyDataset,
    valid: PolicyDataset | None,
    places: Places,
    name: str,
    show_progress: bool,
) -> Path:
    """The folder of the logging policy with the settings ``own``, which is trained if need be.

    A finished run of the user's is preferred to one that ``auto`` trained. Processes that start
    together search alike, and one of them trains what is not there.

    Args:
        name: what log and bars call it.
    """
    wanted, ranks = identity(own, train, valid), distributed.ranks()
    found = ranks.from_first(lambda: finished_run(wanted, places.beside, train, valid))
    if found is not None:
        logging.getLogger().info(f"{name}: {found}, a finished run that is what auto would train")
        return found
    folder = RunFolder(places.own / wanted)
    waiting = f"{name}: waiting for the run that makes {folder.path}"
    if not ranks.from_first(lambda: folder.at_rest):
        with folder.exclusive(waiting) if ranks.first else nullcontext():
            if not ranks.from_first(lambda: _recovered(folder).finished):
                _train(folder, own, train, valid, name, show_progress)
                return folder.path
    logging.getLogger().info(f"{name}: {folder.path}, trained for an earlier run")
    return folder.path


def _recovered(folder: RunFolder) -> RunFolder:
    """Repair a folder whose run was killed, and return it."""
    folder.recover()
    return folder


def _train(
    folder: RunFolder,
    own: Any,
    train: PolicyDataset,
    valid: PolicyDataset | None,
    name: str,
    show_progress: bool,
) -> None:
    """Train a logging policy into ``folder``, from where an earlier run broke off."""
    from recbole.utils import init_seed  # RecBole takes seconds to import

    logger = logging.getLogger()
    logger.info(f"{name}: training one for this data into {folder.path}")
    init_seed(own["seed"], own["reproducibility"])
    network = LoggingPolicy(own, train).to(own["device"]).network
    begun = distributed.ranks().from_first(lambda: folder.begun)
    training = Training(
        PolicyLearner(network),
        TrainingSettings.of(own),
        describe_run(own, policy_values(network), partial(identity, own)),
        Surroundings(
            torch.device(own["device"]),
            settings.read(AccelerationSettings, own),
            lambda held: folder,
            begun,
        ),
    )
    with labelled(f"{name}: "):
        training.fit(train, valid, show_progress=show_progress)
        training.finish()
    logger.info(f"{name}: trained, {folder.path}")


def _shared() -> set[str]:
    """List the settings that the logging policy takes over: of the data and the machine."""
    of_machine = names(Role.PLACE, Role.MACHINE, Role.HOUSEKEEPING)
    taken = {*names(*OF_DATA), *names(Role.CACHE, of=DataSettings), *of_machine}
    return taken - unread(by_recboles=False)
