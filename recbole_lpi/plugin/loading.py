"""Load a log by RecBole's steps into a flat store, or take what an earlier run kept of that."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from recbole.utils import FeatureSource, FeatureType

from recbole_lpi.data import session_store
from recbole_lpi.data.session_store import Stored
from recbole_lpi.data.sessions import Sessions, session_order
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.data.tokens import TokenIds
from recbole_lpi.plugin.event_rows import columns_of_the_store, frame_of, store_of
from recbole_lpi.plugin.reading import ReadLog
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.roles import Role
from recbole_lpi.settings import refused

OF_LOADING = names(Role.LOG, Role.FILTER)  # what decides which events are loaded
OF_COLUMNS = ("PROPENSITY_FIELD", "reward_field", "event_field")
# What makes a column anything but a plain array, or reads files beyond three: not kept.
NOT_KEPT = names(Role.FEATURES)


class LoadedLog(ReadLog):
    """A data set of RecBole's with its events in a flat store, and rewards checked.

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
        """Load by RecBole's steps, or take what an earlier run kept of that."""
        self._get_preset()
        self._get_field_from_config()
        folder = self.settings.session_cache_dir
        if folder == "none" or any(self.config[name] for name in NOT_KEPT):
            stored = self.read_and_number()
        else:
            made_from = partial(
                _made_from, self.config, self.settings, self.dataset_name, self.dataset_path
            )
            stored = session_store.found_or_made(Path(folder), made_from, self.read_and_number)
            self._restore(stored)
        self.sessions, self.user_of_session = stored.sessions, stored.user_of_session
        self._columns, self._inter = stored.columns, None
        for note in stored.fields["notes"]:
            self.logger.warning(note)
        self.field2token_id = {name: TokenIds(t) for name, t in self.field2id_token.items()}

    def read_and_number(self) -> Stored:
        """Read, filter and number everything by RecBole's steps, and sort the events."""
        self._load_data(self.dataset_name, self.dataset_path)
        self._init_alias()
        self._data_processing()
        s, frame = self.settings, self.inter_feat
        self._inter = None  # the frame is given up as soon as it is sorted
        # Ids are dense except where a .user file names users without events: renumber to be sure.
        user = frame[s.USER_ID_FIELD].to_numpy()
        there = np.bincount(user) > 0
        session = (np.cumsum(there, dtype=np.int32) - 1)[user]
        store = store_of(frame, session, tuple(self.field2id_token[s.event_column][1:]), s)
        kept = columns_of_the_store(s)
        others = [name for name in frame if name not in kept]
        time = frame[s.TIME_FIELD].to_numpy(np.float64)
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
        """Set RecBole's attributes as its steps left them in the run that loaded."""
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

    # ------------------------------------------------------------------ events, as RecBole has them

    @property
    def inter_feat(self) -> Any:
        """Every event, made when it is asked for; a frame until the data set is built."""
        if self._inter is None:
            self._inter = self._events()
        return self._inter

    @inter_feat.setter
    def inter_feat(self, value: Any) -> None:
        """Replace the events, as RecBole's steps do while they load."""
        self._inter = value

    def _events(self) -> Any:
        """Make RecBole's table of every event, in the order of the store."""
        others = {
            name: column.astype(np.int64) if self.field2type[name] == FeatureType.TOKEN else column
            for name, column in self._columns.items()
        }
        frame = frame_of(self.sessions, self.user_of_session, self.settings, others)
        return self._dataframe_to_interaction(frame) if self._built else frame

    def _change_feat_format(self) -> None:
        """Convert tables of users and items; that of events is made when it is asked for."""
        self._built, self._inter = True, None
        for name in self.feat_name_list[1:]:
            if isinstance(getattr(self, name), pd.DataFrame):
                setattr(self, name, self._dataframe_to_interaction(getattr(self, name)))

    def _row_counts(self, by: Literal["session", "item"]) -> np.ndarray:
        """Count the rows of ``inter_feat`` by session or by item."""
        return self.sessions.lengths if by == "session" else np.bincount(self.sessions.items)

    @property
    def inter_num(self) -> int:
        """The number of rows of ``inter_feat``."""
        return int(self._row_counts("session").sum())

    @property
    def avg_actions_of_users(self) -> float:
        """The mean number of rows of ``inter_feat`` per user, over those that have any."""
        return _mean_of_positive(self._row_counts("session"))

    @property
    def avg_actions_of_items(self) -> float:
        """The mean number of rows of ``inter_feat`` per item, over those that have any."""
        return _mean_of_positive(self._row_counts("item"))


def _made_from(config: Any, settings: DataSettings, name: str, folder: str) -> dict[str, Any]:
    """Describe the files and settings that decide what is loaded of data set ``name``."""
    files = {
        source.value: Path(folder, f"{name}.{source.value}")
        for source in (FeatureSource.INTERACTION, FeatureSource.USER, FeatureSource.ITEM)
    }
    given = {name: config[name] for name in OF_LOADING}
    given |= {name: getattr(settings, name) for name in OF_COLUMNS}
    given["rating_to_reward"] = sorted(settings.rating_to_reward.items())
    there = {suffix: path for suffix, path in files.items() if path.is_file()}
    return session_store.sources(there, given)


def _mean_of_positive(counts: np.ndarray) -> float:
    """Return the mean of the counts above 0."""
    return float(counts[counts > 0].mean())
