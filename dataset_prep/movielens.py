"""MovieLens, from 100k to 32M and latest: a user's ratings are one session."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    # Run by its path: this folder, where csv.py would hide the standard library's csv, leaves the
    # search path before anything else is imported.
    import os
    import sys

    here = os.path.dirname(os.path.realpath(__file__))
    others = [path for path in sys.path if os.path.realpath(path) != here]
    sys.path[:] = [os.path.dirname(here), *others]

from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from dataset_prep import atomic, command, ratings, rows, sources, times
from dataset_prep.ratings import Preparation
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError, Source

NAMES = {"session": "userId", "item": "movieId", "rating": "rating", "time": "timestamp"}
MEMBERS = ["ratings.csv", "ratings.dat", "u.data"]  # of the published zip files


def convert(
    log: Path,
    output: Path,
    preparation: Preparation | None = None,
    *,
    on_error: OnError = "stop",
    overwrite: bool = False,
) -> atomic.Summary:
    """Write the data set ``output`` from a file of ratings, or the zip file that holds it.

    Raises InputError for what the user can cure.
    """
    with atomic.staged(output, overwrite) as folder:
        held = [name for name in sources.zipped_names(log) if name in MEMBERS]
        source = sources.unpack(log, held[0] if held else None, folder.parent)
        frame, bad_rows = read(source, on_error, folder.parent)
        return ratings.write(
            frame.lazy(),
            preparation or Preparation(),
            folder,
            converter="movielens",
            on_error=on_error,
            bad_rows=bad_rows,
            inputs=[source],
        )


def layout(source: Source) -> tuple[str, list[str]]:
    """The separator, and the header's names, of which u.data and ratings.dat have none."""
    with source.rows.open("rb") as file:
        first = file.readline(rows.LONGEST_SHOWN).decode("utf-8-sig", errors="replace").rstrip()
    for separator in ("::", "\t"):
        if first.count(separator) == len(NAMES) - 1:
            return separator, []
    names = rows.header(source, ",")
    if set(NAMES.values()) <= set(names):
        return ",", names
    raise InputError(
        f"{source.place(0)}: {first!r} begins neither u.data (user, item, rating, timestamp "
        f"between tabs), nor ratings.dat (between ::), nor ratings.csv ({','.join(NAMES.values())})"
    )


def read(source: Source, on_error: OnError, scratch: Path) -> tuple[pl.DataFrame, dict[str, int]]:
    """All ratings, and how many rows were bad and why."""
    separator, names = layout(source)
    places = (
        rows.columns(source, names, NAMES)
        if names
        else dict(zip(NAMES, range(len(NAMES)), strict=True))
    )
    width = len(names) or len(NAMES)
    texts = {f"{ours}_text": place for ours, place in places.items()}
    lines = rows.one_line_each(source, separator, width, scratch)
    raw = rows.split(lines, separator, width, texts)
    if names:
        raw = raw.filter(pl.col("row") > 0)
    values = {
        "session": pl.col("session_text").cast(pl.Int32, strict=False),
        "item": pl.col("item_text").cast(pl.Int32, strict=False),
        "rating": pl.col("rating_text").cast(pl.Float32, strict=False),
        "timestamp": pl.col("time_text").cast(pl.Int64, strict=False),
    }
    rating = pl.col("rating")
    on_scale = rating.is_between(0.5, 5) & (rating * 2 == (rating * 2).floor())
    problems = {
        rows.STRAY: pl.col("stray"),
        f"not {width} fields": pl.col("torn"),
        "the user is not a whole number": pl.col("session").is_null(),
        "the movie is not a whole number": pl.col("item").is_null(),
        "the rating is not 0.5, 1, 1.5, ..., 5": ~on_scale.fill_null(False),
        f"the timestamp is not Unix seconds {times.YEARS}": ~times.plausible(pl.col("timestamp")),
    }
    return rows.sound(raw, values, problems, source, on_error)


def main(
    log: Annotated[
        Path,
        typer.Option(
            "--ratings", help="ratings.csv, ratings.dat or u.data: plain, gz, or the published zip"
        ),
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, e.g. dataset/ml-latest-small")],
    min_ratings: ratings.MinRatingsOption = 5,
    max_ratings: ratings.MaxRatingsOption = 200,
    min_item_ratings: ratings.MinItemRatingsOption = 0,
    reward: ratings.RewardOption = None,
    on_error: command.OnErrorOption = "stop",
    overwrite: command.OverwriteOption = False,
) -> None:
    """Convert MovieLens ratings of any size to RecBole atomic files."""
    with command.one_line_errors():
        worth = ratings.rating_to_reward(reward or [])
        preparation = Preparation(min_ratings, max_ratings, min_item_ratings, worth)
        summary = convert(log, output, preparation, on_error=on_error, overwrite=overwrite)
    command.report(summary, output)


if __name__ == "__main__":
    command.run(main)
