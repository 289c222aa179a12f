"""Files that bring weights: read as plain tensors, and refused in one line unless they fit.

A file may be broken, of another version, or made by somebody to look like ours. Whatever it
provokes in torch, numpy or RecBole names it in a SettingError.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recbole_lpi.processes import LostProcess
from recbole_lpi.settings import SettingError


def load_plain(path: Path) -> dict[str, Any]:
    """Load tensors and plain values by name, on the CPU; SettingError for anything else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # whatever a hostile or broken file provokes, it is none of ours
        state = None
    if not isinstance(state, dict):
        raise SettingError(
            f"{path} is not a file of recbole_lpi: it does not load as plain tensors, "
            "and nothing else is unpickled"
        )
    return state


@contextmanager
def refusing(path: object) -> Iterator[None]:
    """Turn what the content of ``path`` provokes inside into a SettingError that names it."""
    try:
        yield
    except LostProcess:  # of several processes; a RuntimeError, and not the file's fault
        raise
    except SettingError as error:
        if str(path) in str(error):
            raise
        raise SettingError(f"{path}: {error}") from error
    except (
        ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError,
        NotImplementedError, RecursionError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        said = str(error).strip().partition("\n")[0][:200]
        raise SettingError(
            f"{path} is not what recbole_lpi writes, or of another version: "
            f"{type(error).__name__}: {said}; remove or replace it"
        ) from error


def check_kinds(state: Mapping[str, Any], kinds: Mapping[str, type], path: object) -> None:
    """Raise SettingError unless ``state`` has all these names, with values of these types."""
    for name, kind in kinds.items():
        if name not in state:
            raise SettingError(f"{path} has no '{name}': it is of another version, or not whole")
        value = state[name]
        right = isinstance(value, (int, float) if kind is float else kind)
        if not right or (isinstance(value, bool) and kind is not bool):
            raise SettingError(
                f"{path}: '{name}' is of type {type(value).__name__}, not {kind.__name__}"
            )


def check_tensor(
    value: object,
    name: object,
    path: object,
    shape: Iterable[int] | None = None,
    infinite: bool = False,
) -> None:
    """Raise SettingError unless it is a dense tensor of ``shape`` and of finite numbers."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
        raise SettingError(f"{path}: '{name}' is no dense tensor")
    if shape is not None and tuple(value.shape) != tuple(shape):
        raise SettingError(
            f"{path}: '{name}' is of shape {list(value.shape)}, and {list(shape)} is needed"
        )
    if not (~torch.isnan(value) if infinite else torch.isfinite(value)).all():
        raise SettingError(
            f"{path}: '{name}' holds numbers that are not finite: what wrote it had diverged; use "
            "another"
        )


def load_weights(module: nn.Module, weights: Mapping[str, Any], path: object) -> None:
    """Give ``module`` the weights of a file; SettingError unless it has them all, and they fit.

    Parameters must be finite; a buffer, such as a mask of a user's encoder, may hold infinities.
    """
    with refusing(path):
        own, parameters = module.state_dict(), dict(module.named_parameters())
        for name in (*own, *weights):
            if name not in weights or name not in own:
                where = "lacks" if name not in weights else "has, and the model has not,"
                raise SettingError(f"{path} {where} the weights '{name}': it is of another model")
        for name, value in own.items():
            if isinstance(value, Tensor):
                found = weights[name]
                check_tensor(found, name, path, value.shape, infinite=name not in parameters)
                if found.is_floating_point() != value.is_floating_point():
                    raise SettingError(f"{path}: '{name}' is of {found.dtype}, not {value.dtype}")
        module.load_state_dict(weights)


def load_optimizer(
    optimizer: torch.optim.Optimizer, state: dict[str, Any], path: object, stepped: bool = True
) -> None:
    """Give ``optimizer`` the state of a file; SettingError unless it is one of its own.

    Args:
        stepped: it is known to have taken a step, and has the state of some parameter.
    """
    with refusing(path):
        settings = [_settings(group) for group in optimizer.param_groups]
        optimizer.load_state_dict(state)
        for own, group in zip(settings, optimizer.param_groups, strict=True):
            found = _settings(group)
            for name in own.keys() & found.keys():
                if own[name] != found[name]:
                    raise SettingError(
                        f"{path}: its optimiser had {name} {found[name]}, and the run's has "
                        f"{own[name]}"
                    )
        for part in getattr(optimizer, "parts", (optimizer,)):  # of LazyAdam there are two
            names = _kept(part)
            if stepped and names and not part.state:
                raise SettingError(f"{path}: its optimiser has no {', '.join(names)}")
            for parameter, values in part.state.items():
                if not values.keys() >= set(names):
                    raise SettingError(
                        f"{path}: its optimiser has {', '.join(map(str, values)) or 'nothing'} of "
                        f"a parameter, not {', '.join(names)}"
                    )
                for name, value in values.items():
                    if isinstance(value, Tensor):
                        check_tensor(value, name, path, parameter.shape if value.dim() else ())


def _kept(optimizer: torch.optim.Optimizer) -> list[str]:
    """List what a step leaves of a parameter, by name; SGD without momentum keeps nothing."""
    one = nn.Parameter(torch.zeros(1))
    kind: Any = type(optimizer)
    other = kind([one], lr=1.0)
    one.grad = torch.ones(1).to_sparse() if kind is torch.optim.SparseAdam else torch.ones(1)
    other.step()
    return list(other.state[one])


def _settings(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name != "params"}
