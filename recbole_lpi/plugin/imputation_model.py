"""The imputation model behind iAR: found, fitted or refused, as the logging policy is."""

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

from recbole_lpi.data.sequences import ranges
from recbole_lpi.evaluation.imputation import (
    Imputation,
    ImputationSettings,
    RewardScale,
    fit_report,
    held_apart,
    held_out_error,
    reward_scale,
    session_ratings,
)
from recbole_lpi.files import write_json, write_tensors
from recbole_lpi.locks import alone, remove_left_behind
from recbole_lpi.nn.factorization import Ratings, sweeps
from recbole_lpi.plugin import checkpoints
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.settings import SettingError, coerce
from recbole_lpi.stored_tensors import check_kinds, check_tensor, load_plain, refusing
from recbole_lpi.training.settings import TrainingSettings

FORMAT = "recbole_lpi imputation"
KINDS: dict[str, type] = {"catalogue": str, "settings": dict, "items": Tensor, "report": dict}
MODEL, REPORT, PARTIAL = "model.pth", "report.json", "candidate-{}.pth"
INITIAL_SCALE = 0.1  # standard deviation of the items' factors before the first sweep


def resolve(
    settings: TrainingSettings,
    train: PolicyDataset,
    valid: PolicyDataset,
    device: torch.device,
    show_progress: bool,
) -> Imputation:
    """The imputation that ``imputation_model`` names, on the CPU.

    ``auto`` finds the one that was fitted to these training ratings with these settings, or fits
    it. Rewards are those that the ratings have in these data. Raises SettingError where there are
    no ratings, for a file that is none of ours, and for one of another catalogue.
    """
    scale = _scale(train)
    if settings.imputation_model != "auto":
        return _load(Path(settings.imputation_model), train, scale)
    scale.check(settings.imputation.missing_rating)
    folder = Path(settings.imputation_dir) / _identity(settings.imputation, train, valid)
    with alone(folder, "imputation"):
        remove_left_behind(folder.parent)
        if not (folder / MODEL).is_file():
            _fit(folder, settings.imputation, scale, train, valid, device, show_progress)
    return _load(folder, train, scale)


def read_model(path: Path) -> dict[str, Any]:
    """What the file or folder of an imputation holds; SettingError if it is none of ours."""
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        raise SettingError(f"no imputation model at {file}")
    state = load_plain(file)
    if state.get("format") != FORMAT:
        raise SettingError(f"{file} is not an imputation model of recbole_lpi")
    check_kinds(state, KINDS, file)
    with refusing(file):
        json.dumps(state["report"])  # it goes into metrics.json
    return state


def _load(path: Path, train: PolicyDataset, scale: RewardScale) -> Imputation:
    state = read_model(path)
    if state["catalogue"] != checkpoints.catalogue_hash(train):
        raise SettingError(
            f"{path} is of another catalogue: it imputes rewards of {len(state['items'])} items, "
            f"the data set '{train.dataset_name}' has {train.item_num - 1}; use one fitted to this "
            "data set and its filters, or imputation_model: auto"
        )
    data = checkpoints.data_hash(train)
    if state.get("data", data) != data:
        logging.getLogger().warning(
            f"{path} was fitted to other events or another split of {train.dataset_name}: it may "
            "have seen what this run is tested on"
        )
    with refusing(path):
        settings = coerce("settings", state["settings"], ImputationSettings)
        (rank,) = settings.rank
        check_tensor(state["items"], "items", path, (train.item_num - 1, rank))
        return Imputation(state["items"].to(settings.dtype), settings, scale, state["report"])


def _scale(train: PolicyDataset) -> RewardScale:
    """What each rating is worth, from the whole log; SettingError if it has none."""
    store, name = train.sessions, train.settings.RATING_FIELD
    if store.ratings is None:
        raise SettingError(
            f"imputed_average_reward: {train.dataset_name} has no column '{name}' (RATING_FIELD) "
            "from which rewards could be imputed; take it out of metrics"
        )
    bad = np.flatnonzero(~np.isfinite(store.ratings))
    if len(bad):
        raise SettingError(
            f"imputed_average_reward: {len(bad)} events of {train.dataset_name} have a {name} that "
            "is no number; correct or remove them"
        )
    return reward_scale(store.ratings, store.rewards)


def _identity(settings: ImputationSettings, train: PolicyDataset, valid: PolicyDataset) -> str:
    assert train.sessions.ratings is not None
    digest = hashlib.sha256(json.dumps(asdict(settings), sort_keys=True).encode())
    digest.update(checkpoints.data_hash(train).encode())
    for array in (train.sessions.ratings, valid.part.session, valid.part.stop):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _fit(
    folder: Path,
    settings: ImputationSettings,
    scale: RewardScale,
    train: PolicyDataset,
    valid: PolicyDataset,
    device: torch.device,
    show_progress: bool,
) -> None:
    """Fit each candidate, keep the one with the least held-out error, and report on it."""
    logger = logging.getLogger()
    logger.info(f"imputation: fitting one to the training ratings, {folder}")
    r_m, dtype, number = settings.missing_rating, settings.dtype, train.item_num
    ratings = session_ratings(train.sessions, train.part, number, r_m, dtype)
    part = valid.part
    given, hidden = held_apart(
        session_ratings(valid.sessions, part, number, r_m, dtype),
        session_ratings(valid.sessions, replace(part, stop=part.start), number, r_m, dtype),
        settings.seed,
    )
    if not len(hidden.value):
        raise SettingError(
            f"imputation: the {len(part)} validation sessions of {train.dataset_name} hold no "
            "rating to judge rank and regularization by; validate on more"
        )
    tried: list[tuple[Imputation, dict[str, float]]] = []
    for place, candidate in enumerate(settings.candidates):
        partial = folder / PARTIAL.format(place)
        items = _factors(partial, candidate, ratings, device, show_progress)
        imputation = Imputation(items, candidate, scale, {})
        error = held_out_error(imputation, given, hidden)
        tried.append((imputation, error))
        logger.info(
            f"imputation: rank {candidate.rank[0]}, regularization "
            f"{candidate.regularization[0]:g}: held-out RMSE {error['rmse']:.4f}, of predicting "
            f"the mean {error['rmse_of_mean']:.4f} ({error['ratings']:,} validation ratings)"
        )
    imputation, error = min(tried, key=lambda one: one[1]["rmse"])
    _, logged = ranges(train.sessions.offsets[train.part.session], train.part.stop)
    report = {
        "model": folder.name,
        **asdict(imputation.settings),
        **error,
        **fit_report(imputation, ratings, train.sessions.rewards[logged]),
    }
    logger.info(
        f"imputation: rewards of {report['positive_from']:g} and more are "
        f"{report['observed_positive']:.1%} of those observed, {report['imputed_positive']:.1%} of "
        f"all imputed; their means {report['observed_mean']:.3f} and {report['imputed_mean']:.3f}"
    )
    write_json(folder / REPORT, report)
    write_tensors(
        folder / MODEL,
        {
            "format": FORMAT,
            "catalogue": checkpoints.catalogue_hash(train),
            "data": checkpoints.data_hash(train),
            "settings": asdict(imputation.settings),
            "items": imputation.items,
            "report": report,
        },
    )
    for partial in folder.glob(PARTIAL.format("*")):
        partial.unlink()


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
