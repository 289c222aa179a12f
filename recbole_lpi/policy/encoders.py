"""The encoder that the setting ``encoder`` names: ours, RecBole's, or a module of the user's.

An encoder maps item embeddings [B, L, D], padded with zeros, to the state after each item
[B, L, D]. It is causal: a later item never changes an earlier state.
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from recbole_lpi.nn.causality import check_causal
from recbole_lpi.nn.sasrec import SASRec
from recbole_lpi.policy.backbones import BACKBONES
from recbole_lpi.policy.no_encoders import NO_ENCODER
from recbole_lpi.policy.settings import NetworkSettings
from recbole_lpi.settings import SettingError


class Encoder(Protocol):
    """What an import path must name: an ``nn.Module`` that is made and called like this."""

    def __init__(self, *, hidden_size: int, max_length: int, **encoder_args: Any) -> None: ...

    def __call__(self, items: Tensor) -> Tensor:
        """Encode item embeddings [B, L <= max_length, hidden_size] as states, causally."""
        ...


def make_encoder(network: NetworkSettings, max_length: int) -> nn.Module:
    """Make the encoder of ``network``, for sessions of up to ``max_length`` items.

    Raises:
        SettingError: it cannot be had, does not take ``encoder_args``, or is not causal.
    """
    name = network.encoder
    if _is_path(name):
        return _users_own(network, max_length)
    if name in BACKBONES:
        return BACKBONES[name](network)
    if name == "sasrec":
        return _sasrec(network, max_length)
    if name.lower() in NO_ENCODER:
        raise SettingError(f"encoder cannot be {name}: {NO_ENCODER[name.lower()]}")
    raise SettingError(
        f"encoder must be one of sasrec, {', '.join(BACKBONES)}, or the import path of a module of "
        f"your own, like package.module:Class; got {name!r}"
    )


named_by_user: set[str] = set()  # import paths that the user named in this process


def allow(encoder: object) -> None:
    """Let the module of an import path be imported, which runs its code: the user named it."""
    if isinstance(encoder, str):
        named_by_user.add(encoder)


def unread_settings(encoder: str) -> frozenset[str]:
    """List the settings of the network that ``encoder`` does not read; all are SASRec's."""
    readers = {field.name: field.metadata.get("encoders") for field in fields(NetworkSettings)}
    return frozenset(
        name for name, those in readers.items() if those is not None and encoder not in those
    )


def code_hash(encoder: str) -> str:
    """Hash the file that an import path names, "" of a name: edited, it is another encoder."""
    if not _is_path(encoder):
        return ""
    file = Path(getattr(sys.modules[_class_at(encoder).__module__], "__file__", None) or "")
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""


def _sasrec(network: NetworkSettings, max_length: int) -> nn.Module:
    if network.encoder_args:
        raise SettingError(
            "encoder_args is of the other encoders: sasrec has settings with names of their own, "
            f"such as n_layers; got {network.encoder_args}"
        )
    return SASRec(
        hidden_size=network.hidden_size,
        n_layers=network.n_layers,
        n_heads=network.n_heads,
        inner_size=network.inner_size,
        hidden_dropout_prob=network.hidden_dropout_prob,
        attn_dropout_prob=network.attn_dropout_prob,
        hidden_act=network.hidden_act,
        layer_norm_eps=network.layer_norm_eps,
        max_length=max_length,
        initializer_range=network.initializer_range,
        initializer=network.initializer,
    )


def _is_path(encoder: str) -> bool:
    return "." in encoder or ":" in encoder


def _class_at(path: str) -> type[nn.Module]:
    """Import the class at ``package.module:Class``, or with a dot, or raise SettingError."""
    module, _, name = path.replace(":", ".").rpartition(".")
    if module.startswith("recbole.") and name.lower() in NO_ENCODER:
        raise SettingError(f"encoder cannot be {path}: {NO_ENCODER[name.lower()]}")
    if path not in named_by_user:
        raise SettingError(
            f"encoder {path} is named by a file alone, and to import a module is to run its code: "
            f"if you trust it, name it in this call, --encoder={path}"
        )
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # whatever a module of a user raises
        raise SettingError(
            f"encoder {path}: module '{module}' cannot be imported ({_said(error)}); install "
            "it, or put its folder on PYTHONPATH"
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise SettingError(f"encoder {path}: module '{module}' has no nn.Module class '{name}'")
    return found


def _users_own(network: NetworkSettings, max_length: int) -> nn.Module:
    path, own = network.encoder, network.encoder_args
    given = {"hidden_size": network.hidden_size, "max_length": max_length}
    for name in given.keys() & own.keys():
        raise SettingError(f"encoder_args cannot set {name}: the encoder gets it from the settings")
    cls = _class_at(path)
    try:
        encoder = cls(**given, **own)
    except Exception as error:  # whatever a module of a user raises
        arguments = ", ".join(f"{name}={value!r}" for name, value in {**given, **own}.items())
        raise SettingError(
            f"encoder {path} with encoder_args {own} fails: it must be made by "
            f"{cls.__name__}({arguments}), which says {_said(error)}"
        ) from error
    try:
        check_causal(encoder, network.hidden_size, max_length)
    except ValueError as error:
        raise SettingError(f"encoder {path}: {error}") from error
    return encoder


def _said(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
