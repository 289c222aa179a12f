"""Calibration: the temperature by which a trained policy's logits are divided."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.propensity_quality import best_temperature

TOLERANCE = 0.01  # of log T: a tenth of it would change the NLL by less than a run prints


def mean_nll(table: EventTable | None) -> float:
    """Return the mean −log π of a table's events; the first process has it."""
    assert table is not None
    return -float(table.log_pi.mean(dtype=np.float64))


def fit_temperature(
    module: nn.Module, best: dict[str, Tensor] | None, nll: Callable[[], float]
) -> bool:
    """Set ``temperature`` in the weights ``best`` to what gives the least ``nll``, if it is there.

    Guo et al., "On calibration of modern neural networks", ICML 2017. Ranks do not change.

    Args:
        module: what is measured, with any weights; it is left with ``best``.
        best: the weights that are kept.
        nll: measures the mean −log π of validation events.

    Returns: whether there is anything that a temperature was fitted for.
    """
    temperature = getattr(module, "temperature", None)
    if best is None or not isinstance(temperature, Tensor):
        return False
    module.load_state_dict(best)

    def at(value: float) -> float:
        with torch.no_grad():
            temperature.fill_(value)
        return nll()

    before = at(1.0)
    found = best_temperature(at, TOLERANCE)
    after = at(found)
    best["temperature"] = temperature.clone()
    logging.getLogger().info(
        f"temperature {found:.3f}, fitted to validation: nll {before:.4f} -> {after:.4f}"
    )
    return True
