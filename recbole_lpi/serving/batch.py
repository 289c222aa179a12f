"""Recommendations for a file of sessions: some at a time, so that memory does not grow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet

from recbole_lpi.files import replacing
from recbole_lpi.serving.choosing import Choice
from recbole_lpi.serving.recommender import Recommender
from recbole_lpi.serving.session_files import SessionFile, whole_sessions
from recbole_lpi.settings import SettingError

SCHEMA = pa.schema(
    {
        "session_id": pa.large_string(), "slot": pa.int64(), "item_id": pa.large_string(),
        "log_pi": pa.float32(), "propensity": pa.float64(),
    }
)  # fmt: skip


@dataclass(frozen=True)
class Served:
    """What became of the sessions of a file.

    Attributes:
        sessions: how many were recommended for; rows: how many items.
        unknown: events left out, of items that the policy does not know.
        empty: sessions left out: they have no known item, and the policy opens none.
    """

    sessions: int = 0
    rows: int = 0
    unknown: int = 0
    empty: int = 0


def recommend_file(
    recommender: Recommender,
    sessions: SessionFile,
    output: Path,
    choice: Choice,
    progress: Callable[[int], None] = lambda rows: None,
) -> Served:
    """Recommend for every session of a file, into a Parquet file with a row for each item.

    Its columns are those of ``Recommendations.table``. The file is there when all is done, or not
    at all.

    Args:
        choice: what is asked for (``Recommender.choice``).
        progress: is told how many rows were read.

    Raises:
        SettingError: a session's rows do not stand together, one lacks what the policy reads, or
            the file cannot be read.
    """
    served = Served()
    with replacing(output) as scratch, pa.parquet.ParquetWriter(scratch, SCHEMA) as writer:
        for row, frame in whole_sessions(sessions):
            try:
                raw, encoded, unknown = recommender.read(frame, first_row=row)
            except ValueError as error:
                raise SettingError(f"{sessions.path}: {error}") from None
            known = (encoded.length > 0) | recommender.policy.opens
            names = raw.session_ids.gather(np.flatnonzero(known))
            found = recommender.choose(names, encoded.take(known), choice).table()
            writer.write_table(found.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(SCHEMA))
            served = Served(
                served.sessions + len(names),
                served.rows + len(found),
                served.unknown + unknown,
                served.empty + len(raw) - len(names),
            )
            progress(len(frame))
    return served
