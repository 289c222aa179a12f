"""Damage done to logs, and what the converter of any log makes of it.

    python benchmarks/mutated_logs.py --number=1000

Every mutated file must end in what a plain reader, written here in a few lines of Python, finds in
it too, or in one line that names the file. Prints how many did which; exit status 1 if one did
neither. The same seed gives the same files.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import random
import re
import tempfile
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from dataset_prep import csv as any_log
from dataset_prep.inputs import InputError
from dataset_prep.tables import Columns, Rewards

NAMES = ["user", "product", "when", "what", "note"]
COLUMNS = Columns(*NAMES[:4])
REWARDS = {"view": 0.2, "buy": 1.0}
Event = tuple[str, str, float, str, float]
Draw = random.Random
Mutation = Callable[[list[list[str]], Draw], bytes]
ODD_BYTES = [b'"', b",", b"\r", b"\n", b"\0", b"\t", b"\xff", b"\x01", b" ", b"\xef\xbb\xbf", b"'"]
ODD_FIELDS = [
    "", " ", "NA", "nan", "null", "-1", "0", "1e39", "1e400", "99999999999999999999", "2e+17",
    "12.0", "[PAD]", "\0", "20260105", "x" * 100_000, '"', '""', "a\nb", "a\r\nb", "a,b", " view ",
    "1600000000000", "2020-09-13", "2020-09-13T12:26:40Z", "9999-12-31", "=1+1", "\x1b[2J",
    "\ufeff",
]  # fmt: skip


def base(draw: Draw) -> list[list[str]]:
    """A sound log of a dozen sessions: a header, then rows in the order of time."""
    start = 1_600_000_000
    forms: list[Callable[[int], str]] = [str, lambda seconds: str(1000 * seconds), _iso]
    form = draw.choice(forms)
    rows = [
        [f"u{draw.randrange(12)}", f"i{draw.randrange(30)}", form(start + 7 * n), what, note]
        for n in range(60)
        for what in [draw.choice(["view", "view", "view", "buy"])]
        for note in [draw.choice(["", "ok", "a, b", 'say "x"', "Ä鯨"])]
    ]
    return [NAMES, *rows]


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def text(rows: list[list[str]], separator: str = ",", end: str = "\n", quoting: int = 0) -> str:
    """``rows`` as CSV, quoted where that is needed."""
    held = io.StringIO()
    csv.writer(held, delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)  # type: ignore[arg-type]
    return held.getvalue()


def _bytes(rows: list[list[str]], draw: Draw) -> bytes:
    """A few bytes flipped, left out, put in or doubled, anywhere."""
    content = bytearray(text(rows).encode())
    for _ in range(draw.choice([1, 1, 1, 2, 5])):
        place = draw.randrange(len(content))
        how = draw.randrange(4)
        if how == 0:
            content[place] ^= 1 << draw.randrange(8)
        elif how == 1:
            del content[place : place + draw.choice([1, 1, 20])]
        elif how == 2:
            content[place:place] = draw.choice(ODD_BYTES)
        else:
            content[place:place] = content[place : place + draw.randrange(1, 40)]
    return bytes(content)


def _field(rows: list[list[str]], draw: Draw) -> bytes:
    """An odd field in one row or in all of them."""
    column, odd = draw.randrange(5), draw.choice(ODD_FIELDS)
    chosen = rows[1:] if draw.random() < 0.2 else [draw.choice(rows[1:])]
    for row in chosen:
        row[column] = odd
    return text(rows).encode()


def _columns(rows: list[list[str]], draw: Draw) -> bytes:
    """Columns in another order, one missing, or one there twice; with or without the header."""
    order = draw.sample(range(5), 5)
    how = draw.randrange(4)
    order = order[:-1] if how == 0 else [*order, draw.choice(order)] if how == 1 else order
    moved = [[row[place] for place in order] for row in rows]
    if how == 2:  # the rows' alone, or the header's alone
        moved[0] = rows[0]
    return text(moved).encode()


def _lines(rows: list[list[str]], draw: Draw) -> bytes:
    """Lines swapped, doubled, cut short, blank, or gone; the header too."""
    lines = text(rows).splitlines(keepends=True)
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    how = draw.randrange(6)
    if how == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif how == 1:
        lines.insert(first, lines[second])
    elif how == 2:
        lines[first] = lines[first][: draw.randrange(len(lines[first]))] + "\n"
    elif how == 3:
        lines.insert(first, draw.choice(["\n", "\r\n", " \n", ",,,,\n", "sep=,\n", "# no event\n"]))
    elif how == 4:
        del lines[0]
    else:
        del lines[first:second]
    return "".join(lines).encode()


def _form(rows: list[list[str]], draw: Draw) -> bytes:
    """Another encoding, separator, line end, quoting; compressed; cut off."""
    end = draw.choice(["\n", "\r\n", "\r", "\n\n", "\n\r"])
    written = text(rows, draw.choice(",;\t|:"), end, draw.choice([0, 1]))
    encoding = draw.choice(
        ["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"]
    )
    content = written.encode(encoding, errors="replace")
    packers: list[Callable[[bytes], bytes]] = [
        bytes, bytes, _gzipped, bz2.compress, lzma.compress, _zipped,
    ]  # fmt: skip
    content = draw.choice(packers)(content)
    return content[: draw.randrange(len(content))] if draw.random() < 0.3 else content


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)


def _zipped(content: bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("log.csv"), content, zipfile.ZIP_DEFLATED)
    return held.getvalue()


MUTATIONS: list[Mutation] = [_bytes, _bytes, _field, _columns, _lines, _form]


def mutated(seed: int) -> bytes:
    """The file of a seed."""
    draw = random.Random(seed)
    return draw.choice(MUTATIONS)([list(row) for row in base(draw)], draw)


# ---------------------------------------------------------------------- the plain reader


def plain(content: bytes) -> list[Event]:
    """The events of a file, each session's in the order of time, by Python's own csv module."""
    unpackers: list[Callable[[bytes], bytes]] = [
        gzip.decompress, bz2.decompress, lzma.decompress, _unzipped,
    ]  # fmt: skip
    for unpacked in unpackers:
        with suppress(Exception):  # it is another kind of file
            content = unpacked(content)
            break
    marks = {b"\xff\xfe\0\0": "utf-32", b"\xff\xfe": "utf-16"}
    encoding = next((name for mark, name in marks.items() if content.startswith(mark)), "utf-8-sig")
    whole = content.decode(encoding)
    whole = whole if "\n" in whole else whole.replace("\r", "\n")
    whole = re.sub("\r(?!\n)", " ", whole)  # within a line it is a space like others
    first, _, rest = whole.partition("\n")
    if first.rstrip("\r").startswith("sep="):
        whole, separator = rest, first[4]
    else:
        separator = max(",\t;|", key=first.count)
    lines = csv.reader(io.StringIO(whole, newline=""), delimiter=separator)
    header, *rows = [row for row in lines if "".join(row).strip()]
    names = [name.strip() for name in header]
    assert all(names.count(name) == 1 for name in NAMES[:4]), names
    assert all(len(row) == len(names) for row in rows)
    place = {name: number for number, name in enumerate(names)}
    found = []
    for number, row in enumerate(rows):
        user, product, when, what = (row[place[name]].strip() for name in NAMES[:4])
        found.append((user, product, _seconds(when), what, REWARDS[what], number))
    steps = Counter[bool]()
    last: dict[str, float] = {}
    for user, _, seconds, *_ in found:
        if seconds != last.get(user, seconds):
            steps[seconds < last[user]] += 1
        last[user] = seconds
    forth = -1 if steps[True] > 9 * steps[False] else 1  # newest-first
    found.sort(key=lambda event: (event[0], event[2], forth * event[-1]))
    return [event[:5] for event in found]


def _unzipped(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("log.csv")


def _seconds(when: str) -> float:
    try:
        number = float(when)
    except ValueError:
        moment = datetime.fromisoformat(when.replace("Z", "+00:00"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    if when.isdigit() and when[:2] in ("19", "20") and len(when) in (8, 12, 14):
        form = "%Y%m%d%H%M%S"[: {8: 6, 12: 10, 14: 12}[len(when)]]
        return datetime.strptime(when + " +0000", f"{form} %z").timestamp()
    return next(
        number / ticks
        for ticks in (1, 10**3, 10**6, 10**9)
        if 631152000 <= number / ticks < 4102444800
    )


# ---------------------------------------------------------------------- what came of a file


def outcome(content: bytes, folder: Path) -> str:
    """What the converter made of a file: "right", "refused: WHY", or what is wrong with it."""
    log, shop = folder / "log.csv", folder / "shop"
    log.write_bytes(content)
    try:
        any_log.convert(log, shop, COLUMNS, Rewards(REWARDS), overwrite=True)
    except InputError as error:
        named = str(log) in str(error) or "no event is left" in str(error)
        if not named or "\n" in str(error):
            return f"WRONG: the error names no file, or has two lines: {error}"
        return "refused"
    except (Exception, pl.exceptions.PanicException):
        return "WRONG: " + traceback.format_exc(limit=-3)
    with (shop / "shop.inter").open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file, delimiter="\t")
    events = [(user, item, float(t), what, float(reward)) for user, item, t, what, reward in rows]
    events.sort(key=lambda event: event[0])  # stable: the order within a session stays
    try:
        expected = plain(content)
    except Exception as error:
        return f"WRONG: accepted, where the plain reader fails: {type(error).__name__} {error}"
    return "right" if events == expected else "WRONG: other events than the plain reader's"


def main(
    number: Annotated[int, typer.Option(help="How many files")] = 1000,
    first: Annotated[int, typer.Option(help="Seed of the first; the others follow")] = 0,
) -> None:
    """Mutate, convert, judge."""
    found: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + number):
            begun = time.process_time()
            came = outcome(mutated(seed), Path(folder))
            slowest = max(slowest, time.process_time() - begun)
            found[came.partition(":")[0]] += 1
            if came.startswith("WRONG"):
                typer.echo(f"seed {seed}: {came}")
    summary = ", ".join(f"{count} {what}" for what, count in found.most_common())
    typer.echo(f"{number} mutated files: {summary}; the slowest took {slowest:.1f} s of CPU")
    raise typer.Exit(1 if found["WRONG"] else 0)


if __name__ == "__main__":
    typer.run(main)
