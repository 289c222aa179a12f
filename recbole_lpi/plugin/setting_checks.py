"""Check the settings of a model together, before any work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from recbole_lpi import settings
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.objectives import OBJECTIVES, ObjectiveSettings
from recbole_lpi.plugin import recbole_settings
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.policy.encoders import make_encoder
from recbole_lpi.policy.settings import NetworkSettings, SoftmaxSettings
from recbole_lpi.settings import SettingError, Values
from recbole_lpi.training import distributed
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.settings import SPARSE, RunSettings, TrainingSettings
from recbole_lpi.training.trackers import check_installed


def check(model: str, values: Mapping[str, Any]) -> None:
    """Read every setting of a model once, so that a wrong one is refused before any work."""
    config = Values(values)
    recbole_settings.check(values, config)
    _check_processes(model, values)
    DataSettings.of(config)
    check_installed(TrainingSettings.of(config).trackers)
    acceleration = settings.read(AccelerationSettings, config)
    settings.read(RunSettings, config)
    if model not in OBJECTIVES and values.get("reward_sampling"):
        raise SettingError(f"reward_sampling is for policies; {model} learns from every event")
    if model not in OBJECTIVES and values.get("init_from"):
        raise SettingError(
            f"init_from is for policies; {model} begins from scratch: leave it empty"
        )
    if model not in OBJECTIVES and acceleration.compile:
        raise SettingError(f"compile: {model} has no encoder of this package; set compile: false")
    if model in OBJECTIVES:
        network = settings.read(NetworkSettings, config)
        with torch.random.fork_rng(devices=[]):  # tried here, made where the model is
            make_encoder(network, DataSettings.of(config).max_length)
        _check_softmax(config)
        _check_objective(model, config)
    elif model in BASELINES:
        for kind in BASELINES[model].setting_classes:
            settings.read(kind, config)
    elif str(values.get("learner")).lower() == SPARSE:
        raise SettingError(
            f"learner: sparse_adam is for policies with softmax: sampled; {model} of RecBole has "
            "dense gradients: set learner: adam"
        )
    elif values.get("evaluate_first_event"):
        raise SettingError(
            f"evaluate_first_event: {model} of RecBole cannot predict from an empty history; "
            f"policies, {', '.join(BASELINES)} can"
        )


def _check_softmax(config: Values) -> None:
    """Raise SettingError if the sampled softmax cannot correct how sessions are drawn."""
    given = settings.read(SoftmaxSettings, config)
    sampling = given.candidate_sampling
    if sampling and sampling.distribution == "in_batch" and config["reward_sampling"]:
        raise SettingError(
            "candidate_sampling: distribution cannot be in_batch with reward_sampling: how often "
            "an item comes up in a batch drawn by reward is not known; set popularity"
        )


def _check_processes(model: str, values: Mapping[str, Any]) -> None:
    """Raise SettingError if the run is to be one of several processes and cannot be."""
    for name in ("nproc", "world_size"):
        if int(values.get(name) or 1) > 1 and "local_rank" not in values:
            raise SettingError(
                f"{name} starts no processes: torchrun --nproc_per_node={values[name]} does, given "
                "the program and its settings; or recbole.quick_start.run, given nproc"
            )
    several = distributed.launched() or "local_rank" in values
    if several and model not in OBJECTIVES and model not in BASELINES:
        raise SettingError(
            f"{model} of RecBole trains in one process: its loss need not be a mean over rows that "
            f"several could share; policies, {', '.join(BASELINES)} run in several"
        )


def _check_objective(model: str, config: Values) -> None:
    """Raise SettingError for an objective that cannot be computed from these settings."""
    given, objective = settings.read(ObjectiveSettings, config), OBJECTIVES[model]
    try:
        objective.check(model, given)
    except ValueError as error:
        raise SettingError(str(error)) from None
    training = TrainingSettings.of(config)
    if training.logging_policy == "none" and objective.needs_logging_policy(given):
        asked = "propensity: checkpoint" if objective.learns == "propensity" else (
            "advantage_baseline: logging"
        )  # fmt: skip
        raise SettingError(f"{asked} needs a logging policy, and logging_policy is none")
    if given.warmup_epochs >= training.epochs:
        raise SettingError(
            f"warmup_epochs {given.warmup_epochs} leaves no epoch of {training.epochs} to "
            f"{model}'s own weight: lower it, or raise epochs"
        )
