"""Session stores kept on disk by what they were made from, and mapped into memory by later runs.

    <session_cache_dir>/<key>/   the key hashes the data files' contents, the settings, the format
        about.json               format and version, what the key hashes, a hash of every other file
        items.npy …              the arrays of ``Sessions``, and what else a data set holds
        columns-0.npy …          further columns of the log
        tokens-0.arrow …         tokens by id, each as long as it is
        features-item_feat.parquet

Every file is plain: nothing is pickled. A folder is filled beside and renamed into place, and never
written to again, so any number of runs may map it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from recbole_lpi.data.consistency import contradiction
from recbole_lpi.data.sessions import Sessions
from recbole_lpi.data.tokens import Tokens, map_tokens, write_tokens
from recbole_lpi.files import filling, write_json
from recbole_lpi.locks import exclusive_beside, remove_left_behind

FORMAT, VERSION = "recbole_lpi sessions", 4
ABOUT = "about.json"
PIECE = 2**24  # bytes that a thread hashes at once; part of the format
ARRAYS = tuple(field.name for field in fields(Sessions) if field.name != "event_names")


@dataclass(frozen=True)
class Stored:
    """A loaded data set, before it is split.

    Attributes:
        sessions: every event.
        user_of_session: int32 [S], the id of each session's token.
        tokens: of each token field, by id; 0 is padding.
        columns: further columns of the log, [E], in the order of the store.
        features: pandas frames of what is known of users and items, by name, a row per id.
        fields: plain values that describe the columns.
    """

    sessions: Sessions
    user_of_session: np.ndarray
    tokens: dict[str, Tokens]
    columns: dict[str, np.ndarray]
    features: dict[str, Any]
    fields: dict[str, Any]


class Damaged(Exception):
    """Says why a folder does not hold the store that was written there."""


def sources(files: Mapping[str, Path], settings: Mapping[str, Any]) -> dict[str, Any]:
    """List what a store is made from: contents of files by suffix, settings, the format."""
    made_from = {
        "format": [FORMAT, VERSION],
        "files": {suffix: content_hash(path) for suffix, path in files.items()},
        "settings": settings,
    }
    return dict(json.loads(json.dumps(made_from)))  # as it will be read back


def key_of(made_from: Mapping[str, Any]) -> str:
    """Name the folder of a store that is made from ``sources``."""
    text = json.dumps(made_from, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def content_hash(path: Path) -> str:
    """Hash a file: SHA-256 of the SHA-256 of each 16 MiB: pieces are hashed in parallel."""

    def digest(offset: int) -> bytes:
        with open(path, "rb") as file:
            file.seek(offset)
            return hashlib.sha256(file.read(PIECE)).digest()

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        pieces = pool.map(digest, range(0, path.stat().st_size, PIECE))
        return hashlib.sha256(b"".join(pieces)).hexdigest()


def found_or_made(
    root: Path, made_from: Callable[[], dict[str, Any]], make: Callable[[], Stored]
) -> Stored:
    """Map the store of these ``sources`` under ``root``; make and keep it where it is not there.

    Of several runs that need it, one makes it. Where it cannot be kept that is said, and what was
    made is returned as it is. What killed runs left half written under ``root`` is removed.
    """
    for left in remove_left_behind(root):
        logging.getLogger().info(f"sessions: removed {left}, left half written by a killed run")
    before = made_from()
    folder = root / key_of(before)
    found = _found(folder)
    if found is not None:
        return found
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive_beside(folder, "sessions"))
        except OSError as error:
            _warn(f"{root} cannot be written to ({error}): the sessions are not kept")
            return make()
        found = _found(folder)  # by a run that was waited for
        if found is not None:
            return found
        made = make()
        try:
            if made_from() != before:
                raise Damaged("the data files changed while they were read")
            _put_aside(folder)
            save(folder, made, before)
            return load(folder)
        except (OSError, ValueError, TypeError, NotImplementedError, Damaged) as error:
            _warn(f"{folder} could not be written ({error}): the sessions are not kept")
            return made


def _found(folder: Path) -> Stored | None:
    if not os.path.lexists(folder):
        return None
    try:
        found = load(folder)
        logging.getLogger().info(f"sessions: those kept in {folder}")
        return found
    except Damaged as error:
        _warn(f"{folder} is not used: {error}")
        return None


def _put_aside(folder: Path) -> None:
    """Put aside what stands where a store belongs: it may be somebody else's."""
    if not os.path.lexists(folder):
        return
    aside = Path(tempfile.mkdtemp(prefix=f"{folder.name}.damaged.", dir=folder.parent))
    folder.rename(aside / folder.name)
    _warn(f"it is made anew; what was there is now in {aside}, to be deleted")


