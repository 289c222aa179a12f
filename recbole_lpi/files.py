"""Files that are never half: written beside, then renamed into place."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def write_bytes(path: Path, content: bytes) -> None:
    """The file and, where it is missing, its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with open(beside, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def write_tensors(path: Path, state: Mapping[str, Any]) -> None:
    """Tensors and plain values, loadable with ``weights_only=True``."""
    buffer = io.BytesIO()
    torch.save(dict(state), buffer)
    write_bytes(path, buffer.getvalue())


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """NaN is null."""
    text = json.dumps(_null_for_nan(values), indent=1, allow_nan=False)
    write_bytes(path, text.encode())


def _null_for_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _null_for_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and value != value else value
