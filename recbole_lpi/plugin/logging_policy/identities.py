"""By what a logging policy is found again: a hash of everything that makes it what it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Any

from recbole_lpi import settings
from recbole_lpi.data.identity import data_hash, part_hash, times_hash
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.policy.encoders import code_hash
from recbole_lpi.policy.settings import NetworkSettings, SoftmaxSettings
from recbole_lpi.roles import Role
from recbole_lpi.training.settings import TrainingSettings

# Of TrainingSettings: what is measured, with what, and how; it makes no other policy.
OF_MEASURING = frozenset(names(Role.MEASURING, Role.MADE, Role.CACHE, Role.MACHINE))


def identity(config: Any, train: PolicyDataset, valid: PolicyDataset | None) -> str:
    """Hash everything that makes a logging policy what it is.

    These are the events and which of them train and validate; inputs, encoder and softmax; how it
    is trained, from which seed, and by what its epoch is picked.
    """
    network = asdict(settings.read(NetworkSettings, config))
    network["code"] = code_hash(network["encoder"])
    s, how = train.settings, asdict(TrainingSettings.of(config))
    content = {
        "network": network,
        "softmax": asdict(settings.read(SoftmaxSettings, config)),
        "training": {name: value for name, value in how.items() if name not in OF_MEASURING},
        "inputs": [s.max_length, s.loss_on_last, s.evaluate_first_event, s.windows_trained_on],
        "data": [
            data_hash(train),
            list(train.sessions.event_names),
            None if valid is None else part_hash(valid),
            times_hash(train) if "time_gap" in network["inputs"] else None,
        ],
    }
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
