"""The imputation that a run asks for: found where it was kept, or fitted and kept."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from recbole_lpi.data.sessions import ranges
from recbole_lpi.evaluation.imputation.fit_report import fit_report, held_apart, held_out_error
from recbole_lpi.evaluation.imputation.imputation_file import MODEL, load, write_model
from recbole_lpi.evaluation.imputation.imputed_rewards import Imputation
from recbole_lpi.evaluation.imputation.rated_log import RatedLog
from recbole_lpi.evaluation.imputation.settings import ImputationSettings
from recbole_lpi.files import write_json, write_tensors
from recbole_lpi.locks import exclusive_beside, remove_left_behind
from recbole_lpi.nn.factorization import Ratings, sweeps
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import check_kinds, check_tensor, load_plain

REPORT, PARTIAL = "report.json", "candidate-{}.pth"
INITIAL_SCALE = 0.1  # standard deviation of the items' factors before the first sweep


def found_or_fitted(
    log: RatedLog,
    settings: ImputationSettings,
    kept_in: Path,
    device: torch.device,
    show_progress: bool,
) -> Imputation:
    """The imputation fitted to this log with these settings, found in ``kept_in`` or made there.

    It is on the CPU. SettingError where the log has no ratings, or none to judge a fit by.
    """
    log.scale.check(settings.missing_rating)
    folder = kept_in / _identity(log, settings)
    with exclusive_beside(folder, "imputation"):
        remove_left_behind(folder.parent)
        if not (folder / MODEL).is_file():
            _fit(folder, log, settings, device, show_progress)
    return load(folder, log)


def _identity(log: RatedLog, settings: ImputationSettings) -> str:
    """Hash of all that a fit depends on."""
    assert log.sessions.ratings is not None
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    digest.update(log.data.encode())
    for array in (log.sessions.ratings, log.validation.session, log.validation.stop):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _fit(
    folder: Path,
    log: RatedLog,
    settings: ImputationSettings,
    device: torch.device,
    show_progress: bool,
) -> None:
    """Fit each candidate, keep the one with the least held-out error, and report on it."""
    logger = logging.getLogger()
    logger.info(f"imputation: fitting one to the training ratings, {folder}")
    ratings = log.training_ratings(settings)
    given, hidden = held_apart(*log.validation_ratings(settings), settings.seed)
    if not len(hidden.value):
        raise SettingError(
            f"imputation: the {len(log.validation)} validation sessions of {log.name} hold no "
            "rating to judge rank and regularization by; validate on more"
        )
    tried: list[tuple[Imputation, dict[str, float]]] = []
    for place, candidate in enumerate(settings.candidates):
        partial = folder / PARTIAL.format(place)
        items = _factors(partial, candidate, ratings, device, show_progress)
        imputation = Imputation(items, candidate, log.scale, {})
        error = held_out_error(imputation, given, hidden)
        tried.append((imputation, error))
        logger.info(
            f"imputation: rank {candidate.rank[0]}, regularization "
            f"{candidate.regularization[0]:g}: held-out RMSE {error['rmse']:.4f}, of predicting "
            f"the mean {error['rmse_of_mean']:.4f} ({error['ratings']:,} validation ratings)"
        )
    imputation, error = min(tried, key=lambda one: one[1]["rmse"])
    report = _report(folder.name, log, imputation, ratings, error)
    write_json(folder / REPORT, report)
    write_model(folder, replace(imputation, report=report), log)
    for partial in folder.glob(PARTIAL.format("*")):
        partial.unlink()


def _report(
    name: str, log: RatedLog, imputation: Imputation, ratings: Ratings, error: dict[str, float]
) -> dict[str, Any]:
    """What is told of the imputation that was kept: its settings, error and distribution."""
    _, logged = ranges(log.sessions.offsets[log.training.session], log.training.stop)
    report = {
        "model": name,
        **asdict(imputation.settings),
        **error,
        **fit_report(imputation, ratings, log.sessions.rewards[logged]),
    }
    logging.getLogger().info(
        f"imputation: rewards of {report['positive_from']:g} and more are "
        f"{report['observed_positive']:.1%} of those observed, {report['imputed_positive']:.1%} of "
        f"all imputed; their means {report['observed_mean']:.3f} and {report['imputed_mean']:.3f}"
    )
    return report


def _factors(
    partial: Path,
    settings: ImputationSettings,
    ratings: Ratings,
    device: torch.device,
    show_progress: bool,
) -> Tensor:
    """The items' factors [A, K] after all sweeps; goes on where an earlier fit broke off."""
    begun = 0
    items: Tensor
    if partial.is_file():
        state = load_plain(partial)
        check_kinds(state, {"items": Tensor, "sweeps": int}, partial)
        items, begun = state["items"], state["sweeps"]
        check_tensor(items, "items", partial, (ratings.columns, settings.rank[0]))
        if items.dtype != settings.dtype or not 1 <= begun <= settings.sweeps:
            raise SettingError(f"{partial} is of another fit ({begun} sweeps): remove it")
    else:
        generator = torch.Generator().manual_seed(settings.seed)
        shape = (ratings.columns, settings.rank[0])
        items = INITIAL_SCALE * torch.randn(shape, generator=generator, dtype=settings.dtype)
    left = islice(
        sweeps(ratings.to(device), items.to(device), settings.weighting), settings.sweeps - begun
    )
    bar = tqdm(
        left, "Impute     ", settings.sweeps, initial=begun, ncols=100, leave=False,
        disable=None if show_progress else True,
    )  # fmt: skip
    for done, (_, factors) in enumerate(bar, begun + 1):
        items = factors.cpu()
        write_tensors(partial, {"items": items, "sweeps": done})
    return items
