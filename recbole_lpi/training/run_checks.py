"""What would be trained on nothing, chosen by nothing or taught the opposite, refused before."""

from __future__ import annotations

import numpy as np

from recbole_lpi.data.repeats import seen_before
from recbole_lpi.data.session_data import SessionData
from recbole_lpi.evaluation.metrics import NOVELTY, Metric
from recbole_lpi.objectives import Objective
from recbole_lpi.settings import SettingError
from recbole_lpi.training.settings import TrainingSettings


def check_run(
    name: str,
    objective: Objective | None,
    settings: TrainingSettings,
    train: SessionData,
    valid: SessionData | None,
) -> None:
    """Raise SettingError, before any work, unless there is something to learn and to choose by.

    Args:
        name: of the model; objective: its row of OBJECTIVES, None where it has none.
        settings: how it is trained and measured.
        train, valid: the parts of the data; valid is None where nothing picks an epoch.
    """
    if len(train.training_windows) == 0:
        raise SettingError(f"{train.dataset_name}: no training session has two events")
    check_rewards(name, objective, train, valid, settings.criterion)
    if valid is not None:
        check_criterion(settings, valid)
    check_candidates(settings, train)


def check_rewards(
    name: str,
    objective: Objective | None,
    train: SessionData,
    valid: SessionData | None,
    criterion: Metric,
) -> None:
    """Raise SettingError unless the rewards suit the objective and the metric that picks the epoch.

    Args:
        name: of the model; objective: its row of OBJECTIVES, None where it has none.
        train, valid: the parts of the data; valid is None where nothing picks an epoch.
        criterion: that metric.
    """
    rewards = train.sessions.rewards
    if objective is not None:
        trained = rewards[train.trained_places]
        try:
            objective.check_rewards(name, float(trained.min()), float(trained.max()))
        except ValueError as error:
            raise SettingError(f"{train.dataset_name}: {error}") from None
    if valid is not None and criterion.measure.name == "average_reward":
        highest = rewards[valid.places].max()
        if highest <= 0:
            raise SettingError(
                f"{train.dataset_name}: {criterion} picks the best epoch, and the highest "
                f"reward of validation is {highest:g}: what was not logged counts as 0, so the "
                "epoch that finds nothing would win; set another valid_metric, such as ndcg@20"
            )


def check_candidates(settings: TrainingSettings, train: SessionData) -> None:
    """Raise SettingError if an estimate would take more than what it is an estimate of."""
    number, items = settings.divergence_candidates, train.item_num - 1
    if number is not None and number > items:
        raise SettingError(
            f"divergence_candidates is {number}, and the catalogue has {items} items: leave it "
            "empty, for the exact divergence"
        )


def check_criterion(settings: TrainingSettings, valid: SessionData) -> None:
    """Raise SettingError if the metric that picks the epoch would be over nothing."""
    wanted = settings.criterion_events
    store = valid.sessions
    kind = settings.criterion.kind
    if kind in NOVELTY and (kind == "repeat") not in seen_before(store, valid.places):
        raise SettingError(
            f"{settings.valid_metric} picks the best epoch, and in validation "
            f"{'no' if kind == 'repeat' else 'every'} event is of an item that its session has had "
            "before: set another valid_metric"
        )
    codes = np.unique(store.events[valid.places])
    present = {store.event_names[code] for code in codes}
    if wanted is not None and present.isdisjoint(wanted):
        raise SettingError(
            f"{settings.valid_metric} picks the best epoch, and validation has no event "
            f"that it is over ({', '.join(wanted)}), only {', '.join(sorted(present))}: set "
            "purchase_events and click_events, or another valid_metric"
        )
