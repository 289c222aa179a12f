"""model.pth: a policy's weights with all that is needed to build it again, and to name its items.

A file holds tensors and plain values only. It is read with ``weights_only=True`` and never
unpickled. Schema 2 carries the vocabulary of the items and the settings of the network. Schema 1
carries neither vocabulary nor network; its policies are built from the settings of their run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from recbole_lpi.data.identity import catalogue_hash
from recbole_lpi.data.session_data import SessionData
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.policy.backbones import BACKBONES
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import EARLIER, PolicySettings
from recbole_lpi.settings import SettingError, Values, coerce
from recbole_lpi.stored_tensors import (
    check_kinds,
    check_tensor,
    load_plain,
    load_weights,
    refusing,
)

FORMAT, SCHEMA = "recbole_lpi", 2
FILE = "model.pth"  # in the folder of a run
KINDS: dict[str, type] = {
    "model": str, "config": dict, "catalogue": str, "data": str, "n_items": int, "epoch": int,
    "valid_score": float, "state_dict": dict,
}  # fmt: skip
OF_SCHEMA_2: dict[str, type] = {"items": dict}
OF_POLICY: dict[str, type] = {"settings": dict, "max_reward": float, "event_names": list}


class LoadedPolicy(NamedTuple):
    """A policy from its file.

    Attributes:
        network: the policy, frozen, in evaluation mode, on the CPU.
        items: the name of each item by its id, that of padding first; None of schema 1.
    """

    network: PolicyNetwork
    items: Tokens | None


def load_policy(path: str | os.PathLike[str]) -> LoadedPolicy:
    """Load a policy from its checkpoint, or from the folder of its run; RecBole is not needed.

    Raises:
        SettingError: there is none, it is not whole, it is a model of RecBole's, or its encoder is
            a module that nobody allowed to be imported (``policy.encoders.allow``).
    """
    state = read_checkpoint(path)
    return LoadedPolicy(build_policy(state, path), vocabulary(state, path))


def checkpoint_path(path: str | os.PathLike[str]) -> Path:
    """Return the checkpoint itself, given it or its run folder; SettingError if it is not there."""
    found = Path(path)
    if found.is_dir():
        found = found / FILE
    if not found.is_file():
        raise SettingError(f"no checkpoint at {found}")
    return found


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint of ours, on the CPU. SettingError for anything else."""
    found = checkpoint_path(path)
    state = load_plain(found)
    if state.get("format") != FORMAT:
        raise SettingError(f"{found} is not a recbole_lpi checkpoint")
    schema = state.get("schema", 1)
    if schema not in (1, SCHEMA):
        raise SettingError(
            f"{found} has schema {schema}, and this version of recbole_lpi reads up to {SCHEMA}: "
            "update recbole_lpi"
        )
    check_kinds(state, KINDS if schema == 1 else {**KINDS, **OF_SCHEMA_2}, found)
    return state


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Tell whether it is for ``read_checkpoint`` to read, or to refuse."""
    try:
        return bool(load_plain(checkpoint_path(path)).get("format") == FORMAT)
    except SettingError:
        return False


def check_catalogue(state: Mapping[str, Any], data: SessionData, path: object) -> None:
    """Raise SettingError if a checkpoint has another catalogue or other kinds of event than data.

    Both are read by number. Kinds matter to a policy that reads them (``inputs``).
    """
    if state["catalogue"] != catalogue_hash(data.item_tokens):
        raise SettingError(
            f"{path} is of another catalogue: it ranks {state['n_items'] - 1} items of "
            f"'{state['config'].get('dataset')}', the data set '{data.dataset_name}' has "
            f"{data.item_num - 1}; use a checkpoint trained on this data set and its filters"
        )
    with refusing(path):
        built = built_from(state, path) or {"settings": {}, "event_names": []}
        reads = built["settings"].get("network", {}).get("inputs", ())
        names, own = built["event_names"], list(data.sessions.event_names)
        if "event" in reads and names != own:
            raise SettingError(
                f"{path} reads the kinds of event {', '.join(names)}, and the data set "
                f"'{data.dataset_name}' has {', '.join(own)}, which are numbered otherwise; use a "
                "checkpoint trained on this data set"
            )


def built_from(state: Mapping[str, Any], path: object) -> dict[str, Any] | None:
    """Return what builds the network of a checkpoint; None of schema 1."""
    if state.get("policy") is None:
        return None
    built = {"event_names": [], **state["policy"]}
    check_kinds(built, OF_POLICY, path)
    return built


def policy_values(network: PolicyNetwork) -> dict[str, Any]:
    """Return what builds ``network`` again, as plain values for a checkpoint."""
    return {
        "settings": asdict(network.settings),
        "max_reward": network.max_reward,
        "event_names": list(network.event_names),
    }


def weights_hash(weights: Mapping[str, Tensor]) -> str:
    """Hash weights by name, of whatever device: two of one hash are the same to the bit."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def vocabulary_tensors(tokens: Tokens) -> dict[str, Tensor]:
    """Return tokens by id as two tensors: their text in UTF-8, and where each begins and ends."""
    text = tokens.text.cast(pa.large_string())
    first, last = text.offset, text.offset + len(text)
    _, places, content = text.buffers()
    offsets = np.frombuffer(places, np.int64)[first : last + 1]
    held = np.frombuffer(content or b"", np.uint8)[offsets[0] : offsets[-1]]
    return {
        "text": torch.from_numpy(held.copy()),
        "offsets": torch.from_numpy(offsets - offsets[0]),
    }


