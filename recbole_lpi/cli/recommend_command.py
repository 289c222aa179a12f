"""``recbole-lpi recommend``: items for every session of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recbole_lpi.cli.errors import one_line_errors
from recbole_lpi.cli.output import progress_bar, say, say_written
from recbole_lpi.settings import SettingError

if TYPE_CHECKING:
    from recbole_lpi.serving.batch import Served
    from recbole_lpi.serving.recommender import Recommender


def recommend(
    run: Annotated[Path, typer.Argument(help="Folder of a run, its model.pth, or a policy.onnx")],
    input: Annotated[
        Path,
        typer.Option(
            help="Parquet, CSV or .inter with a row an event: session_id, item_id, event, timestamp"
        ),
    ],
    output: Annotated[Path, typer.Option(help="Parquet file to write")],
    k: Annotated[int, typer.Option("-k", min=1, help="Items for each session")] = 20,
    exclude_seen: Annotated[
        bool, typer.Option("--exclude_seen", help="Leave out what the session has")
    ] = False,
    candidates: Annotated[
        Path | None, typer.Option(help="File of the items to choose from, one a line")
    ] = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw the items, in place of the best")
    ] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the draws")] = None,
    encoder: Annotated[
        str, typer.Option(help="The run's encoder, where it is a module of yours: it is imported")
    ] = "",
) -> None:
    """Recommend items, with their propensities, for every session of a file.

    Sessions are read and written some at a time, so that memory does not grow with the file; all
    rows of a session stand together in it. The output has a row for each item: session_id, slot,
    item_id, log_pi, propensity.
    """
    with one_line_errors():
        if seed is not None and not sample:
            raise SettingError("--seed is of draws: give --sample as well")
        if output.exists() and input.exists() and output.samefile(input):
            raise SettingError(f"{output} is the input: choose another --output")
        from recbole_lpi.serving.batch import recommend_file
        from recbole_lpi.serving.session_files import SessionFile

        sessions = SessionFile.open(input)
        policy = _loaded(run, encoder)
        try:
            choice = policy.choice(k, exclude_seen, _items(candidates), sample, seed)
        except ValueError as error:
            raise SettingError(error) from None
        with progress_bar(sessions.rows, "events") as advance:
            served = recommend_file(policy, sessions, output, choice, advance)
        say(_told(served, policy.policy.opens))
        say_written(output)


def _loaded(run: Path, encoder: str) -> Recommender:
    if run.suffix == ".onnx":
        from recbole_lpi.serving.onnx_policy import load_onnx

        return load_onnx(run)
    from recbole_lpi.policy.encoders import allow
    from recbole_lpi.serving.saved_policies import load_policy

    allow(encoder)
    return load_policy(run)


def _items(file: Path | None) -> list[str] | None:
    """Read a file with an item a line; empty lines are none."""
    if file is None:
        return None
    try:
        items = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise SettingError(f"{file} is no text in UTF-8: write an item in each line") from None
    if not items:
        raise SettingError(f"{file} has no item: write one in each line")
    return items


def _told(served: Served, opens: bool) -> str:
    rest = "" if opens else f", {served.empty} sessions left out that have no known item"
    return (
        f"{served.sessions} sessions, {served.rows} recommendations; {served.unknown} events of "
        f"unknown items skipped{rest}"
    )
