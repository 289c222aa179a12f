"""Which GPU a process computes on, of those that the setting ``gpu_id`` names."""

from __future__ import annotations

import os
import re
from typing import Any

import torch

from recbole_lpi.processes import launched
from recbole_lpi.settings import SettingError


def default_gpus() -> str | None:
    """The default of ``gpu_id`` for several processes; None, which is RecBole's, for one."""
    if not launched():
        return None
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(here)))


def visible_gpus(gpu_id: Any) -> str:
    """``gpu_id`` as CUDA_VISIBLE_DEVICES has it: ``0,1``, of text, a number or a list of either.

    SettingError for anything else, which CUDA would take for no GPU at all, without a word.
    """
    listed = gpu_id if isinstance(gpu_id, (list, tuple)) else [gpu_id]
    text = ",".join("" if one is None else str(one).replace(" ", "") for one in listed)
    plain = all(type(one) in (int, str, type(None)) for one in listed)
    if not plain or not re.fullmatch(r"([\w-]+(,[\w-]+)*)?", text):
        raise SettingError(f"gpu_id must be like 0 or 0,1, or empty for the CPU; got {gpu_id!r}")
    return text


def own_device(device: torch.device, gpu_id: str) -> torch.device:
    """The device of this process, of those that ``gpu_id`` names; SettingError if they are few."""
    if not launched() or device.type != "cuda":
        return device
    here, there = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if there < here:
        raise SettingError(
            f"gpu_id: {here} processes were started on this machine, and '{gpu_id}' gives them "
            f"{there} GPUs: start as many as there are, or name more"
        )
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
