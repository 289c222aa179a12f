"""What ``recbole-lpi estimate`` leaves in its folder: estimates, weights of events, a figure."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from recbole_lpi import __version__
from recbole_lpi.evaluation.off_policy.logged_events import LoggedEvents
from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.files import replacing, write_json

SCHEMA = pa.schema(
    [("policy", pa.string()), ("session_id", pa.string()), ("position", pa.int64()),
     ("weight", pa.float64())]
)  # fmt: skip
ROWS = 2**20  # of which a piece is written at a time


class WeightsFile:
    """A Parquet file of every event's importance weight, policy after policy; never half.

    Columns: policy, session_id as text, position, weight. A policy whose μ nobody knows has no row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open = ExitStack()

    def __enter__(self) -> WeightsFile:
        scratch = self._open.enter_context(replacing(self.path))
        self._writer = self._open.enter_context(pq.ParquetWriter(scratch, SCHEMA))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return self._open.__exit__(kind, error, trace)

    def add(self, name: str, path: Path, events: LoggedEvents) -> None:
        """Write the weights of a policy's events, which were read from ``path``."""
        if not events.has_log_mu:
            return
        sessions = pl.read_parquet(path, columns=["session_id"])["session_id"]
        for start in range(0, len(events), ROWS):
            piece = slice(start, start + ROWS)
            rows = pl.DataFrame(
                {
                    "session_id": sessions[piece].cast(pl.String),
                    "position": events.position[piece],
                    "weight": events.weight[piece],
                }
            ).select(pl.lit(name).alias("policy"), pl.all())
            self._writer.write_table(rows.to_arrow().cast(SCHEMA))


def write_report(reports: Sequence[PolicyReport], settings: ReportSettings, folder: Path) -> None:
    """Write estimates.json and forest.svg of the reports."""
    from recbole_lpi.experiments import figure_style, forest_figure  # matplotlib takes a second

    write_json(
        folder / "estimates.json",
        {
            "version": __version__,
            "settings": asdict(settings),
            "policies": {report.name: report.plain() for report in reports},
        },
    )
    figure_style.write(forest_figure.forest(reports, settings.level), folder / "forest.svg")
