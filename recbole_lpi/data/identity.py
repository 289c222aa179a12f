"""Hashes by which a catalogue, a log and a part of it are recognised."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from recbole_lpi.data.session_data import SessionData


def catalogue_hash(tokens: Iterable[str]) -> str:
    """Hash item tokens in the order of their ids: two catalogues with one hash are one."""
    digest = hashlib.sha256()
    for token in tokens:
        digest.update(str(token).encode() + b"\0")
    return digest.hexdigest()[:16]


def data_hash(train: SessionData) -> str:
    """Hash the catalogue, the events, their propensities if any, and which are trained on."""
    digest, store = hashlib.sha256(catalogue_hash(train.item_tokens).encode()), train.sessions
    known = () if store.propensities is None else (store.propensities,)
    of_events = (store.items, store.events, store.rewards, store.offsets, *known)
    for array in (*of_events, *_of_part(train)):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def part_hash(part: SessionData) -> str:
    """Hash which events of the log a part has."""
    digest = hashlib.sha256()
    for array in _of_part(part):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _of_part(data: SessionData) -> tuple[np.ndarray, ...]:
    return data.part.session, data.part.start, data.part.stop


def times_hash(data: SessionData) -> str:
    """Hash the times of all events, which ``data_hash`` leaves out: only some models read them."""
    times = np.ascontiguousarray(data.sessions.timestamps)
    return hashlib.sha256(times.data).hexdigest()[:16]
