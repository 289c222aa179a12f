"""The data of a run, where they can be reached: histories of sessions, titles of items, Table 2."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from recbole_lpi.evaluation.measures import Kinds
from recbole_lpi.experiments.runs import FinishedRun
from recbole_lpi.plugin import configuration, stored_settings
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.input_files import check_data
from recbole_lpi.text import one_line

TITLES = ("title", "name")  # what a column of titles is called, or ends in


class Attributes(NamedTuple):
    """A log, or a part of it, in numbers: a row of the paper's Table 2."""

    name: str
    sessions: int
    items: int
    events: int
    clicks: int
    purchases: int
    others: int
    sparsity: float


@dataclass(frozen=True)
class Source:
    """The data of a run.

    Attributes:
        data: the whole log.
        config: the Config it was read by.
        train, valid, test: its parts.
    """

    data: PolicyDataset
    config: Any
    train: PolicyDataset
    valid: PolicyDataset
    test: PolicyDataset

    @cached_property
    def titles(self) -> dict[str, str]:
        """What items are called, by token, from the data set's ``.item`` file; {}: nothing."""
        name = str(self.config["dataset"])
        path = Path(self.config["data_path"]) / f"{name}.item"
        return read_titles(path, self.data.settings.ITEM_ID_FIELD)

    @cached_property
    def _session_of(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.data.session_tokens.tolist())}

    def history(self, session: str, position: int) -> list[tuple[str, str, float]]:
        """Return what a session has before ``position``: item, kind of event, time."""
        store = self.data.sessions
        start = int(store.offsets[self._session_of[session]])
        place = np.arange(start, start + position)
        items = self.data.item_tokens[store.items[place]]
        kinds = [store.event_names[code] for code in store.events[place]]
        return list(zip(items, kinds, store.timestamps[place].tolist(), strict=True))

    def attributes(self, kinds: Kinds) -> list[Attributes]:
        """Count the whole log and its parts."""
        whole = [("all", self.data), ("training", self.train), ("validation", self.valid),
                 ("test", self.test)]  # fmt: skip
        return [_attributes(name, data, kinds) for name, data in whole]


def read_source(run: FinishedRun, **given: Any) -> Source:
    """Read the data of a run again; SettingError if they are not there, or are others now."""
    path = run.folder.path
    with _silent():  # what is to be said of the log, the run itself has said
        kept = stored_settings.again(run.config, given, path)
        config = configuration.make(kept["model"], kept["dataset"], kept, given)
        check_data(config)
        data = PolicyDataset(config)
        return Source(data, config, *data.build())


def read_titles(path: Path, item_field: str) -> dict[str, str]:
    """Read what items are called from an ``.item`` file; {} where it has no column of titles."""
    if not path.is_file():
        return {}
    try:
        frame = pl.read_csv(path, separator="\t", quote_char=None, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError):
        return {}
    columns = {name.partition(":")[0]: name for name in frame.columns}
    title = next((name for name in columns if name.lower().endswith(TITLES)), None)
    if title is None or item_field not in columns:
        return {}
    pairs = frame.select(columns[item_field], columns[title]).drop_nulls().iter_rows()
    return {token: one_line(words) for token, words in pairs}


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the log of reading data from the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _attributes(name: str, data: PolicyDataset, kinds: Kinds) -> Attributes:
    """Count a log or a part of it: every event, whether it is predicted or not."""
    store, part = data.sessions, data.part
    lengths = part.stop - part.start
    session = np.repeat(np.arange(len(part)), lengths)
    place = np.repeat(part.start - np.cumsum(lengths) + lengths, lengths) + np.arange(len(session))
    items, codes = store.items[place], store.events[place]
    named = np.bincount(codes, minlength=len(store.event_names))
    number = {
        kind: sum(int(named[code]) for code, event in enumerate(store.event_names)
                  if event in kinds.names(kind))
        for kind in ("click", "purchase")
    }  # fmt: skip
    events, distinct = len(place), len(np.unique(items))
    pairs = len(np.unique(session.astype(np.int64) * data.item_num + items))
    sessions = int((lengths > 0).sum())
    return Attributes(
        name, sessions, distinct, events, number["click"], number["purchase"],
        events - number["click"] - number["purchase"],
        1 - pairs / (sessions * distinct) if pairs else float("nan"),
    )  # fmt: skip
