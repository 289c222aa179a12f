"""The Netflix Prize as it was published: files that hold all movies, or a file for each of them."""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from dataset_prep import sources
from dataset_prep.sources import InputError, Source

COMBINED = re.compile(r"combined_data_\d+\.txt(\.gz)?")
MOVIE = re.compile(r"mv_\d+\.txt(\.gz)?")
TRAINING_SET = "training_set.tar"  # within nf_prize_dataset.tar.gz
HEADER = re.compile(rb"\d+:\s*")
BATCH = 64 << 20  # bytes of movies' files that are read as one


def named(path: Path) -> Source:
    """What the user named; a folder's size is that of its files of ratings."""
    files = _within(path) if path.is_dir() else [path]
    return Source(path.name, sum(file.stat().st_size for file in files), path, str(path))


def opened(paths: Sequence[Path], scratch: Path) -> Iterator[Source]:
    """The ratings under ``paths``, each source a text of ``MOVIE_ID:`` lines with ratings below.

    A source must be read before the next is asked for: movies' files are joined in one place.
    Raises InputError for a path without ratings, and a movie's file that begins by no header.
    """
    for path in paths:
        if path.is_dir():
            yield from _in_folder(path, scratch)
            continue
        names = sources.zipped_names(path)
        combined = sorted(filter(COMBINED.fullmatch, names))
        for name in combined:
            yield sources.unpack(path, name, scratch)
        if any(map(MOVIE.fullmatch, names)):
            yield from _in_zip(path, scratch)
        elif not combined:
            source = sources.decompressed(path, scratch)
            if tarfile.is_tarfile(source.rows):
                yield from _in_tar(source, scratch)
            else:
                yield sources.taken_out(source, None, scratch)


def _within(folder: Path) -> list[Path]:
    files = sorted(file for file in folder.iterdir() if file.is_file())
    return [file for file in files if COMBINED.fullmatch(file.name) or MOVIE.fullmatch(file.name)]


def _in_folder(folder: Path, scratch: Path) -> Iterator[Source]:
    files = _within(folder)
    if not files:
        raise InputError(
            f"{folder} holds neither combined_data_1.txt nor mv_0000001.txt: name the folder or "
            "the files that hold the ratings"
        )
    combined = [file for file in files if COMBINED.fullmatch(file.name)]
    for file in combined:
        yield sources.unpack(file, None, scratch)
    movies = ((str(file), file.read_bytes()) for file in files if file not in combined)
    yield from _joined(named(folder), movies, scratch)


def _in_zip(path: Path, scratch: Path) -> Iterator[Source]:
    """Movies in the order of their names; nothing else that the archive holds is read."""
    with sources.reading(str(path)), zipfile.ZipFile(path) as archive:
        files = {Path(name).name: name for name in archive.namelist()}
        names = sorted(filter(MOVIE.fullmatch, files))
        movies = ((f"{path} ({name})", archive.read(files[name])) for name in names)
        yield from _joined(named(path), movies, scratch)


def _in_tar(source: Source, scratch: Path) -> Iterator[Source]:
    """Movies in the order of their names. Only their bytes are read; no path is written to."""
    with sources.reading(source.label), tarfile.open(source.rows) as archive:
        files = {Path(member.name).name: member for member in archive if member.isreg()}

        def content(name: str) -> IO[bytes]:
            return cast(IO[bytes], archive.extractfile(files[name]))

        names = sorted(filter(MOVIE.fullmatch, files))
        if names:
            movies = ((f"{source.label} ({name})", content(name).read()) for name in names)
            yield from _joined(source, movies, scratch)
        elif TRAINING_SET in files:
            inner = scratch / TRAINING_SET
            with inner.open("wb") as file:
                shutil.copyfileobj(content(TRAINING_SET), file, 1 << 20)
            label = f"{source.label} ({TRAINING_SET})"
            yield from _in_tar(replace(source, rows=inner, label=label), scratch)
        else:
            held = ", ".join(list(files)[:5]) or "nothing"
            raise InputError(
                f"{source.label} holds no mv_0000001.txt but {held}: name {TRAINING_SET}"
            )


def _joined(whole: Source, movies: Iterable[tuple[str, bytes]], scratch: Path) -> Iterator[Source]:
    """Movies' files, given by label and content, one below the other in files of some size."""
    rows = scratch / "movies.plain"
    for batch in _batches(movies):
        parts: list[tuple[int, str]] = []
        line = 0
        with rows.open("wb") as file:
            for label, content in batch:
                parts.append((line, label))
                file.write(content if content.endswith(b"\n") else content + b"\n")
                line += content.count(b"\n") + (not content.endswith(b"\n"))
        yield replace(whole, rows=rows, parts=parts)


def _batches(movies: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    size = 0
    for label, content in movies:
        with sources.reading(label):
            content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
        first = content.partition(b"\n")[0]
        if not HEADER.fullmatch(first):
            shown = repr(first[:50].decode(errors="replace"))
            raise InputError(
                f"{label}, line 1: {shown} is not MOVIE_ID: as a movie's file begins, so nobody "
                "knows what was rated: download it again"
            )
        if batch and size + len(content) > BATCH:
            yield batch
            batch, size = [], 0
        batch.append((label, content))
        size += len(content)
    if batch:
        yield batch
