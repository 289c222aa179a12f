"""``recbole-lpi export``: a policy as a file that other runtimes read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import say, say_written
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    import polars as pl


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or its model.pth")],
    format: Annotated[str, typer.Option(help="onnx")] = "onnx",
    output: Annotated[
        Path | None, typer.Option(help="File to write; policy.onnx in the run's folder if not said")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Items in a list")] = 20,
    sessions: Annotated[
        Path | None,
        typer.Option(
            help="Sessions to check on: Parquet, CSV or .inter; the run's own if not said"
        ),
    ] = None,
    check: Annotated[int, typer.Option(min=1, help="How many of them")] = 1000,
    encoder: Annotated[
        str, typer.Option(help="The run's encoder, where it is a module of yours: it is imported")
    ] = "",
) -> None:
    """Write a policy as ONNX, with its vocabulary as JSON beside it.

    The file is checked in onnxruntime on real sessions, against the policy itself. Nothing is
    written if the lists differ.
    """
    with one_line_errors():
        if format != "onnx":
            raise SettingError(f"format must be onnx, got {format!r}")
        from recbole_lpi.policy.encoders import allow
        from recbole_lpi.serving.onnx_export import export_onnx

        allow(encoder)
        folder = run if run.is_dir() else run.parent
        histories = _first(sessions, check) if sessions else _of_run(folder, check)
        done = export_onnx(run, output or folder / "policy.onnx", histories, k)
        tied = done.sessions - done.same
        say(
            f"the lists of {done.sessions} sessions are those of the policy, {tied} of them but "
            f"for ties; log π differs by at most {done.largest:.1g}"
        )
        say_written(done.graph, done.about)


def _first(file: Path, number: int) -> pl.DataFrame:
    """Read the first sessions of a file."""
    import polars as pl

    from recbole_lpi.serving.raw_histories import SESSION
    from recbole_lpi.serving.session_files import SessionFile, whole_sessions

    parts, found = [], 0
    for _, frame in whole_sessions(SessionFile.open(file)):
        parts.append(frame)
        found += frame[SESSION].n_unique()
        if found >= number:
            break
    if not parts:
        raise SettingError(f"{file} has no session: give one with some")
    return _cut(pl.concat(parts), number)


def _of_run(folder: Path, number: int) -> pl.DataFrame:
    """Read the held-out sessions that a run keeps, without the times, which it does not keep."""
    import numpy as np
    import polars as pl

    events = folder / "events.parquet"
    if not events.is_file():
        raise SettingError(
            f"{folder} has no events.parquet, so there are no sessions to check the file on: give "
            "--sessions"
        )
    frame = pl.read_parquet(events, columns=["session_id", "position", "item_id", "event"])
    frame = _cut(frame.sort("session_id", "position", maintain_order=True), number)
    # As many seconds before each event as fall in bins of every width.
    gaps = pl.Series(2.0 ** np.random.default_rng(0).uniform(-1, 30, len(frame)))
    say(
        f"checked on sessions of {events}, which keeps no times: times between events are drawn, "
        "from less than a second to 30 years; --sessions gives others"
    )
    return frame.with_columns(timestamp=gaps).with_columns(
        pl.col("timestamp").cum_sum().over("session_id")
    )


def _cut(frame: pl.DataFrame, number: int) -> pl.DataFrame:
    """Keep the first sessions of a table."""
    import polars as pl

    ids = frame["session_id"].unique(maintain_order=True)[:number]
    return frame.filter(pl.col("session_id").is_in(ids.implode()))
