"""Resolve the setting ``imputation_model`` to the imputation behind iAR, for the data at hand."""

from __future__ import annotations

from pathlib import Path

import torch

from recbole_lpi.data.identity import catalogue_hash, data_hash
from recbole_lpi.evaluation.imputation import Imputation
from recbole_lpi.evaluation.imputation.fitting import found_or_fitted
from recbole_lpi.evaluation.imputation.imputation_file import load
from recbole_lpi.evaluation.imputation.rated_log import RatedLog
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.training.settings import TrainingSettings


def resolve(
    settings: TrainingSettings,
    device: torch.device,
    train: PolicyDataset,
    valid: PolicyDataset,
    show_progress: bool,
) -> Imputation:
    """Load or fit the imputation that ``imputation_model`` names, on the CPU.

    ``auto`` finds the one that was fitted to these training ratings with these settings, or fits
    it. Rewards are those that the ratings have in these data. Raises SettingError where there are
    no ratings, for a file that is none of ours, and for one of another catalogue.
    """
    log = rated_log(train, valid)
    if settings.imputation_model != "auto":
        return load(Path(settings.imputation_model), log)
    kept_in = Path(settings.imputation_dir)
    return found_or_fitted(log, settings.imputation, kept_in, device, show_progress)


def rated_log(train: PolicyDataset, valid: PolicyDataset) -> RatedLog:
    """Describe two parts of a data set as the log that an imputation reads."""
    return RatedLog(
        name=train.dataset_name,
        rating_field=train.settings.RATING_FIELD,
        sessions=train.sessions,
        item_num=train.item_num,
        training=train.part,
        validation=valid.part,
        catalogue=catalogue_hash(train.item_tokens),
        data=data_hash(train),
    )
