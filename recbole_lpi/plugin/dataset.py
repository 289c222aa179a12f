"""RecBole's data set, split by sessions, as batches of them and as rows."""

from __future__ import annotations

import copy
import warnings
from functools import cached_property
from typing import Any

import numpy as np
import torch
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType

from recbole_lpi.data.batches import prefixes
from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import Part, Sessions
from recbole_lpi.data.split import NAMES, read_cuts, split_sessions
from recbole_lpi.data.times import describe_held_out, describe_times
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.plugin.loading import LoadedLog
from recbole_lpi.settings import SettingError
from recbole_lpi.text import one_line

MANY = 0.1  # of the training events, that are not trained on
OF_A_PART = (
    "windows", "training_windows", "places", "_target_count", "returns", "max_reward",
)  # fmt: skip


class PolicyDataset(SessionData, LoadedLog):
    """Sessions of logged actions with rewards, which RecBole reads as one of its data sets.

    After ``build`` each part also is a sequential RecBole data set, one row per target event:
    ``part[index]`` gives user, item, the items before it, and its event and reward. The policies
    read ``batch`` instead: whole sessions.
    """

    part_name = ""  # until it is split

    def __init__(self, config: Any) -> None:
        LoadedLog.__init__(self, config)
        offsets = self.sessions.offsets
        self.part = Part(np.arange(len(self.sessions)), offsets[:-1], offsets[1:])

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
        return Tokens(self.field2id_token[self.uid_field][self.user_of_session])

    @property
    def reading(self) -> Reading:
        """How the settings have sessions read."""
        s = self.settings
        return Reading(
            s.max_length, s.gamma, s.loss_on_last, s.evaluate_first_event, s.training_windows
        )

    # ------------------------------------------------------------------ parts

    def build(self) -> list[PolicyDataset]:
        """Training, validation and test part, by session; SettingError if one is empty."""
        s = self.settings
        self._report(self.sessions)
        self.set_field_property(  # some of RecBole's models ask how long a list of items can be
            self.item_list, FeatureType.TOKEN_SEQ, FeatureSource.INTERACTION, s.max_length
        )
        try:
            seed = s.seed if s.split_seed is None else s.split_seed
            at = None if s.split_at is None else read_cuts(s.split_at)
            parts = split_sessions(self.sessions, s.split, s.split_ratio, seed, at)
        except ValueError as error:
            raise SettingError(f"{self.dataset_name}: {error}") from None
        for name, part in zip(NAMES[1:], parts[1:], strict=True):
            self.logger.info(describe_held_out(name, self.sessions, parts[0], part))
        with warnings.catch_warnings():  # RecBole hands torch the read-only arrays of pandas 3
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            self._change_feat_format()
        found = [self._of(name, part) for name, part in zip(NAMES, parts, strict=True)]
        found[0]._warn_of_left_out()
        return found

    def _warn_of_left_out(self) -> None:
        """Of a training part: that events of long sessions are not trained on, if many are."""
        s, every, trained = self.settings, len(self), int(self.training_windows.targets.sum())
        if every - trained > MANY * every:
            cure = (
                f"loss_on_last: {s.loss_on_last} leaves them out, and an empty one fewer"
                if s.loss_on_last is not None
                else "training_windows: all trains on every one, or a greater MAX_ITEM_LIST_LENGTH "
                f"({s.max_length}) on more"
            )
            self.logger.warning(
                f"{every - trained} of {every} training events ({1 - trained / every:.0%}) are not "
                f"trained on: of a long session its last events are. {cure}"
            )

    def _report(self, sessions: Sessions) -> None:
        for line in describe_times(sessions):
            self.logger.info(line)
        single = int((sessions.lengths == 1).sum())
        if single and not self.settings.evaluate_first_event:
            self.logger.warning(
                f"{single} of {len(sessions)} sessions have one event and nothing to predict: "
                "not used"
            )
        below = int((sessions.rewards < 0).sum())
        if below:
            self.logger.warning(
                f"{below} of {len(sessions.rewards)} rewards are below 0: average_reward counts a "
                "choice that was not logged as 0, which is more"
            )
        known = {*self.settings.purchase_events, *self.settings.click_events}
        other = sorted(set(sessions.event_names) - known)
        if other:
            self.logger.warning(
                f"events {one_line(', '.join(other))} are neither purchase_events nor "
                "click_events: they count in hit and ndcg only"
            )

    def _of(self, name: str, part: Part) -> PolicyDataset:
        chosen = copy.copy(self)
        for cached in OF_A_PART:  # of the whole, should somebody have asked for them
            chosen.__dict__.pop(cached, None)
        chosen.part_name, chosen.part, chosen._inter = name, part, None
        return chosen

    @property
    def item_list(self) -> str:
        """RecBole's name of the column of items before an event."""
        return f"{self.settings.ITEM_ID_FIELD}{self.config['LIST_SUFFIX']}"

    @property
    def summary(self) -> str:
        """Size of the part, and what its metrics are over, in one line."""
        part = self._used
        every = int(np.sum(part.stop - part.start))
        first = (
            "first events included"
            if self.settings.evaluate_first_event
            else ("without first events, which have no history")
        )
        trained = ""
        if self.part_name == NAMES[0]:
            trained = f", {self.training_windows.targets.sum()} of them trained on"
        return (
            f"{self.part_name}: {len(part)} sessions, {every} events, "
            f"{len(self)} to predict{trained} ({first})"
        )

    @property
    def _used(self) -> Part:
        """The sessions of the part that have something to predict."""
        part, first = self.part, not self.settings.evaluate_first_event
        begin = np.maximum(part.start, self.sessions.offsets[part.session] + int(first))
        used = part.stop > begin
        return Part(part.session[used], part.start[used], part.stop[used])

    # ------------------------------------------------------------------ rows, as RecBole reads them

    def _events(self) -> Any:
        return self._rows(self.places) if self.part_name else super()._events()

    def _rows(self, places: np.ndarray) -> Interaction:
        s, store = self.settings, self.sessions
        session = np.searchsorted(store.offsets, places, side="right") - 1
        return Interaction(
            {
                s.USER_ID_FIELD: torch.from_numpy(self.user_of_session[session].astype(np.int64)),
                s.ITEM_ID_FIELD: torch.from_numpy(store.items[places].astype(np.int64)),
                s.TIME_FIELD: torch.from_numpy(store.timestamps[places].astype(np.float32)),
                s.event_column: torch.from_numpy(store.events[places].astype(np.int64) + 1),
                s.reward_column: torch.from_numpy(store.rewards[places]),
            }
        )

    @property
    def _event_places(self) -> np.ndarray | slice:
        return self.places if self.part_name else super()._event_places

    @property
    def _events_of_sessions(self) -> np.ndarray:
        first = self.settings.evaluate_first_event
        if self.part_name:
            return self.part.targets(self.sessions, first)
        return super()._events_of_sessions

    def __getitem__(self, index: Any, join: bool = True) -> Interaction:
        """Rows of target events with the items before each: what RecBole's own models read."""
        places = np.atleast_1d(self.places[np.asarray(index)])
        rows = self._rows(places)
        items, lengths = prefixes(self.sessions, places, self.settings.max_length)
        rows[self.item_list] = items
        rows[self.config["ITEM_LIST_LENGTH_FIELD"]] = lengths
        return self.join(rows) if join else rows

    def __len__(self) -> int:
        return self._target_count

    @cached_property
    def _target_count(self) -> int:
        """Of events, without their places, which are a number each."""
        return int(self.part.targets(self.sessions, self.settings.evaluate_first_event).sum())