def vocabulary(state: Mapping[str, Any], path: object) -> Tokens | None:
    """Return the tokens of a checkpoint by id, None of schema 1; SettingError if broken."""
    if state.get("schema", 1) == 1:
        return None
    items, number = state["items"], state["n_items"]
    check_kinds(items, {"text": Tensor, "offsets": Tensor}, path)
    check_tensor(items["offsets"], "items: offsets", path, (number + 1,))
    check_tensor(items["text"], "items: text", path)
    with refusing(path):
        text, offsets = items["text"].numpy(), items["offsets"].numpy()
        if text.dtype != np.uint8 or offsets.dtype != np.int64:
            raise SettingError("the names of its items are not text")
        if offsets[0] or offsets[-1] != len(text) or (np.diff(offsets) < 0).any():
            raise SettingError("the names of its items do not lie one after another")
        array = pa.LargeStringArray.from_buffers(
            number, pa.py_buffer(offsets.copy()), pa.py_buffer(text.copy())
        )
        array.validate(full=True)
        tokens = Tokens(array)
        if catalogue_hash(tokens) != state["catalogue"]:
            raise SettingError("the names of its items are not those it was trained with")
    return tokens


def build_policy(state: Mapping[str, Any], path: object) -> PolicyNetwork:
    """Build the policy of a checkpoint that was read, frozen; SettingError if it is none."""
    name = state["model"]
    if name not in OBJECTIVES:
        raise SettingError(f"{path} holds a {name}, which is no policy of recbole_lpi")
    max_reward, event_names = 0.0, []
    built = built_from(state, path)
    if built is None:
        with refusing(path):
            settings = PolicySettings.of(Values({**state["config"], **EARLIER}))
    else:
        max_reward, event_names = float(built["max_reward"]), built["event_names"]
        with refusing(path):
            network = {**EARLIER, **built["settings"]["network"]}
            given = {**built["settings"], "network": network}
            settings = coerce("settings", given, PolicySettings)
            event_names = coerce("event_names", event_names, list[str])
    encoder = settings.network.encoder
    if state.get("schema", 1) == 1 and encoder in BACKBONES:
        raise SettingError(
            f"{path} is of an earlier version, whose encoder {encoder} was another: train it again"
        )
    with refusing(path):
        policy = PolicyNetwork(
            name, settings, state["n_items"] - 1, max_reward, event_names=event_names
        )
    load_weights(policy, state["state_dict"], path)
    return policy.requires_grad_(False).eval()
