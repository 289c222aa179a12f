"""Give RecBole 1.2.1 what it needs to run on today's numpy and without ray."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import numpy as np

# Names that numpy dropped and RecBole still uses (configurator.py:628, evaluator/metrics.py).
ALIASES = {
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
    "float": float,
    "complex": complex,
    "bool": bool,
    "int": int,
    "object": object,
    "str": str,
}


def restore_numpy_aliases() -> None:
    """Give numpy the names that RecBole uses and it lacks; none that it has is changed."""
    for name, meaning in ALIASES.items():
        if name not in vars(np):
            setattr(np, name, meaning)


@contextmanager
def stand_in_for_ray() -> Iterator[None]:
    """Answer to ``from ray import tune`` while RecBole is imported, where there is no ray.

    RecBole calls ``tune.report`` only inside a ray worker, where there is a ray; without one the
    numbers are returned all the same, and ``report`` has nobody to tell.
    """
    try:
        importlib.import_module("ray.tune")
    except ImportError:  # none, or one that this Python cannot import
        for name in [name for name in sys.modules if name.partition(".")[0] == "ray"]:
            del sys.modules[name]
    else:
        yield
        return
    tune = ModuleType("ray.tune")
    tune.__dict__["report"] = lambda *args, **kwargs: None
    ray = ModuleType("ray")
    ray.__dict__["tune"] = tune
    sys.modules.update({"ray": ray, "ray.tune": tune})
    try:
        yield
    finally:
        del sys.modules["ray"], sys.modules["ray.tune"]


def ensure_dir(dir_path: str) -> None:
    """Make a folder, also where another process makes it first, on which RecBole's own fails."""
    os.makedirs(dir_path, exist_ok=True)
