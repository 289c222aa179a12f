"""RecBole's data set, with rewards and events checked, and kept as a flat store of sessions."""

from __future__ import annotations

import copy
import os
import warnings
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.data.dataset import Dataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType

from recbole_lpi.data import sequences
from recbole_lpi.data.atomic import read_atomic
from recbole_lpi.data.rewards import events_of_rewards, rewards_of_ratings
from recbole_lpi.data.sequences import Batch, Part, Sessions, Windows
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.data.split import NAMES, split_sessions
from recbole_lpi.settings import SettingError


class PolicyDataset(Dataset):  # type: ignore[misc]
    """Sessions of logged actions with rewards.

    After ``build`` each part also is a sequential RecBole data set, one row per target event:
    ``part[index]`` gives user, item, the items before it, and its event and reward. The policies
    read ``batch`` instead: whole sessions.
    """

    sessions: Sessions
    part: Part
    part_name: str

    def __init__(self, config: Any) -> None:
        self.settings = DataSettings.of(config)
        super().__init__(config)

    # ------------------------------------------------------------------ loading

    def _load_feat(self, filepath: str, source: Any) -> pd.DataFrame | None:
        """RecBole's reader, replaced for the interaction file: read by polars, errors by line."""
        if source != FeatureSource.INTERACTION:
            return super()._load_feat(filepath, source)
        wanted, unwanted = self._get_load_and_unload_col(source)
        s = self.settings  # load_col may leave out what a policy cannot do without
        needed = {s.USER_ID_FIELD, s.ITEM_ID_FIELD, s.TIME_FIELD, s.reward_field, s.event_field}
        if s.rating_to_reward:
            needed.add(s.RATING_FIELD)
        loaded = read_atomic(
            filepath,
            separator=self.config["field_separator"],
            wanted=None if wanted is None else set(wanted) | needed,
            unwanted=set(unwanted or ()) - needed,
        )
        for name, kind in loaded.kinds.items():
            self.set_field_property(name, FeatureType(kind), FeatureSource.INTERACTION, 1)
            if kind == "float":
                self.field2bucketnum[name] = 2
        return self._with_rewards(loaded.frame, filepath)

    def _with_rewards(self, frame: pd.DataFrame, filepath: str) -> pd.DataFrame:
        """Check the columns that everything rests on; derive reward and event where missing."""
        s, file = self.settings, os.path.basename(filepath)
        for setting in ("USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD"):
            name = getattr(s, setting)
            if name not in frame:
                raise SettingError(
                    f"{filepath} has no column '{name}', which {setting} names; "
                    f"it has {', '.join(frame.columns)}"
                )
        _refuse_non_finite(frame, s.TIME_FIELD, file)
        if s.reward_field in frame:
            _refuse_non_finite(frame, s.reward_field, file)
        elif s.rating_to_reward and s.RATING_FIELD in frame:
            _refuse_non_finite(frame, s.RATING_FIELD, file)
            frame[s.reward_field] = rewards_of_ratings(
                frame[s.RATING_FIELD].to_numpy(), s.rating_to_reward
            )
        else:
            raise SettingError(
                f"{filepath} has no column '{s.reward_field}' (reward_field), and no "
                f"'{s.RATING_FIELD}' from which rating_to_reward could derive it; "
                f"it has {', '.join(frame.columns)}"
            )
        self.set_field_property(s.reward_field, FeatureType.FLOAT, FeatureSource.INTERACTION, 1)
        if s.event_field not in frame:
            frame[s.event_field] = events_of_rewards(frame[s.reward_field].to_numpy())
        missing = np.flatnonzero(frame[s.event_field].isna())
        if len(missing):
            raise SettingError(
                f"{file}, line {missing[0] + 2}: {s.event_field} is empty "
                f"({_rows(len(missing))}); correct or remove them"
            )
        self.set_field_property(s.event_field, FeatureType.TOKEN, FeatureSource.INTERACTION, 1)
        return frame

    def _remap(self, remap_list: list[Any]) -> None:
        """RecBole's ids, 1 … in order of first appearance, from the codes of a categorical."""
        frame, field, _ = remap_list[0]
        if (
            len(remap_list) == 1
            and isinstance(frame[field].dtype, pd.CategoricalDtype)
            and not frame[field].hasnans
        ):
            column = frame[field].cat
            ids, codes = pd.factorize(column.codes.to_numpy())
            tokens = np.array(["[PAD]", *column.categories.to_numpy(dtype=object)[codes]])
            self.field2id_token[field] = tokens
            self.field2token_id[field] = {token: i for i, token in enumerate(tokens)}
            frame[field] = ids + 1
            return
        for frame, field, _ in remap_list:
            if isinstance(frame[field].dtype, pd.CategoricalDtype):
                frame[field] = frame[field].astype(object)
        super()._remap(remap_list)

    def _fill_nan(self) -> None:
        """Nothing is filled in: a missing reward, time or event was refused."""

    def _reset_index(self) -> None:
        """RecBole's, with the data set's name in its complaint."""
        try:
            super()._reset_index()
        except ValueError:
            raise SettingError(
                f"{self.dataset_name}: no event is left after the filters of the data "
                "(val_interval, user_inter_num_interval, item_inter_num_interval, …); loosen them"
            ) from None

    def _normalize(self) -> None:
        """Rewards and times keep their units; no policy reads another float column."""

    # ------------------------------------------------------------------ parts

    def build(self) -> list[PolicyDataset]:
        """Training, validation and test part, by session; SettingError if one is empty."""
        s, frame = self.settings, self.inter_feat
        names = tuple(str(name) for name in self.field2id_token[s.event_field][1:])
        if len(names) > 255:
            raise SettingError(f"{s.event_field} has {len(names)} kinds of event; at most 255")
        # Ids are dense except where a .user file names users without events: renumber to be sure.
        session, self.user_of_session = pd.factorize(frame[s.USER_ID_FIELD].to_numpy(), sort=True)
        self.sessions = sequences.flat_sessions(
            session,
            frame[s.ITEM_ID_FIELD].to_numpy(),
            frame[s.TIME_FIELD].to_numpy(np.float64),
            frame[s.reward_field].to_numpy(np.float32),
            frame[s.event_field].to_numpy() - 1,
            names,
            frame[s.RATING_FIELD].to_numpy() if s.RATING_FIELD in frame else None,
        )
        self._report(self.sessions)
        self.set_field_property(  # some of RecBole's models ask how long a list of items can be
            self.item_list, FeatureType.TOKEN_SEQ, FeatureSource.INTERACTION, s.max_length
        )
        try:
            seed = s.seed if s.split_seed is None else s.split_seed
            parts = split_sessions(self.sessions, s.split, s.split_ratio, seed)
        except ValueError as error:
            raise SettingError(f"{self.dataset_name}: {error}") from None
        with warnings.catch_warnings():  # RecBole hands torch the read-only arrays of pandas 3
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            self._change_feat_format()
        return [self._of(name, part) for name, part in zip(NAMES, parts, strict=True)]

    def _report(self, sessions: Sessions) -> None:
        single = int((sessions.lengths == 1).sum())
        if single and not self.settings.evaluate_first_event:
            self.logger.warning(
                f"{single} of {len(sessions)} sessions have one event and nothing to predict: "
                "not used"
            )
        known = {*self.settings.purchase_events, *self.settings.click_events}
        other = sorted(set(sessions.event_names) - known)
        if other:
            self.logger.warning(
                f"events {', '.join(other)} are neither purchase_events nor click_events: they "
                "count in hit and ndcg only"
            )

    def _of(self, name: str, part: Part) -> PolicyDataset:
        chosen = copy.copy(self)
        for cached in ("windows", "training_windows", "places", "_returns", "max_reward"):
            chosen.__dict__.pop(cached, None)  # of the whole, should somebody have asked for them
        chosen.part_name, chosen.part = name, part
        chosen.inter_feat = chosen._rows(chosen.places)
        return chosen

    @cached_property
    def windows(self) -> Windows:
        """Windows that cover every target once, with the most recent inputs of each."""
        s = self.settings
        return sequences.evaluation_windows(
            self.sessions, self._part, s.max_length, s.evaluate_first_event
        )

    @cached_property
    def training_windows(self) -> Windows:
        """One window per session, with the loss on its last events."""
        s = self.settings
        return sequences.training_windows(
            self.sessions, self._part, s.max_length, s.loss_on_last, s.evaluate_first_event
        )

    def share(self, rank: int, size: int) -> PolicyDataset:
        """This part with every ``size``-th of its windows alone; rows stay those of the whole."""
        shared = copy.copy(self)
        shared.places = self.places
        shared.windows = self.windows.take(np.arange(rank, len(self.windows), size))
        return shared

    @property
    def _part(self) -> Part:
        """All of the sessions, before they are split."""
        if hasattr(self, "part"):
            return self.part
        offsets = self.sessions.offsets
        return Part(np.arange(len(self.sessions)), offsets[:-1], offsets[1:])

    @cached_property
    def places(self) -> np.ndarray:
        """Target events, as places in the flat store."""
        return sequences.target_places(self.windows)

    @cached_property
    def _returns(self) -> np.ndarray:
        return sequences.returns_to_go(self.sessions, self._part, self.settings.gamma)

    @cached_property
    def max_reward(self) -> float:
        """The largest reward of this part's targets, max r of section 3.1."""
        return float(self.sessions.rewards[self.places].max(initial=0.0))

    @property
    def item_counts(self) -> np.ndarray:
        """How many events that carry loss in training are of each item, int64 [A]."""
        places = sequences.target_places(self.training_windows)
        return np.bincount(self.sessions.items[places], minlength=self.item_num)[1:]

    @property
    def item_list(self) -> str:
        """RecBole's name of the column of items before an event."""
        return f"{self.settings.ITEM_ID_FIELD}{self.config['LIST_SUFFIX']}"

    @property
    def start_token(self) -> int:
        """What opens a session where its first event is predicted: the row after the items."""
        return int(self.item_num)

    def batch(self, windows: Windows, sample_weight: np.ndarray | None = None) -> Batch:
        """Windows of this part, collated; ``sample_weight`` as ``collate`` takes it."""
        return sequences.collate(
            self.sessions, windows, self.settings.gamma, self._returns, self.start_token,
            sample_weight,
        )  # fmt: skip

    @property
    def summary(self) -> str:
        """Size of the part, and what its metrics are over, in one line."""
        part, every = self.part, int(np.sum(self.part.stop - self.part.start))
        first = (
            "first events included"
            if self.settings.evaluate_first_event
            else ("without first events, which have no history")
        )
        return (
            f"{self.part_name}: {len(part)} sessions, {every} events, "
            f"{len(self.places)} to predict ({first})"
        )

    # ------------------------------------------------------------------ rows, as RecBole reads them

    def _rows(self, places: np.ndarray) -> Interaction:
        s, store = self.settings, self.sessions
        session = np.searchsorted(store.offsets, places, side="right") - 1
        return Interaction(
            {
                s.USER_ID_FIELD: torch.from_numpy(np.asarray(self.user_of_session)[session]),
                s.ITEM_ID_FIELD: torch.from_numpy(store.items[places].astype(np.int64)),
                s.TIME_FIELD: torch.from_numpy(store.timestamps[places].astype(np.float32)),
                s.event_field: torch.from_numpy(store.events[places].astype(np.int64) + 1),
                s.reward_field: torch.from_numpy(store.rewards[places]),
            }
        )

    def __getitem__(self, index: Any, join: bool = True) -> Interaction:
        """Rows of target events with the items before each: what RecBole's own models read."""
        places = np.atleast_1d(self.places[np.asarray(index)])
        rows = self._rows(places)
        items, lengths = sequences.prefixes(self.sessions, places, self.settings.max_length)
        rows[self.item_list] = items
        rows[self.config["ITEM_LIST_LENGTH_FIELD"]] = lengths
        return self.join(rows) if join else rows

    def __len__(self) -> int:
        return len(self.places) if hasattr(self, "sessions") else len(self.inter_feat)


def _refuse_non_finite(frame: pd.DataFrame, column: str, file: str) -> None:
    """A NaN would be filled, or trained on, without a word."""
    values = frame[column]
    if not np.issubdtype(values.dtype, np.number):
        raise SettingError(f"{file}: column '{column}' must be declared {column}:float")
    bad = np.flatnonzero(~np.isfinite(values.to_numpy()))
    if len(bad):
        raise SettingError(
            f"{file}, line {bad[0] + 2}: {column} is {values.iloc[bad[0]]} "
            f"({_rows(len(bad))}); correct or remove them"
        )


def _rows(count: int) -> str:
    return f"{count} such row{'s' if count > 1 else ''}"
