"""A log of impressions: what was shown, with which probability, and what came of it.

A CSV file with a row for each item that was shown, for ``dataset_prep/csv.py`` to read. A row is
written once its outcome is known, as a whole line that reaches the system at once.
"""

from __future__ import annotations

import csv
import io
import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock, Timeout

COLUMNS = ("session", "item", "time", "event", "propensity", "slot", "impression")
Kind = Literal["ignored", "click", "purchase"]  # from the least to the most
OUTCOMES: tuple[Kind, ...] = get_args(Kind)


@dataclass
class Impression:
    """An item that was shown, and what has come of it so far.

    Attributes:
        session, item: their names.
        time: Unix seconds.
        propensity: the probability with which the item was shown there.
        slot: its place among what was shown with it, from 1.
        shown: of this process's clock, for the timeout.
        outcome: the most that came of it.
    """

    session: str
    item: str
    time: float
    propensity: float
    slot: int
    shown: float
    outcome: Kind = "ignored"


class ImpressionLog:
    """Keeps impressions until their outcome is known, and then writes them down.

    An outcome may grow: what was clicked can be bought. So a row is written when its item is
    bought, when ``timeout`` seconds are over, or at the end (``close``), with the most that came of
    it by then. What is open is in memory alone: a process that is killed loses it. Methods may be
    called by several threads.

    Args:
        path: the file; it is appended to. A line that a killed process left half is cut off.
        timeout: seconds for which an outcome may come.

    Raises:
        ValueError: another process is at the file, or it has other columns.
    """

    def __init__(self, path: Path, timeout: float = 1800.0) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self.timeout = path, timeout
        self.written = 0
        self._open: OrderedDict[str, Impression] = OrderedDict()
        self._mutex = threading.Lock()
        self._held = FileLock(path.with_name(path.name + ".lock"))
        try:
            self._held.acquire(timeout=0)
        except Timeout:
            raise ValueError(f"another process writes to {path}: give another --log") from None
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._begin()

    def show(
        self, session: str, when: float, items: Sequence[str], propensities: Sequence[float]
    ) -> list[str]:
        """Note what is shown to a session, slot by slot; return the name of each impression."""
        now, names = time.monotonic(), []
        with self._mutex:
            for slot, (item, propensity) in enumerate(zip(items, propensities, strict=True), 1):
                names.append(uuid.uuid4().hex)
                # A millisecond later each, so that their order is known wherever the log is sorted.
                at = when + (slot - 1) / 1000
                self._open[names[-1]] = Impression(session, item, at, propensity, slot, now)
        return names

    def happened(self, name: str, outcome: Kind) -> Kind:
        """Note what came of an impression; return the most that came of it so far.

        Raises:
            KeyError: there is no such impression, or its row is written already.
        """
        with self._mutex:
            impression = self._open[name]
            impression.outcome = max(impression.outcome, outcome, key=OUTCOMES.index)
            if impression.outcome == OUTCOMES[-1]:
                self._write([name])
            return impression.outcome

    def expire(self) -> None:
        """Write what was shown ``timeout`` seconds ago."""
        before = time.monotonic() - self.timeout
        with self._mutex:
            old = []
            for name, impression in self._open.items():  # from the oldest
                if impression.shown > before:
                    break
                old.append(name)
            self._write(old)

    def close(self) -> None:
        """Write all that is open, and let others write to the file."""
        with self._mutex:
            self._write(list(self._open))
            self._file.close()
        self._held.release()

    def __len__(self) -> int:
        """Return how many impressions are open."""
        return len(self._open)

    def _begin(self) -> None:
        """Write the header, or go on after the last whole line."""
        header = ",".join(COLUMNS).encode() + b"\n"
        found = self._file.readline()
        if found and found != header:
            self.close()
            raise ValueError(f"{self.path} begins with {found[:80]!r}, not with {header!r}")
        if not found:
            self._file.write(header)
            self._file.flush()
        end = self._file.seek(0, os.SEEK_END)
        while end > 0:  # back to the end of the last line that has one
            self._file.seek(end - 1)
            if self._file.read(1) == b"\n":
                break
            end -= 1
        self._file.truncate(end)
        self._file.seek(end)

    def _write(self, names: Iterable[str]) -> None:
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for name in names:
            row = self._open.pop(name)
            writer.writerow([
                row.session, row.item, f"{row.time:.6f}", row.outcome, repr(row.propensity),
                row.slot, name,
            ])  # fmt: skip
            self.written += 1
        if lines.tell():
            self._file.write(lines.getvalue().encode())
            self._file.flush()
