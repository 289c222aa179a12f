"""Atomic files: the folder that RecBole reads, and the account of what went into it."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from dataset_prep import scratch, tokens
from dataset_prep.logs import CLICK, PURCHASE, Counts, RatingCounts, in_order
from dataset_prep.order import ties_and_repeats
from dataset_prep.sources import InputError, Source

SCHEMA = 1  # of summary.json
COLUMNS = {
    "session": "session_id:token",
    "item": "item_id:token",
    "timestamp": "timestamp:float",
    "rating": "rating:float",  # of rating logs
    "propensity": "propensity:float",  # of logs that have it
    "event": "event:token",
    "reward": "reward:float",
}


@dataclass(frozen=True)
class Summary:
    """What a conversion read, dropped and wrote; ``summary.json`` holds it."""

    converter: str
    raw: Counts | RatingCounts
    kept: Counts | RatingCounts
    raw_events: Mapping[str, int]  # rows per event, by its name in the raw log
    dropped: Mapping[str, int]  # rows per filter
    bad_rows: Mapping[str, int]  # rows per reason, with on_error "skip"
    single_event_sequences: int
    longest_sequence: int
    settings: Mapping[str, Any]
    inputs: Sequence[Source]
    purchase_events: Sequence[str] = (PURCHASE,)
    click_events: Sequence[str] = (CLICK,)
    rating_to_reward: Mapping[float, float] = field(default_factory=dict)  # of rating logs
    rewards: Mapping[str, int] = field(default_factory=dict)  # of rating logs: rows kept per reward
    notes: Sequence[str] = ()  # what was derived or changed, in lines
    tied_events: int = 0  # kept ones that share their time with another of their session
    repeated_rows: int = 0  # kept ones that repeat another in session, item, time and event
    data_settings: Mapping[str, Any] = field(default_factory=dict)  # more of them, for NAME.yaml

    def as_json(self) -> dict[str, Any]:
        """Plain values only; of the inputs no more than base name and size in bytes."""
        plain = {name: value for name, value in vars(self).items() if name != "inputs"}
        plain |= {"raw": vars(self.raw), "kept": vars(self.kept)}
        inputs = [{"name": source.name, "bytes": source.size} for source in self.inputs]
        return {"schema": SCHEMA, **plain, "inputs": inputs}


def write(log: pl.DataFrame, reward: pl.Expr, summary: Summary, folder: Path) -> Summary:
    """Fill ``folder`` with NAME.inter, NAME.yaml and summary.json, NAME being the folder's own.

    Returns the summary with the ties and repeats that were counted on the way.
    """
    if not len(log):
        bad, dropped = sum(summary.bad_rows.values()), sum(summary.dropped.values())
        raise InputError(
            f"no event is left for {folder.name}: {bad} bad rows were skipped and {dropped} rows "
            "filtered out: mend the log or lower the --min_... options"
        )
    folder.mkdir()
    names = columns_of(log, summary)
    columns = [written(log, ours).alias(COLUMNS[ours]) for ours in names]
    tied = repeated = 0
    with (folder / f"{folder.name}.inter").open("wb") as file:
        for number, rows in enumerate(in_order(log)):
            ties, repeats = ties_and_repeats(rows)
            tied, repeated = tied + ties, repeated + repeats
            rows.with_columns(reward=reward).select(columns).write_csv(
                file,
                include_header=number == 0,
                separator="\t",
                quote_style="never",
                float_scientific=False,
            )
    summary = replace(summary, tied_events=tied, repeated_rows=repeated)
    (folder / f"{folder.name}.yaml").write_text(properties(summary, names), encoding="utf-8")
    text = json.dumps(summary.as_json(), indent=2, ensure_ascii=False)
    (folder / "summary.json").write_text(text + "\n", encoding="utf-8")
    return summary


def written(log: pl.DataFrame, column: str) -> pl.Expr:
    """A column as it stands in the file: names so that the reader has them back."""
    value = pl.col(column)
    return tokens.written(value) if log.schema.get(column) == pl.String else value


def columns_of(log: pl.DataFrame, summary: Summary) -> list[str]:
    """Our names of the columns that are written: ``rating`` of ratings, ``propensity`` if known."""
    there = {"rating": bool(summary.rating_to_reward), "propensity": "propensity" in log.columns}
    return [name for name in COLUMNS if there.get(name, True)]


def properties(summary: Summary, columns: Sequence[str]) -> str:
    """RecBole's property file for the data set; JSON lists are YAML and need no quoting rules."""
    names = [COLUMNS[name].partition(":")[0] for name in columns]
    ratings = [
        "RATING_FIELD: rating",
        f"rating_to_reward: {dict(summary.rating_to_reward)}  # what the column reward was made by",
    ]
    return "\n".join(
        [
            f"# Written by the {summary.converter} converter; summary.json says from what.",
            "USER_ID_FIELD: session_id",
            "ITEM_ID_FIELD: item_id",
            "TIME_FIELD: timestamp",
            "load_col:",
            f"  inter: [{', '.join(names)}]",
            *(ratings if summary.rating_to_reward else []),
            "reward_field: reward",
            "event_field: event",
            f"purchase_events: {json.dumps(list(summary.purchase_events), ensure_ascii=False)}",
            f"click_events: {json.dumps(list(summary.click_events), ensure_ascii=False)}",
            *(f"{name}: {json.dumps(value)}" for name, value in summary.data_settings.items()),
            "",
        ]
    )


@contextmanager
def staged(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to be filled, at a temporary place beside ``output``; moved there on success.

    Yields the folder's path; its parent is scratch space on the same disk. On any error nothing is
    left behind, nor when the process is asked to end (SIGINT, SIGTERM). Raises InputError where the
    disk refuses, and for an ``output`` that exists, unless ``overwrite`` is set and it holds
    nothing but a converter's files. What an owner that was killed left is cleared away first.
    """
    if "\0" in str(output):
        raise InputError(f"{output} cannot be a folder: name another")
    try:
        output = output.resolve()
        if output.parent.is_dir():
            scratch.clear(output)
        check_output(output, overwrite)
        output.parent.mkdir(parents=True, exist_ok=True)
        with sigterm_raised(), scratch.beside(output) as space:
            yield space / output.name
            check_output(output, overwrite)  # another may have been quicker
            move(output, space / output.name, space / scratch.REPLACED)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{output} was not written: {reason}: check the disk's free space and the permissions"
        ) from error


@contextmanager
def sigterm_raised() -> Iterator[None]:
    """SIGTERM ends the program by an exception, as Ctrl-C does, so that what cleans up can."""

    def end(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # signals are for that alone
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def move(output: Path, folder: Path, old: Path) -> None:
    """Move ``folder`` to ``output``; what is there goes to ``old``, and back should that fail."""
    if not output.exists():
        folder.rename(output)
        return
    output.rename(old)
    try:
        folder.rename(output)
    except OSError:
        old.rename(output)
        raise


def check_output(output: Path, overwrite: bool) -> None:
    """Refuse a folder that exists; with ``overwrite`` one that holds more than a data set."""
    if not output.name:
        raise InputError(f"{output} has no name: the output folder's name is the data set's")
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"{output} is a file: name a folder")
    if not overwrite:
        raise InputError(f"{output} exists: pass --overwrite or name another folder")
    ours = {f"{output.name}.inter", f"{output.name}.yaml", "summary.json"}
    others = sorted(path.name for path in output.iterdir() if path.name not in ours)
    if others:
        raise InputError(f"{output} holds {others[0]} too: move it or name another folder")
