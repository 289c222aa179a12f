"""Transfer files from servers, going on where an earlier transfer broke off.

What has arrived of a file is kept beside it, and is gone on with if the server can do that and says
that the file is the same. A server that is too slow is given up.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recbole_lpi.files import linked, write_json
from recbole_lpi.settings import SettingError
from recbole_lpi.text import one_line

LIMIT = 2 * 3600.0  # seconds that one archive may take
PATIENCE, LEAST = 60.0, 2**16  # in so many seconds at least so many bytes of it must arrive


class OtherPart(Exception):
    """An error: a server does not go on from the byte it was asked to."""


def fetch(url: str, archive: Path) -> Path:
    """Fetch ``archive``, whole, going on with the part that an earlier try left beside it.

    SettingError names what went wrong, and whether what arrived is kept.
    """
    if archive.is_file():
        return archive
    part, about = archive.with_suffix(".part"), archive.with_suffix(".json")
    try:
        total = _transfer(url, part, about)
    except OtherPart:  # nothing of what there is can be used
        part.unlink(missing_ok=True)
        return fetch(url, archive)
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
    """Append to ``part`` what is missing, or begin anew; return its full size, if known.

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
    _note_tag(about, answer)
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
    """Read what the server called the archive that arrived in part; None: it may be another."""
    try:
        tag = json.loads(about.read_text(encoding="utf-8"))["tag"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None
    return tag if isinstance(tag, str) and tag.isascii() and tag.isprintable() else None


def _note_tag(about: Path, answer: Any) -> None:
    """Keep in ``about`` what the archive is known again by, if the server says that."""
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    if tag and not tag.startswith("W/"):
        write_json(about, {"tag": tag})
    else:
        about.unlink(missing_ok=True)


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
    """A clock of one transfer: how long it may take as a whole, and for every few bytes."""

    def __init__(self) -> None:
        self.end = time.monotonic() + LIMIT
        self._next_window()

    def _next_window(self) -> None:
        """Begin to count time and bytes anew."""
        self.window, self.arrived = time.monotonic() + PATIENCE, 0

    def next(self, blocks: queue.Queue[Any]) -> Any:
        """Take the next block; TimeoutError if that takes too long, or the error that came."""
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
    """Say that a part is kept, if it can be gone on with; else remove it and say nothing."""
    if part.is_file() and about.is_file() and part.stat().st_size:
        return f" (what arrived is kept in {part}: the same command goes on with it)"
    for path in (part, about):
        path.unlink(missing_ok=True)
    return ""