def _warn(text: str) -> None:
    logging.getLogger().warning(f"session_cache_dir: {text}")


# ---------------------------------------------------------------------- files


def save(folder: Path, stored: Stored, made_from: dict[str, Any]) -> None:
    """Write ``folder``, all of it or nothing, while no other run does."""
    with filling(folder) as scratch:
        names: dict[str, Any] = {"tokens": {}, "columns": {}}
        arrays = {name: getattr(stored.sessions, name) for name in ARRAYS}
        arrays["user_of_session"] = stored.user_of_session
        for number, (field, column) in enumerate(stored.columns.items()):
            names["columns"][field] = f"columns-{number}"
            arrays[f"columns-{number}"] = column
        for number, (field, tokens) in enumerate(stored.tokens.items()):
            names["tokens"][field] = f"tokens-{number}"
            write_tokens(scratch / f"tokens-{number}.arrow", tokens)
        for name, array in arrays.items():
            if array is not None:
                np.save(scratch / f"{name}.npy", array, allow_pickle=False)
        for name, frame in stored.features.items():
            frame.to_parquet(scratch / f"features-{name}.parquet", engine="pyarrow")
        about = {
            "format": FORMAT,
            "version": VERSION,
            "made_from": made_from,
            "event_names": list(stored.sessions.event_names),
            **names,
            "features": list(stored.features),
            "fields": stored.fields,
            "files": {path.name: content_hash(path) for path in sorted(scratch.iterdir())},
        }
        write_json(scratch / ABOUT, about)


def load(folder: Path) -> Stored:
    """Map the store in ``folder`` read-only; Damaged if it is not as it was written."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if (about["format"], about["version"]) != (FORMAT, VERSION):
            raise Damaged(f"it is of format {about['format']} {about['version']}")
        if key_of(about["made_from"]) != folder.name:
            raise Damaged("it was made from other data or with other settings")
        for name, digest in about["files"].items():
            if content_hash(folder / Path(name).name) != digest:
                raise Damaged(f"{name} is not what was written")

        def array(name: str) -> np.ndarray:
            mapped = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            return np.asarray(mapped)  # a plain array on the same pages

        there = [name for name in ARRAYS if f"{name}.npy" in about["files"]]
        names = tuple(about["event_names"])
        stored = Stored(
            sessions=Sessions(**{name: array(name) for name in there}, event_names=names),
            user_of_session=array("user_of_session"),
            tokens={
                field: map_tokens(folder / f"{name}.arrow")
                for field, name in about["tokens"].items()
            },
            columns={field: array(name) for field, name in about["columns"].items()},
            features={
                name: pq.read_table(folder / f"features-{name}.parquet").to_pandas()
                for name in about["features"]
            },
            fields=about["fields"],
        )
        given = about["made_from"]["settings"]
        users, items = (stored.tokens[given[f"{name}_ID_FIELD"]] for name in ("USER", "ITEM"))
        reason = contradiction(
            stored.sessions, stored.user_of_session, users, items, stored.columns
        )
    except (
        OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException
    ) as error:  # fmt: skip
        raise Damaged(f"it cannot be read ({type(error).__name__}: {error})") from error
    if reason is not None:
        raise Damaged(f"what it holds does not belong together: {reason}")
    return stored
