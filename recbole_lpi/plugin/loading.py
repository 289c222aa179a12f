"""RecBole's loading, into a flat store, skipped where an earlier run kept its result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from recbole.utils import FeatureSource, FeatureType

from recbole_lpi.data import session_store
from recbole_lpi.data.session_store import Stored
from recbole_lpi.data.sessions import Sessions, flat_sessions, session_order
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.data.tokens import TokenIds
from recbole_lpi.plugin.reading import ReadLog
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.roles import Role
from recbole_lpi.settings import SettingError, refused

OF_LOADING = names(Role.LOG, Role.FILTER)  # what decides which events are loaded
# What makes of a column what is no plain array, or reads files beyond three: not kept.
NOT_KEPT = names(Role.FEATURES)


class LoadedLog(ReadLog):
    """RecBole's data set with its events in a flat store, rewards and kinds of event checked.

    What it holds is the same whether it was read or mapped from the cache.
    """

    sessions: Sessions
    user_of_session: np.ndarray  # int32 [S], ids of the sessions' tokens
    _inter: Any = None
    _built = False

    def __init__(self, config: Any) -> None:
        self.settings = DataSettings.of(config)
        self._notes: list[str] = []  # what was derived and left out, a line each
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
            stored = session_store.found_or_made(Path(folder), self._made_from, self._loaded)
            self._restore(stored)
        self.sessions, self.user_of_session = stored.sessions, stored.user_of_session
        self._columns, self._inter = stored.columns, None
        for note in stored.fields["notes"]:
            self.logger.warning(note)
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
        return session_store.sources(there, given)

    def _loaded(self) -> Stored:
        """Everything read, filtered and numbered by RecBole's steps; events sorted."""
        self._load_data(self.dataset_name, self.dataset_path)
        self._init_alias()
        self._data_processing()
        s, frame = self.settings, self.inter_feat
        self._inter = None  # the frame is given up as soon as it is sorted
        names = tuple(self.field2id_token[s.event_column][1:])
        if len(names) > 255:
            raise SettingError(f"{s.event_column} has {len(names)} kinds of event; at most 255")
        # Ids are dense except where a .user file names users without events: renumber to be sure.
        user = frame[s.USER_ID_FIELD].to_numpy()
        there = np.bincount(user) > 0
        session = (np.cumsum(there, dtype=np.int32) - 1)[user]
        time = frame[s.TIME_FIELD].to_numpy(np.float64)
        store = flat_sessions(
            session,
            frame[s.ITEM_ID_FIELD].to_numpy(),
            time,
            frame[s.reward_column].to_numpy(),
            frame[s.event_column].to_numpy() - 1,
            names,
            frame[s.RATING_FIELD].to_numpy() if s.RATING_FIELD in frame else None,
        )
        others = [name for name in frame if name not in self._of_the_store]
        order = session_order(session, time) if others else slice(None)
        return Stored(
            sessions=store,
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
                "notes": self._notes,
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
            s.USER_ID_FIELD, s.ITEM_ID_FIELD, s.TIME_FIELD, s.event_column, s.reward_column,
            s.RATING_FIELD,
        )  # fmt: skip

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
            s.event_column: store.events.astype(np.int64) + 1,
            s.reward_column: store.rewards,
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
