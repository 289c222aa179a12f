"""RecBole's published processed files: one archive per kind of event, fetched and joined.

What has arrived of an archive is kept beside the data set's folder, so that a transfer that broke
off goes on where it was, if the server can do that.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import lzma
import queue
import shutil
import struct
import threading
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from tqdm import tqdm

from recbole_lpi.files import linked, replacing, write_json
from recbole_lpi.locks import alone
from recbole_lpi.settings import SettingError
from recbole_lpi.text import one_line

# Archives in RecBole's list of addresses, by data set: the kind of event in each, and its reward.
ARCHIVES: dict[str, dict[str, tuple[str, float]]] = {
    "retailrocket": {
        "retailrocket-view-not-merged": ("click", 0.2),
        "retailrocket-addtocart-not-merged": ("purchase", 1.0),
    },
    "yoochoose": {
        "yoochoose-clicks-not-merged": ("click", 0.2),
        "yoochoose-buys-not-merged": ("purchase", 1.0),
    },
}
LIMIT = 2 * 3600.0  # seconds that one archive may take
PATIENCE, LEAST = 60.0, 2**16  # in so many seconds at least so many bytes of it must arrive
NOT_WHOLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, NotImplementedError,
    RuntimeError, ValueError,
)  # fmt: skip
COLUMNS = ("session_id:token", "item_id:token", "timestamp:float")


def addresses() -> dict[str, str]:
    """RecBole's own list of data sets and where they are."""
    import recbole

    path = Path(recbole.__file__).parent / "properties" / "dataset" / "url.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


class OtherPart(Exception):
    """A server does not go on where it was asked to."""


def download(dataset: str, folder: Path, urls: dict[str, str] | None = None) -> Path:
    """Fetch the archives of ``dataset`` and join them into ``folder/<dataset>.inter``.

    Raises:
        SettingError: the data set has no such archives, or an address does not answer with one.
    """
    if dataset not in ARCHIVES:
        raise SettingError(
            f"--download knows {', '.join(ARCHIVES)}, not '{dataset}'; convert the raw file instead"
        )
    made, scratch = folder / f"{dataset}.inter", _scratch(folder)
    with alone(folder, "download"):
        if made.is_file():  # by a run that was waited for
            return made
        if scratch.is_symlink():
            raise SettingError(f"{scratch} is a link: remove it")
        scratch.mkdir(parents=True, exist_ok=True)
        try:
            frames = []
            for name, (event, reward) in ARCHIVES[dataset].items():
                archive = _fetch((urls or addresses())[name], scratch / f"{name}.zip")
                frames.append(_events(archive, event, reward))
            joined = pl.concat(frames).sort(COLUMNS[0], COLUMNS[2], maintain_order=True)
            with replacing(made) as beside:
                joined.write_csv(beside, separator="\t")
            shutil.rmtree(scratch)
        finally:
            with contextlib.suppress(OSError):  # what has arrived is in it
                scratch.rmdir()
    return made


def forget(dataset: str, folder: Path) -> None:
    """Remove what a transfer left behind that broke off or was killed, once its data are there.

    Until then it is kept: the next ``download`` goes on with it.
    """
    scratch = _scratch(folder)
    if dataset in ARCHIVES and scratch.is_dir():
        with contextlib.suppress(SettingError, OSError), alone(folder, None):
            shutil.rmtree(scratch)
            logging.getLogger().info(f"download: removed {scratch}, left by one that broke off")


