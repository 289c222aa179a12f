"""Report what a run does not show of its log, and of the parts that the log is split into."""

from __future__ import annotations

import logging

import numpy as np

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.data.sessions import Part, Sessions
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.data.split import NAMES
from recbole_lpi.data.times import describe_times
from recbole_lpi.text import one_line

MANY = 0.1  # of the training events, that are not trained on


def report_log(sessions: Sessions, settings: DataSettings) -> None:
    """Log when the events happened, and warn of those that metrics count in their own way."""
    logger = logging.getLogger()
    for line in describe_times(sessions):
        logger.info(line)
    mu = sessions.propensities
    if mu is not None:
        logger.info(
            f"propensities as logged ({settings.PROPENSITY_FIELD}): {mu.min():.3g} to "
            f"{mu.max():.3g}, geometric mean {np.exp(np.log(mu, dtype=np.float64).mean()):.3g}"
        )
    single = int((sessions.lengths == 1).sum())
    if single and not settings.evaluate_first_event:
        logger.warning(
            f"{single} of {len(sessions)} sessions have one event and nothing to predict: not used"
        )
    below = int((sessions.rewards < 0).sum())
    if below:
        logger.warning(
            f"{below} of {len(sessions.rewards)} rewards are below 0: average_reward counts a "
            "choice that was not logged as 0, which is more"
        )
    _warn_of_kinds(sessions, {*settings.purchase_events, *settings.click_events})


def _warn_of_kinds(sessions: Sessions, known: set[str]) -> None:
    """Warn of kinds of event that are not ``known``, purchases or clicks: how metrics count them.

    Those of which every event has reward 0 are taken for what was shown and not taken.
    """
    logger, names = logging.getLogger(), np.array(sessions.event_names, dtype=object)
    counts = np.bincount(sessions.events, minlength=len(names))
    rewarded = np.bincount(sessions.events[sessions.rewards != 0], minlength=len(names)) > 0
    unknown = np.array([name not in known for name in names])
    other = sorted(names[unknown & rewarded & (counts > 0)])
    shown = [
        f"{names[i]} ({counts[i]})" for i in np.flatnonzero(unknown & ~rewarded & (counts > 0))
    ]
    if shown:
        logger.warning(
            f"events {one_line(', '.join(shown))} have reward 0, as what was shown and not taken: "
            "hit, ndcg and nll over all events count them as what was logged, and so as right; "
            "purchase_ and click_ metrics and average_reward count what was taken alone"
        )
    if other:
        logger.warning(
            f"events {one_line(', '.join(other))} are neither purchase_events nor "
            "click_events: they count in hit and ndcg only"
        )


def warn_of_left_out(train: SessionData, settings: DataSettings) -> None:
    """Warn if many events of a training part are not trained on, their sessions being long."""
    every, trained = _target_count(train), int(train.training_windows.targets.sum())
    if every - trained <= MANY * every:
        return
    cure = (
        f"loss_on_last: {settings.loss_on_last} leaves them out, and an empty one none"
        if settings.loss_on_last is not None
        else "training_windows: all trains on every one, or a greater MAX_ITEM_LIST_LENGTH "
        f"({settings.max_length}) on more"
    )
    logging.getLogger().warning(
        f"{every - trained} of {every} training events ({1 - trained / every:.0%}) are not "
        f"trained on: of a long session its last events are. {cure}"
    )


def describe_part(data: SessionData) -> str:
    """Say in one line how large a part is, and what its metrics are over."""
    first_counts = data.reading.evaluate_first_event
    used = _used(data.part, data.sessions, first_counts)
    every = int(np.sum(used.stop - used.start))
    first = (
        "first events included" if first_counts else "without first events, which have no history"
    )
    trained = ""
    if data.part_name == NAMES[0]:
        trained = f", {data.training_windows.targets.sum()} of them trained on"
    return (
        f"{data.part_name}: {len(used)} sessions, {every} events, "
        f"{_target_count(data)} to predict{trained} ({first})"
    )


def _target_count(data: SessionData) -> int:
    """Count the targets of a part."""
    return int(data.part.targets(data.sessions, data.reading.evaluate_first_event).sum())


def _used(part: Part, sessions: Sessions, first_counts: bool) -> Part:
    """Take the sessions of a part that have something to predict."""
    begin = np.maximum(part.start, sessions.offsets[part.session] + int(not first_counts))
    used = part.stop > begin
    return Part(part.session[used], part.start[used], part.stop[used])
