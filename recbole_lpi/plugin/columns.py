"""Check the columns that everything rests on, and derive rewards and kinds of event."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.data.times import check_units
from recbole_lpi.plugin.atomic_files import Atomic, read_header
from recbole_lpi.plugin.file_kinds import MARK
from recbole_lpi.plugin.rewards import EVENTS, events_of_rewards, rewards_of_ratings
from recbole_lpi.settings import SettingError, suggest

LARGEST = float(np.finfo(np.float32).max)  # rewards, and all numbers but times, become float32


def with_rewards(
    loaded: Atomic, settings: DataSettings, path: str
) -> tuple[pd.DataFrame, list[str]]:
    """Give each row a reward and a kind of event; return the frame, and what was derived.

    Raises:
        SettingError: there is nothing to derive rewards from, or a value that everything rests on
            is missing, infinite or beyond float32; with the line.
    """
    s, frame, notes = settings, loaded.frame, []
    _check_values(loaded, s, path)
    if s.reward_column not in frame:
        if not s.rating_to_reward or s.RATING_FIELD not in frame:
            raise SettingError(
                f"{path} has no column '{s.reward_column}' (reward_field), and no "
                f"'{s.RATING_FIELD}' from which rating_to_reward could derive it; {_has(loaded)}"
            )
        check_finite(frame, s.RATING_FIELD, path)
        ratings = frame[s.RATING_FIELD].to_numpy()
        frame[s.reward_column] = rewards_of_ratings(ratings, s.rating_to_reward)
        given = ", ".join(f"{k:g}: {v:g}" for k, v in sorted(s.rating_to_reward.items()))
        notes.append(
            f"{path} has no column '{s.reward_column}': rewards are made of '{s.RATING_FIELD}' by "
            f"rating_to_reward ({given}); {_has(loaded)}"
        )
    if s.event_column not in frame:
        frame[s.event_column] = events_of_rewards(frame[s.reward_column].to_numpy())
        notes.append(
            f"{path} has no column '{s.event_column}': an event is '{EVENTS[1]}' where its reward "
            f"reaches 1, else '{EVENTS[0]}'; {_has(loaded)}"
        )
    missing = np.flatnonzero(frame[s.event_column].isna())
    if len(missing):
        raise SettingError(
            f"{path}, line {missing[0] + 2}: {s.event_column} is empty "
            f"({_rows(len(missing))}); correct or remove them"
        )
    return frame, notes


def check_header(every: Mapping[str, str], s: DataSettings, path: str) -> None:
    """Raise SettingError for a column that a setting names and that is missing or of another type.

    ``every`` has the types of all columns of the file ``path``, which the error lists.
    """
    named = {name: getattr(s, name) for name in ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD")}
    named |= {"reward_field": s.reward_field, "event_field": s.event_field}
    if s.RATING_FIELD != DataSettings.RATING_FIELD:  # which RecBole's own settings name
        named["RATING_FIELD"] = s.RATING_FIELD
    if s.PROPENSITY_FIELD != DataSettings.PROPENSITY_FIELD:
        named["PROPENSITY_FIELD"] = s.propensity_column
    for setting, column in named.items():
        if column is not None:
            check_names({column}, every, path, setting)
    wanted = dict.fromkeys((s.USER_ID_FIELD, s.ITEM_ID_FIELD, s.event_column), "token")
    wanted |= dict.fromkeys((s.TIME_FIELD, s.reward_column, s.RATING_FIELD), "float")
    if s.propensity_column is not None:
        wanted[s.propensity_column] = "float"
    for column, kind in wanted.items():
        if every.get(column, kind) != kind:
            raise SettingError(
                f"{path}: column '{column}' must be declared {column}:{kind} in the first line, "
                f"not {column}:{every[column]}"
            )


def check_names(names: set[str], every: Mapping[str, str], path: str, setting: str) -> None:
    """Raise SettingError for the first of ``names``, given by a setting, that is no column."""
    for name in sorted(names - set(every)):
        near = suggest(name, every)
        hint = f"; did you mean {near}?" if near else ""
        raise SettingError(
            f"{path} has no column '{name}', which {setting} names; it has {', '.join(every)}{hint}"
        )


def check_feature_file(path: str, separator: str, named: set[str]) -> None:
    """Raise SettingError for a file of users or items, say, that RecBole would read wrongly.

    ``named`` are the columns that settings name of it.
    """
    check_names(named, read_header(path, separator), path, "load_col or unload_col")
    with open(path, "rb") as file:
        if file.read(len(MARK)) == MARK:
            raise SettingError(
                f"{path} begins with a byte order mark, which RecBole takes for a part of the "
                "first column's name: save it as UTF-8 without one"
            )


def check_finite(frame: pd.DataFrame, column: str, path: str) -> None:
    """Raise SettingError for a missing or infinite number, which would be trained on unsaid."""
    values = frame[column]
    bad = np.flatnonzero(~np.isfinite(values.to_numpy()))
    if len(bad):
        raise SettingError(
            f"{path}, line {bad[0] + 2}: {column} is {values.iloc[bad[0]]} "
            f"({_rows(len(bad))}); correct or remove them"
        )


def check_propensities(frame: pd.DataFrame, column: str, path: str) -> None:
    """Raise SettingError for a propensity that is not in (0, 1], or is 0 in float32."""
    values = frame[column].to_numpy()
    with np.errstate(under="ignore"):
        bad = np.flatnonzero(~((values.astype(np.float32) > 0) & (values <= 1)))
    if len(bad):
        value = values[bad[0]]
        raise SettingError(
            f"{path}, line {bad[0] + 2}: {column} is {'missing' if np.isnan(value) else value} "
            f"({_rows(len(bad))}), and must be the probability, above 0 and at most 1, with which "
            "the item was shown: correct them, or name another column, or none "
            "(PROPENSITY_FIELD: none)"
        )


def _check_values(loaded: Atomic, s: DataSettings, path: str) -> None:
    """Raise SettingError for a time, reward or other number that cannot be used; with the line."""
    for column in (s.TIME_FIELD, s.reward_column):
        if column in loaded.frame:
            check_finite(loaded.frame, column, path)
    if s.propensity_column is not None and s.propensity_column in loaded.frame:
        check_propensities(loaded.frame, s.propensity_column, path)
    check_units(loaded.frame[s.TIME_FIELD].to_numpy(), s.TIME_FIELD, path)
    for column, kind in loaded.kinds.items():
        if kind == "float" and column != s.TIME_FIELD:
            values = loaded.frame[column].to_numpy()
            bad = np.flatnonzero(np.isfinite(values) & (np.abs(values) > LARGEST))
            if len(bad):
                raise SettingError(
                    f"{path}, line {bad[0] + 2}: {column} is {values[bad[0]]:g}, too large for "
                    f"float32 ({_rows(len(bad))}); correct or remove them"
                )


def _has(loaded: Atomic) -> str:
    """List the columns of a file, for a message."""
    return f"it has {', '.join(loaded.every)}"


def _rows(count: int) -> str:
    """Spell a number of rows, for a message."""
    return f"{count} such row{'s' if count > 1 else ''}"
