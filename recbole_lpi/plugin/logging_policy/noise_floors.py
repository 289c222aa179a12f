"""The noise floor of divergences: how far two seeds of the logging policy are apart.

A divergence from μ̂ holds the distance from what made the log, and what another seed would have made
of μ̂. The second logging policy is trained as the first, from the next seed. What the two differ by
on a part is kept in the folder of the first in ``logging_policy_dir``, and read by later runs.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from recbole_lpi import settings
from recbole_lpi.data.identity import part_hash
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.files import write_json
from recbole_lpi.locks import exclusive_beside
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.logging_policy.identities import identity
from recbole_lpi.plugin.logging_policy.loading import load
from recbole_lpi.plugin.logging_policy.making import (
    Places,
    found_or_trained,
    own_config,
    own_random_numbers,
)
from recbole_lpi.policy.checkpoint import weights_hash
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.settings import SettingError, coerce
from recbole_lpi.training import distributed
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.learner import PolicyLearner
from recbole_lpi.training.measuring import Measure
from recbole_lpi.training.run_log import labelled
from recbole_lpi.training.settings import TrainingSettings

FILE = "noise_floor.json"
DIVERGENCES = ("js_divergence", "kl_divergence")
NAME = "second logging policy"

Floor = dict[str, Estimate]


def noise_floor(
    config: Any,
    beside: Path | None,
    first: PolicyNetwork,
    train: PolicyDataset,
    valid: PolicyDataset | None,
    held: PolicyDataset,
) -> Floor | None:
    """Divergences of the second logging policy from the ``first`` on a part, by metric.

    Standard errors take the events of a session for one draw. None where ``logging_policy`` is not
    ``auto``, or ``logging_policy_seeds`` is 1. Every process of a run calls it.

    Args:
        beside: as ``resolve`` takes it.
        first: the logging policy that the run was compared with.
        held: the part, of the same data as ``train`` and ``valid``.
    """
    given = TrainingSettings.of(config)
    if given.logging_policy != "auto" or given.logging_policy_seeds == 1:
        return None
    with own_random_numbers(config):
        own, places = own_config(config, train, seeds_on=1), Places.of(config, beside)
        file = places.own / identity(own_config(config, train), train, valid) / FILE
        of_what = {
            "first": weights_hash(first.state_dict()),
            "second": identity(own, train, valid),
            "events": part_hash(held),
            "divergence_candidates": given.divergence_candidates,
        }
        ranks = distributed.ranks()
        found = ranks.from_first(lambda: _read(file, of_what))
        if found is None:
            show = bool(config["show_progress"])
            path = found_or_trained(own, train, valid, places, NAME, show)
            second = load(path, train, valid)
            with exclusive_beside(file, "noise floor") if ranks.first else nullcontext():
                found = ranks.from_first(lambda: _read(file, of_what))
                if found is None:
                    found = _measured(config, first, second, held)
                    if ranks.first:
                        write_json(file, of_what | {n: asdict(e) for n, e in found.items()})
    logging.getLogger().info(
        f"noise floor: two seeds of the logging policy differ by JS "
        f"{found[DIVERGENCES[0]].mean:.4f} ± {found[DIVERGENCES[0]].stderr:.4f} ({file})"
    )
    return found


def _measured(
    config: Any, first: PolicyNetwork, second: PolicyNetwork, held: PolicyDataset
) -> Floor:
    """Divergences of ``second`` from ``first``, as those of any policy are measured."""
    device, given = torch.device(config["device"]), TrainingSettings.of(config)
    learner = PolicyLearner(second.to(device))
    learner.compare_with(first)
    measure = Measure(
        learner,
        replace(given, metrics=DIVERGENCES),
        settings.read(AccelerationSettings, config),
        device,
        distributed.ranks(),
        show_progress=bool(config["show_progress"]) and distributed.ranks().first,
    )
    with labelled("noise floor: "):
        _, found = measure(held)
    return {name: found[name] for name in DIVERGENCES}


def _read(file: Path, of_what: Mapping[str, Any]) -> Floor | None:
    """The noise floor that a file keeps; None unless it is of these policies and events."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        if {name: kept[name] for name in of_what} != of_what:
            return None
        return {name: _estimate(kept[name]) for name in DIVERGENCES}
    except (OSError, ValueError, LookupError, TypeError, RecursionError, SettingError):
        return None


def _estimate(kept: Any) -> Estimate:
    """An estimate from JSON, which has no word for NaN."""
    values = coerce("noise floor", kept, dict[str, float | None])
    numbers = {name: float("nan") if value is None else value for name, value in values.items()}
    return Estimate(numbers["mean"], numbers["stderr"], int(numbers["count"]))
