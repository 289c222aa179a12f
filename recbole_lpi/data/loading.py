"""RecBole's loading, replaced where it is slow, skipped where an earlier run kept its result."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset
from recbole.utils import FeatureSource, FeatureType

from recbole_lpi.data import sequences, session_cache
from recbole_lpi.data.atomic import read_atomic
from recbole_lpi.data.filters import rows_within
from recbole_lpi.data.rewards import events_of_rewards, rewards_of_ratings
from recbole_lpi.data.sequences import Sessions
from recbole_lpi.data.session_cache import Stored
from recbole_lpi.data.settings import DataSettings, check_intervals
from recbole_lpi.data.tokens import TokenIds
from recbole_lpi.settings import SettingError, refused

# All of RecBole's settings, besides our own, that decide what is loaded.
OF_LOADING = (
    "field_separator", "seq_separator", "encoding", "USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD",
    "RATING_FIELD", "LABEL_FIELD", "threshold", "seq_len", "load_col", "unload_col", "val_interval",
    "rm_dup_inter", "filter_inter_by_user_or_item", "user_inter_num_interval",
    "item_inter_num_interval", "alias_of_user_id", "alias_of_item_id", "preload_weight",
)  # fmt: skip
# Those that make of a column what is no plain array, or read files beyond three: not kept.
NOT_KEPT = ("additional_feat_suffix", "numerical_features", "discretization", "benchmark_filename")


class LoadedLog(Dataset):  # type: ignore[misc]
    """RecBole's data set with its events in a flat store, rewards and kinds of event checked.

    What it holds is the same whether it was read or mapped from the cache.
    """

    sessions: Sessions
    user_of_session: np.ndarray  # int32 [S], ids of the sessions' tokens
    _inter: Any = None
    _built = False

    def __init__(self, config: Any) -> None:
        self.settings = DataSettings.of(config)
        with refused(f"data set {config['dataset']} cannot be read ({config['data_path']})"):
            super().__init__(config)

    # ------------------------------------------------------------------ loading

    def _from_scratch(self) -> None:
        """RecBole's loading, or what an earlier run kept of it."""
        self._get_preset()
        self._get_field_from_config()
        folder = self.settings.session_cache_dir
        if folder == "none" or any(self.config[name] for name in NOT_KEPT):
            stored = self._loaded()
        else:
            stored = session_cache.found_or_made(Path(folder), self._made_from, self._loaded)
            self._restore(stored)
        self.sessions, self.user_of_session = stored.sessions, stored.user_of_session
        self._columns, self._inter = stored.columns, None
        self.field2token_id = {name: TokenIds(t) for name, t in self.field2id_token.items()}

    def _made_from(self) -> dict[str, Any]:
        """Files and settings that decide what is loaded."""
        files = {
            source.value: Path(self.dataset_path, f"{self.dataset_name}.{source.value}")
            for source in (FeatureSource.INTERACTION, FeatureSource.USER, FeatureSource.ITEM)
        }
        s = self.settings
        given = {name: self.config[name] for name in OF_LOADING}
        given |= {name: getattr(s, name) for name in ("reward_field", "event_field")}
        given["rating_to_reward"] = sorted(s.rating_to_reward.items())
        there = {suffix: path for suffix, path in files.items() if path.is_file()}
        return session_cache.sources(there, given)

    def _loaded(self) -> Stored:
        """Everything read, filtered and numbered by RecBole's steps; events sorted."""
        self._load_data(self.dataset_name, self.dataset_path)
        self._init_alias()
        self._data_processing()
        s, frame = self.settings, self.inter_feat
        self._inter = None  # the frame is given up as soon as it is sorted
        names = tuple(str(name) for name in self.field2id_token[s.event_field][1:])
        if len(names) > 255:
            raise SettingError(f"{s.event_field} has {len(names)} kinds of event; at most 255")
        # Ids are dense except where a .user file names users without events: renumber to be sure.
        user = frame[s.USER_ID_FIELD].to_numpy()
        there = np.bincount(user) > 0
        session = (np.cumsum(there, dtype=np.int32) - 1)[user]
        time = frame[s.TIME_FIELD].to_numpy(np.float64)
        sessions = sequences.flat_sessions(
            session,
            frame[s.ITEM_ID_FIELD].to_numpy(),
            time,
            frame[s.reward_field].to_numpy(),
            frame[s.event_field].to_numpy() - 1,
            names,
            frame[s.RATING_FIELD].to_numpy() if s.RATING_FIELD in frame else None,
        )
        others = [name for name in frame if name not in self._of_the_store]
        order = sequences.session_order(session, time) if others else slice(None)
        return Stored(
            sessions=sessions,
            user_of_session=np.flatnonzero(there).astype(np.int32),
            tokens=dict(self.field2id_token),
            columns={name: frame[name].to_numpy()[order] for name in others},
            features={
                name: getattr(self, name) for name in self.feat_name_list if name != "inter_feat"
            },
            fields={
                "types": {name: kind.value for name, kind in self.field2type.items()},
                "sources": {
                    name: getattr(source, "value", source)
                    for name, source in self.field2source.items()
                },
                "lengths": dict(self.field2seqlen),
                "buckets": dict(self.field2bucketnum),
            },
        )

    def _restore(self, stored: Stored) -> None:
        """RecBole's attributes, as its steps left them in the run that loaded."""
        fields = stored.fields
        self.field2type = {name: FeatureType(kind) for name, kind in fields["types"].items()}
        self.field2source = {name: FeatureSource(kind) for name, kind in fields["sources"].items()}
        self.field2seqlen, self.field2bucketnum = dict(fields["lengths"]), dict(fields["buckets"])
        self.field2id_token = dict(stored.tokens)
        for name in ("user_feat", "item_feat"):
            setattr(self, name, stored.features.get(name))
        self.feat_name_list = ["inter_feat", *stored.features]
        self._init_alias()
        self._preload_weight_matrix()

    @property
    def _of_the_store(self) -> tuple[str, ...]:
        s = self.settings
        return (
            s.USER_ID_FIELD, s.ITEM_ID_FIELD, s.TIME_FIELD, s.event_field, s.reward_field,
            s.RATING_FIELD,
        )  # fmt: skip

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

    def _filter_inter_by_user_or_item(self) -> None:
        """RecBole's, which copies every event even where there is nothing to filter by."""
        if self.user_feat is not None or self.item_feat is not None:
            super()._filter_inter_by_user_or_item()

    def _filter_by_field_value(self) -> None:
        """RecBole's, of columns and values that are what it takes them to be."""
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
        """RecBole's, which counts events one by one; by their codes where nothing else counts."""
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
        """RecBole's ids, 1 … in order of first appearance, from the codes of a categorical."""
        frame, field, _ = remap_list[0]
        if (
            len(remap_list) == 1
            and isinstance(frame[field].dtype, pd.CategoricalDtype)
            and not frame[field].hasnans
        ):
            column = frame[field].cat
            ids, codes = pd.factorize(column.codes.to_numpy())
            tokens = column.categories.to_numpy(dtype=object)[codes]
            self.field2id_token[field] = np.array(["[PAD]", *tokens])
            frame[field] = ids.astype(np.int32) + np.int32(1)
            return
        for frame, field, _ in remap_list:
            if isinstance(frame[field].dtype, pd.CategoricalDtype):
                frame[field] = frame[field].astype(object)
        super()._remap(remap_list)

    def _fill_nan(self) -> None:
        """RecBole's, of users and items alone: a missing reward, time or event was refused."""
        for name in self.feat_name_list[1:]:
            table = getattr(self, name)
            for field in table:
                if self.field2type[field] == FeatureType.TOKEN:
                    table[field] = table[field].fillna(0)
                elif self.field2type[field] == FeatureType.FLOAT:
                    table[field] = table[field].fillna(table[field].mean())

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

    # ------------------------------------------------------------------ events, as RecBole has them

    @property
    def inter_feat(self) -> Any:
        """Every event; a frame until the data set is built. Made when asked for: few models do."""
        if self._inter is None:
            self._inter = self._events()
        return self._inter

    @inter_feat.setter
    def inter_feat(self, value: Any) -> None:
        self._inter = value

    def _events(self) -> Any:
        """In the order of the store."""
        s, store = self.settings, self.sessions
        columns = {
            s.USER_ID_FIELD: np.repeat(self.user_of_session, store.lengths).astype(np.int64),
            s.ITEM_ID_FIELD: store.items.astype(np.int64),
            s.TIME_FIELD: store.timestamps,
            s.event_field: store.events.astype(np.int64) + 1,
            s.reward_field: store.rewards,
        }
        if store.ratings is not None:
            columns[s.RATING_FIELD] = store.ratings
        for name, column in self._columns.items():
            token = self.field2type[name] == FeatureType.TOKEN
            columns[name] = column.astype(np.int64) if token else column
        frame = pd.DataFrame(columns)
        return self._dataframe_to_interaction(frame) if self._built else frame

    def _change_feat_format(self) -> None:
        """RecBole's, for tables of users and items; that of events is made when it is asked for."""
        self._built, self._inter = True, None
        for name in self.feat_name_list[1:]:
            if isinstance(getattr(self, name), pd.DataFrame):
                setattr(self, name, self._dataframe_to_interaction(getattr(self, name)))

    @property
    def _event_places(self) -> np.ndarray | slice:
        """Where in the store the rows of ``inter_feat`` are."""
        return slice(None)

    @property
    def _events_of_sessions(self) -> np.ndarray:
        """Rows of ``inter_feat`` by session."""
        return self.sessions.lengths

    @property
    def inter_num(self) -> int:
        """Rows of ``inter_feat``."""
        return int(self._events_of_sessions.sum())

    @property
    def avg_actions_of_users(self) -> float:
        """Rows of ``inter_feat`` a user, over those that have any."""
        return _mean_of_positive(self._events_of_sessions)

    @property
    def avg_actions_of_items(self) -> float:
        """Rows of ``inter_feat`` an item, over those that have any."""
        return _mean_of_positive(np.bincount(self.sessions.items[self._event_places]))


def _mean_of_positive(counts: np.ndarray) -> float:
    return float(counts[counts > 0].mean())


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
