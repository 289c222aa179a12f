"""Split RecBole's data set by sessions, into parts that give batches of them and rows."""

from __future__ import annotations

import copy
import warnings
from functools import cached_property
from typing import Any, Literal

import numpy as np
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType

from recbole_lpi.data.batches import prefixes
from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import Part, whole_of
from recbole_lpi.data.split import NAMES, read_cuts, split_sessions
from recbole_lpi.data.times import describe_held_out
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.plugin.event_rows import GAPS, KINDS, rows_at
from recbole_lpi.plugin.loading import LoadedLog
from recbole_lpi.plugin.log_reports import report_log, warn_of_left_out
from recbole_lpi.settings import SettingError

OF_A_PART = (
    "windows", "training_windows", "places", "_target_count", "returns", "max_reward",
)  # fmt: skip


class PolicyDataset(SessionData, LoadedLog):
    """Sessions of logged actions with rewards, which RecBole reads as one of its data sets.

    After ``build`` each part also is a sequential RecBole data set, one row per target event:
    ``part[index]`` gives user, item, the items before it, and its event and reward. The policies
    read ``batch`` instead: whole sessions.

    Attributes:
        item_list: RecBole's name of the column of items before an event.
    """

    part_name = ""  # until it is split

    def __init__(self, config: Any) -> None:
        LoadedLog.__init__(self, config)
        self.part = whole_of(self.sessions)
        self.item_list = f"{self.settings.ITEM_ID_FIELD}{self.config['LIST_SUFFIX']}"

    @property
    def item_num(self) -> int:
        """The number of ids of items, A + 1: the items and padding."""
        return int(self.num(self.iid_field))

    @property
    def item_tokens(self) -> Tokens:
        """The name of each item by its id, that of padding first."""
        tokens: Tokens = self.field2id_token[self.iid_field]
        return tokens

    @property
    def session_tokens(self) -> Tokens:
        """The name of each session, [S]."""
        tokens: Tokens = self.field2id_token[self.uid_field]
        return tokens.take(self.user_of_session)

    @property
    def reading(self) -> Reading:
        """How sessions are read, as the settings say."""
        s = self.settings
        return Reading(
            s.max_length,
            s.gamma,
            s.loss_on_last,
            s.evaluate_first_event,
            s.windows_trained_on,
        )

    # ------------------------------------------------------------------ parts

    def build(self) -> list[PolicyDataset]:
        """Split into training, validation and test part, by session; SettingError if one is empty.

        What a run should know of the log and of its parts is logged.
        """
        s = self.settings
        report_log(self.sessions, s)
        self.set_field_property(  # some of RecBole's models ask how long a list of items can be
            self.item_list, FeatureType.TOKEN_SEQ, FeatureSource.INTERACTION, s.max_length
        )
        try:
            seed = s.seed if s.split_seed is None else s.split_seed
            at = None if s.split_at is None else read_cuts(s.split_at)
            parts = split_sessions(
                self.sessions, s.split, s.split_ratio, seed, at, s.evaluate_first_event
            )
        except ValueError as error:
            raise SettingError(f"{self.dataset_name}: {error}") from None
        for name, part in zip(NAMES[1:], parts[1:], strict=True):
            self.logger.info(describe_held_out(name, self.sessions, parts[0], part))
        with warnings.catch_warnings():  # RecBole hands torch the read-only arrays of pandas 3
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            self._change_feat_format()
        found = [self._of(name, part) for name, part in zip(NAMES, parts, strict=True)]
        warn_of_left_out(found[0], s)
        return found

    def _of(self, name: str, part: Part) -> PolicyDataset:
        """Return a copy that is one part; it shares everything else with the whole."""
        chosen = copy.copy(self)
        for cached in OF_A_PART:  # of the whole, should somebody have asked for them
            chosen.__dict__.pop(cached, None)
        chosen.part_name, chosen.part, chosen._inter = name, part, None
        return chosen

    # ------------------------------------------------------------------ rows, as RecBole reads them

    def _events(self) -> Any:
        """Make RecBole's table of events: of all or, once split, of the targets of the part."""
        if not self.part_name:
            return super()._events()
        return rows_at(self.places, self.sessions, self.user_of_session, self.settings)

    def _row_counts(self, by: Literal["session", "item"]) -> np.ndarray:
        """Count the rows of ``inter_feat``, of all or of the part, by session or by item."""
        if not self.part_name:
            return super()._row_counts(by)
        if by == "session":
            return self.part.targets(self.sessions, self.settings.evaluate_first_event)
        return np.bincount(self.sessions.items[self.places])

    def __getitem__(self, index: Any, join: bool = True) -> Interaction:
        """Return rows of target events with the items before each, for RecBole's own models."""
        places = np.atleast_1d(self.places[np.asarray(index)])
        rows = rows_at(places, self.sessions, self.user_of_session, self.settings)
        history, lengths = prefixes(self.sessions, places, self.settings.max_length)
        rows[self.item_list], rows[KINDS], rows[GAPS] = history
        rows[self.config["ITEM_LIST_LENGTH_FIELD"]] = lengths
        return self.join(rows) if join else rows

    def __len__(self) -> int:
        """Return the number of target events."""
        return self._target_count

    @cached_property
    def _target_count(self) -> int:
        """The number of target events, without their places, which are a number each."""
        return int(self.part.targets(self.sessions, self.settings.evaluate_first_event).sum())


def part_of(data: Any) -> PolicyDataset:
    """Return the part of the data itself, or the one that a loader of RecBole's holds."""
    part = data if isinstance(data, PolicyDataset) else data.dataset
    if not isinstance(part, PolicyDataset):
        raise SettingError(f"policies train on sessions: got a {type(part).__name__}")
    return part
