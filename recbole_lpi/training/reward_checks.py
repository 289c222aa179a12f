"""Rewards from which a model would learn nothing, or the opposite, refused before it is trained."""

from __future__ import annotations

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.objectives import Objective
from recbole_lpi.settings import SettingError


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
