"""Read a log by RecBole's steps, with those replaced that are slow, guess, or say nothing."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource, FeatureType

from recbole_lpi.data.settings import DataSettings, check_intervals
from recbole_lpi.data.times import describe_direction
from recbole_lpi.data.tokens import PADDING, Tokens
from recbole_lpi.plugin.atomic_files import read_atomic, read_header
from recbole_lpi.plugin.columns import (
    check_feature_file,
    check_header,
    check_names,
    with_rewards,
)
from recbole_lpi.plugin.filters import rows_within
from recbole_lpi.settings import SettingError

BY_DEFAULT = {"user_id", "item_id"}  # what RecBole's own load_col names, there or not


class ReadLog(Dataset):  # type: ignore[misc]
    """A data set of RecBole's as far as it reads, filters and numbers, with clear errors.

    What is derived and what is left out is told, a line each, in ``_notes``.
    """

    settings: DataSettings
    inter_feat: Any
    _notes: list[str]

    def _load_feat(self, filepath: str, source: Any) -> pd.DataFrame | None:
        """Read a file of the data set: interactions by polars, with errors that name the line."""
        if source != FeatureSource.INTERACTION:
            wanted, unwanted = self._get_load_and_unload_col(source)
            if wanted != set():  # else it is not read
                named = set(wanted or ()) | set(unwanted or ())
                check_feature_file(filepath, self.config["field_separator"], named)
            return super()._load_feat(filepath, source)
        wanted, unwanted = self._get_load_and_unload_col(source)
        s = self.settings  # load_col may leave out what a policy cannot do without
        needed = {s.USER_ID_FIELD, s.ITEM_ID_FIELD, s.TIME_FIELD, s.reward_column, s.event_column}
        left_out = needed & set(unwanted or ())
        if left_out:
            raise SettingError(
                f"unload_col must leave {', '.join(sorted(left_out))} alone: every model needs it "
                "here"
            )
        if s.rating_to_reward:
            needed.add(s.RATING_FIELD)
        optional = {s.propensity_column} if s.propensity_column else set()
        separator = self.config["field_separator"]
        check_header(read_header(filepath, separator), s, filepath)
        loaded = read_atomic(
            filepath,
            separator=separator,
            wanted=None if wanted is None else set(wanted) | needed | optional,
            unwanted=set(unwanted or ()),
        )
        named = set(wanted or ()) | set(unwanted or ())
        check_names(named - needed - BY_DEFAULT, loaded.every, filepath, "load_col or unload_col")
        frame, notes = with_rewards(loaded, s, filepath)
        sessions = frame[s.USER_ID_FIELD].cat.codes.to_numpy()
        times = frame[s.TIME_FIELD].to_numpy()
        self._notes += notes + describe_direction(sessions, times, filepath)
        derived = {s.reward_column: "float", s.event_column: "token"}
        for name, kind in {**loaded.kinds, **derived}.items():
            self.set_field_property(name, FeatureType(kind), FeatureSource.INTERACTION, 1)
        for name, kind in loaded.kinds.items():
            if kind == "float":
                self.field2bucketnum[name] = 2
        return frame

    def _data_filtering(self) -> None:
        """Filter events by RecBole's rules, and note how many they leave out."""
        self._leave_out_nameless()
        self._remove_duplication()
        before = len(self.inter_feat)
        self._filter_by_field_value()
        self._filter_inter_by_user_or_item()
        self._filter_by_inter_num()
        self._reset_index()
        left_out = before - len(self.inter_feat)
        if left_out:
            self._notes.append(
                f"{left_out} of {before} events are left out by the filters of the data"
            )

    def _leave_out_nameless(self) -> None:
        """Leave out events without a session or an item, as RecBole does, and note how many."""
        for field in (self.uid_field, self.iid_field):
            missing = self.inter_feat[field].isna()
            if missing.any():
                self._notes.append(
                    f"{missing.sum()} of {len(missing)} events have no {field} and are left out, "
                    f"the first in line {missing.idxmax() + 2} of {self.dataset_name}.inter"
                )
                self.inter_feat = self.inter_feat[~missing]
        super()._filter_nan_user_or_item()  # of the tables of users and items

    def _remove_duplication(self) -> None:
        """Keep the first or the last of the events of one session with one item (``rm_dup_inter``).

        Events of one time stay in the order given. A purchase may be left out for a click.
        """
        keep, frame = self.config["rm_dup_inter"], self.inter_feat
        if keep is None:
            return
        frame = frame.sort_values(self.time_field, kind="stable")
        again = frame.duplicated([self.uid_field, self.iid_field], keep=keep)
        self.inter_feat = frame[~again]
        gone = frame.loc[again, self.settings.event_column].astype(str).value_counts()
        if len(gone):
            kinds = ", ".join(f"{count} {name}" for name, count in gone.items())
            self._notes.append(
                f"rm_dup_inter: {keep} leaves out {again.sum()} of {len(frame)} events ({kinds}), "
                "whose session has its item once more, whatever the kinds of the two events"
            )

    def _filter_inter_by_user_or_item(self) -> None:
        """Filter by the tables of users and items; without any, copy nothing."""
        if self.user_feat is not None or self.item_feat is not None:
            super()._filter_inter_by_user_or_item()

    def _filter_by_field_value(self) -> None:
        """Filter by ``val_interval``; SettingError for a column or values that RecBole misreads."""
        for name, value in (self.config["val_interval"] or {}).items():
            if name not in self.field2type:
                known = ", ".join(self.field2type)
                raise SettingError(f"val_interval: there is no column '{name}', only {known}")
            if self.field2type[name] in (FeatureType.FLOAT, FeatureType.FLOAT_SEQ):
                check_intervals(f"val_interval: {name}", value)
            elif not isinstance(value, (list, tuple)):
                raise SettingError(
                    f"val_interval: {name} must be a list of the values to keep, got {value!r}"
                )
        super()._filter_by_field_value()

    def _filter_by_inter_num(self) -> None:
        """Filter by counts of events: of their codes, where RecBole would count them one by one."""
        if self.user_feat is not None or self.item_feat is not None:
            return super()._filter_by_inter_num()  # type: ignore[no-any-return]
        rules = []
        for kind, field in (("user", self.uid_field), ("item", self.iid_field)):
            intervals = self._parse_intervals_str(self.config[f"{kind}_inter_num_interval"])
            if intervals:
                codes = self.inter_feat[field].cat.codes.to_numpy()
                rules.append((codes, partial(self._within_intervals, intervals=intervals)))
        kept = rows_within(rules) if rules else None
        if kept is not None and not kept.all():
            self.inter_feat = self.inter_feat[kept]

    def _remap(self, remap_list: list[Any]) -> None:
        """Number the tokens of a column from 1 in order of first appearance, as RecBole does."""
        frame, field, _ = remap_list[0]
        if (
            len(remap_list) == 1
            and isinstance(frame[field].dtype, pd.CategoricalDtype)
            and not frame[field].hasnans
        ):
            column = frame[field].cat
            ids, codes = pd.factorize(column.codes.to_numpy())
            tokens = column.categories.to_numpy(dtype=object)[codes]
            self.field2id_token[field] = Tokens([PADDING, *tokens])
            frame[field] = ids.astype(np.int32) + np.int32(1)
            return
        for frame, field, _ in remap_list:
            if isinstance(frame[field].dtype, pd.CategoricalDtype):
                frame[field] = frame[field].astype(object)
        if remap_list:
            self._remap_together(remap_list)

    def _remap_together(self, remap_list: list[Any]) -> None:
        """Number tokens that several tables name, without an array as wide as the longest."""
        values, cuts = self._concat_remaped_tokens(remap_list)
        ids, tokens = pd.factorize(np.asarray(values, dtype=object))
        if PADDING in tokens:
            raise SettingError(
                f"{remap_list[0][1]} is '{PADDING}' in a file of {self.dataset_name}, what stands "
                "for none; name it otherwise"
            )
        named = Tokens([PADDING, *map(str, tokens)])
        for (frame, field, kind), own in zip(remap_list, np.split(ids + 1, cuts), strict=True):
            self.field2id_token.setdefault(field, named)
            ends = np.cumsum(frame[field].agg(len)) if kind == FeatureType.TOKEN_SEQ else None
            frame[field] = own if ends is None else np.split(own, ends[:-1])

    def _fill_nan(self) -> None:
        """Fill missing features of users and items; a missing reward, time or event was refused."""
        for name in self.feat_name_list[1:]:
            table = getattr(self, name)
            for field in table:
                if self.field2type[field] == FeatureType.TOKEN:
                    table[field] = table[field].fillna(0)
                elif self.field2type[field] == FeatureType.FLOAT:
                    table[field] = table[field].fillna(table[field].mean())

    def _reset_index(self) -> None:
        """Number rows anew after the filters; SettingError with their names if no event is left."""
        try:
            super()._reset_index()
        except ValueError:
            raise SettingError(
                f"{self.dataset_name}: no event is left after the filters of the data "
                "(val_interval, user_inter_num_interval, item_inter_num_interval, …); loosen them"
            ) from None

    def _normalize(self) -> None:
        """Do nothing: rewards and times keep their units, and no policy reads another number."""
