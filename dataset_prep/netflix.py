"""The Netflix Prize: a customer's ratings are one session."""

from __future__ import annotations

if __name__ == "__main__" and not __package__:
    # Run by its path: this folder, where csv.py would hide the standard library's csv, leaves the
    # search path before anything else is imported.
    import os
    import sys

    here = os.path.dirname(os.path.realpath(__file__))
    others = [path for path in sys.path if os.path.realpath(path) != here]
    sys.path[:] = [os.path.dirname(here), *others]

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from dataset_prep import atomic, command, movie_files, ratings, rows, times
from dataset_prep.ratings import Preparation
from dataset_prep.rows import OnError
from dataset_prep.sources import InputError, Source

FIELDS = {"session_text": 0, "rating_text": 1, "day_text": 2}
DAY = 86_400  # seconds


def convert(
    paths: Sequence[Path],
    output: Path,
    preparation: Preparation | None = None,
    *,
    on_error: OnError = "stop",
    overwrite: bool = False,
) -> atomic.Summary:
    """Write the data set ``output`` from files or folders of ratings, in the order given.

    Raises InputError for what the user can cure.
    """
    with atomic.staged(output, overwrite) as folder:
        log, bad_rows = read_all(paths, folder.parent, on_error)
        return ratings.write(
            log,
            preparation or Preparation(),
            folder,
            converter="netflix",
            on_error=on_error,
            bad_rows=bad_rows,
            inputs=[movie_files.named(path) for path in paths],
        )


def read_all(
    paths: Sequence[Path], scratch: Path, on_error: OnError
) -> tuple[pl.LazyFrame, dict[str, int]]:
    """One log, and how many rows were bad and why.

    It lies in ``scratch`` as a Parquet file per source: a hundred million ratings are not held in
    memory. Raises InputError for a movie that has two headers, and would be counted twice.
    """
    bad_rows: Counter[str] = Counter()
    parts: list[Path] = []
    header_of: dict[int, str] = {}
    lines = 0
    for source in movie_files.opened(paths, scratch):
        source = rows.one_line_each(source, ",", len(FIELDS), scratch)
        movies = read_headers(source)
        for line, movie in movies.iter_rows():
            if movie in header_of:
                raise InputError(
                    f"{source.place(line)} begins movie {movie}, as does {header_of[movie]}: give "
                    "each movie's ratings once"
                )
            header_of[movie] = source.place(line)
        log, bad = read(source, movies, on_error)
        bad_rows.update(bad)
        parts.append(scratch / f"ratings-{len(parts)}.parquet")
        log.with_columns(pl.col("row") + lines).write_parquet(parts[-1])
        lines += 1 + int(log.select(pl.col("row").max()).item() or 0)
    return pl.scan_parquet(parts, glob=False), dict(bad_rows)


def read_headers(source: Source) -> pl.DataFrame:
    """The lines without a comma: ``row`` and the movie, ``item``, whose ratings follow.

    InputError for one that names no movie, even where bad rows are skipped: the ratings after it
    would go to another.
    """
    raw = rows.split(source, ",", len(FIELDS), FIELDS).filter(pl.col("rating_text").is_null())
    text = pl.col("session_text").str.strip_chars()
    movie = text.str.extract(r"^(\d+):$").cast(pl.Int32, strict=False)
    headers = rows.collect(raw.select("row", item=movie), source)
    unnamed = headers.filter(pl.col("item").is_null())
    if len(unnamed):
        raise rows.bad_row(
            source,
            unnamed["row"][0],
            "neither MOVIE_ID: nor customer,rating,date",
            "fix it, or the ratings after it have no movie",
        )
    return headers


def read(
    source: Source, movies: pl.DataFrame, on_error: OnError
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The ratings below the headers ``movies``, and how many rows were bad and why."""
    raw = rows.split(source, ",", len(FIELDS), FIELDS).filter(pl.col("rating_text").is_not_null())
    day = pl.col("day_text").str.to_date("%Y-%m-%d", strict=False)
    values = {
        "session": pl.col("session_text").cast(pl.Int32, strict=False),
        "rating": pl.col("rating_text").cast(pl.Int8, strict=False),
        "timestamp": day.dt.epoch("d").cast(pl.Int64) * DAY,
    }
    first = movies["row"][0] if len(movies) else None
    problems = {
        "no line such as 1: stands before it and says which movie was rated": (
            pl.lit(True) if first is None else pl.col("row") < first
        ),
        rows.STRAY: pl.col("stray"),
        f"not {len(FIELDS)} fields": pl.col("torn"),
        "the customer is not a whole number": pl.col("session").is_null(),
        "the rating is not 1, 2, 3, 4 or 5": ~pl.col("rating").is_between(1, 5).fill_null(False),
        f"the date is not like 2005-09-06, {times.YEARS}": ~times.plausible(pl.col("timestamp")),
    }
    log, bad_rows = rows.sound(raw, values, problems, source, on_error)
    return log.join_asof(movies, on="row"), bad_rows


def main(
    paths: Annotated[
        list[Path],
        typer.Option(
            "--ratings",
            help="combined_data_N.txt, plain, gz or zipped; or mv_N.txt, in a folder, a zip or "
            "training_set.tar; repeat it",
        ),
    ],
    output: Annotated[Path, typer.Option(help="The folder to write, e.g. dataset/netflix")],
    min_ratings: ratings.MinRatingsOption = 5,
    max_ratings: ratings.MaxRatingsOption = 200,
    min_item_ratings: ratings.MinItemRatingsOption = 0,
    reward: ratings.RewardOption = None,
    on_error: command.OnErrorOption = "stop",
    overwrite: command.OverwriteOption = False,
) -> None:
    """Convert the Netflix Prize ratings to RecBole atomic files."""
    with command.one_line_errors():
        worth = ratings.rating_to_reward(reward or [])
        preparation = Preparation(min_ratings, max_ratings, min_item_ratings, worth)
        summary = convert(paths, output, preparation, on_error=on_error, overwrite=overwrite)
    command.report(summary, output)


if __name__ == "__main__":
    command.run(main)
