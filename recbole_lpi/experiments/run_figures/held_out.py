"""What policies make of test events, for the figures of weights and values.

The data of the runs and their models are needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import polars as pl

from recbole_lpi.data.session_data import SessionData
from recbole_lpi.evaluation.metrics import KINDS, Kinds
from recbole_lpi.experiments.run_figures.named_policies import NamedPolicy
from recbole_lpi.settings import SettingError
from recbole_lpi.text import visible


def columns(policies: Sequence[NamedPolicy], **given: Any) -> tuple[pl.DataFrame, list[str]]:
    """Return test events of every run whose policy has a network of ours, and who was left out.

    Args:
        given: settings of the machine that are others here, such as ``data_path``.

    Returns:
        A row for each run and event: policy, seed, session, kind (``purchase``, ``click`` or
        ``other``), weight, value, return; and the names of the policies that have no such network.

    Raises:
        SettingError: no policy has one, or the data of a run are not there.
    """
    from recbole_lpi.plugin.finished_policy import NoNetwork, finished_policy
    from recbole_lpi.training.held_out import held_out_events

    frames, without = [], []
    for policy in policies:
        for run in policy.runs:
            try:
                with _quietly():
                    found = finished_policy(run.folder, **given)
            except NoNetwork:
                without.append(policy.name)
                break
            network, test = found.policy, found.test
            if network.needs_logging_policy:
                network.compare_with(found.logging_policy())
            try:
                events = held_out_events(network, test)
            except ValueError as error:
                raise SettingError(f"{run.folder.path}: {error}") from None
            frames.append(
                pl.DataFrame(
                    {
                        "policy": policy.name, "seed": str(run.seed), **_places(test, run.kinds),
                        "weight": events.weight, "value": events.value,
                        "return": events.return_,
                    }
                )
            )  # fmt: skip
    if not frames:
        raise SettingError(f"no policy has a network of ours: {', '.join(map(visible, without))}")
    return pl.concat(frames), without


def _places(test: SessionData, kinds: Kinds) -> dict[str, Any]:
    """Return session and kind of each event of a part."""
    store, place = test.sessions, test.places
    names = np.array(store.event_names, object)[store.events[place]]
    kind = np.full(len(place), "other", object)
    for each in KINDS:
        kind[np.isin(names, kinds.names(each))] = each
    return {
        "session": store.offsets.searchsorted(place, side="right") - 1,
        "kind": pl.Series(kind.tolist(), dtype=pl.String),
    }


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what the run has said of its data already, when it was trained."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