def _scratch(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.download")


def _fetch(url: str, archive: Path) -> Path:
    """The archive, whole; goes on with the part of it that an earlier try left beside it."""
    if archive.is_file():
        return archive
    part, about = archive.with_suffix(".part"), archive.with_suffix(".json")
    try:
        total = _transfer(url, part, about)
    except OtherPart:  # nothing of what there is can be used
        part.unlink(missing_ok=True)
        return _fetch(url, archive)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SettingError(
            f"could not fetch {url}: {one_line(error)}{_kept(part, about)}; convert the raw file "
            "instead"
        ) from None
    if total is not None and part.stat().st_size != total:
        size = part.stat().st_size
        raise SettingError(
            f"{url} broke off at {size} of {total} bytes{_kept(part, about)}; try again"
        )
    about.unlink(missing_ok=True)
    part.rename(archive)
    return archive


def _transfer(url: str, part: Path, about: Path) -> int | None:
    """Append to ``part`` what is still missing, or begin anew; how long it is to be, if known.

    TimeoutError if the server is too slow, or takes too long.
    """
    request, begun = urllib.request.Request(url), 0
    tag = _tag(about)
    if tag and part.is_file() and not linked(part):
        begun = part.stat().st_size
        request.headers = {"Range": f"bytes={begun}-", "If-range": tag}
    blocks: queue.Queue[Any] = queue.Queue(maxsize=64)
    threading.Thread(target=_receive, args=(request, blocks), daemon=True).start()
    clock = _Clock()
    try:
        answer = clock.next(blocks)
    except urllib.error.HTTPError as error:
        if error.code == 416 and begun:
            raise OtherPart from None
        raise
    if answer.status != 206:
        begun = 0
    elif not answer.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
        raise OtherPart
    length = answer.headers.get("Content-Length") or ""
    total = begun + int(length) if length.isdigit() else None
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    if tag and not tag.startswith("W/"):
        write_json(about, {"tag": tag})
    else:
        about.unlink(missing_ok=True)
    name = one_line(url.rpartition("/")[2])
    bar = tqdm(total=total, initial=begun, unit="B", unit_scale=True, desc=name)
    if not begun:
        part.unlink(missing_ok=True)  # it may be a link
    with contextlib.closing(bar), open(part, "ab" if begun else "wb") as file:
        while block := clock.next(blocks):
            file.write(block)
            bar.update(len(block))
    return total


def _tag(about: Path) -> str | None:
    """What the server called the archive of which a part has arrived; None: it may be another."""
    try:
        tag = json.loads(about.read_text(encoding="utf-8"))["tag"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return tag if isinstance(tag, str) and tag.isascii() and tag.isprintable() else None


def _receive(request: urllib.request.Request, blocks: queue.Queue[Any]) -> None:
    """Put the answer, then its content by blocks and an empty one; or the error that came.

    In a thread, for a server that drips can hold whoever reads from it for as long as it likes.
    """
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            blocks.put(answer)
            while block := answer.read1(2**16):
                blocks.put(block)
        blocks.put(b"")
    except Exception as error:  # raised where it is waited for
        blocks.put(error)


class _Clock:
    """How long one transfer is waited for."""

    def __init__(self) -> None:
        self.end = time.monotonic() + LIMIT
        self._next_window()

    def _next_window(self) -> None:
        self.window, self.arrived = time.monotonic() + PATIENCE, 0

    def next(self, blocks: queue.Queue[Any]) -> Any:
        """What comes next; TimeoutError if that takes too long, and the error if it is one."""
        left = min(self.end, self.window) - time.monotonic()
        try:
            if left <= 0:
                raise queue.Empty
            found = blocks.get(timeout=left)
        except queue.Empty:
            raise TimeoutError(
                f"in {PATIENCE:g} seconds fewer than {LEAST} bytes arrived"
                if self.window < self.end
                else f"it was not there after {LIMIT:g} seconds"
            ) from None
        if isinstance(found, Exception):
            raise found
        self.arrived += len(found) if isinstance(found, bytes) else 0
        if self.arrived >= LEAST:
            self._next_window()
        return found


def _kept(part: Path, about: Path) -> str:
    """That a part is kept, if it is; else it is removed."""
    if part.is_file() and about.is_file() and part.stat().st_size:
        return f" (what arrived is kept in {part}: the same command goes on with it)"
    for path in (part, about):
        path.unlink(missing_ok=True)
    return ""


def _events(archive: Path, event: str, reward: float) -> pl.DataFrame:
    """The interaction file in an archive, which is removed if it is not what it is to be."""
    target = archive.with_suffix(".inter")
    try:
        _unpack(archive, target)
        return _read(target, archive.name, event, reward)
    except SettingError:
        archive.unlink()
        raise
    finally:
        target.unlink(missing_ok=True)


def _unpack(archive: Path, target: Path) -> None:
    """The one interaction file that is in it."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            inside = [one for one in zipped.infolist() if one.filename.endswith(".inter")]
            if len(inside) != 1:
                raise SettingError(f"{archive.name} holds {len(inside)} .inter files, not one")
            free = shutil.disk_usage(archive.parent).free
            if inside[0].file_size > free:
                raise SettingError(
                    f"{archive.name} unpacks to {inside[0].file_size:,} bytes, and {free:,} are "
                    "free on this disk"
                )
            target.unlink(missing_ok=True)
            with zipped.open(inside[0]) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file)
    except SettingError:
        raise
    except NOT_WHOLE as error:
        raise SettingError(
            f"{archive.name} is no zip archive that can be read ({one_line(error)}); try again"
        ) from None


def _read(target: Path, archive: str, event: str, reward: float) -> pl.DataFrame:
    """In the columns our converters write."""
    try:
        frame = pl.read_csv(target, separator="\t", quote_char=None, infer_schema=False)
        session, item, time = (
            _column(frame, names, archive)
            for names in (
                ("session_id:token", "visitor_id:token", "user_id:token"),
                ("item_id:token",),
                ("timestamp:float",),
            )
        )
        return frame.select(
            pl.col(session).alias(COLUMNS[0]),
            pl.col(item).alias(COLUMNS[1]),
            pl.col(time).cast(pl.Float64).alias(COLUMNS[2]),
            pl.lit(event).alias("event:token"),
            pl.lit(reward).alias("reward:float"),
        )
    except pl.exceptions.PolarsError as error:
        said = one_line(str(error).partition("\n")[0])
        raise SettingError(f"{archive}: {target.name} does not parse: {said}") from None


def _column(frame: pl.DataFrame, names: tuple[str, ...], archive: str) -> str:
    for name in names:
        if name in frame.columns:
            return name
    there = one_line(", ".join(frame.columns[:20]))
    raise SettingError(f"{archive} has no column {' or '.join(names)}: {there}")
