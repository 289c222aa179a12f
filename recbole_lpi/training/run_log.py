"""The log of a run: what RecBole's logger says, without colours, and nothing but text."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from recbole_lpi.files import linked, write_bytes
from recbole_lpi.text import visible

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
label = ContextVar("label", default="")  # which a progress bar begins with, as lines do


class Plain(logging.Formatter):
    """A format without RecBole's colours, in which what a message quotes is escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as a line, or lines."""
        return visible(COLOUR.sub("", super().format(record)))


class _Screen(logging.StreamHandler):  # type: ignore[type-arg]
    """Standard error as it is when a line is logged: a program may put another in its place."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def log_to_screen(first: bool = True) -> None:
    """Show log lines on standard error, once, and those of the ``first`` process alone."""
    root = logging.getLogger()
    if not first:
        root.addHandler(logging.NullHandler())
        return
    root.setLevel(logging.INFO)
    if not any(type(handler) in (logging.StreamHandler, _Screen) for handler in root.handlers):
        screen = _Screen()
        screen.setFormatter(Plain("%(asctime)s %(message)s", "%H:%M:%S"))
        root.addHandler(screen)


class _RunLog(logging.FileHandler):
    """The handler that writes the log file of one run."""


def log_to_file(text: str) -> None:
    """Log what is too much for a screen to the file of the run at work alone, if there is one."""
    root = logging.getLogger()
    line = label.get() + text  # which the filter of ``labelled`` does not see
    record = root.makeRecord(root.name, logging.INFO, __file__, 0, line, (), None)
    for handler in root.handlers:
        if isinstance(handler, _RunLog):
            handler.handle(record)


@contextmanager
def labelled(text: str) -> Iterator[None]:
    """Begin every line and every progress bar with ``text``: those of a run inside a run."""

    def put_before(record: logging.LogRecord) -> bool:
        if not str(record.msg).startswith(text):
            record.msg = text + str(record.msg)
        return True

    root = logging.getLogger()
    root.addFilter(put_before)
    outer = label.set(text)
    try:
        yield
    finally:
        label.reset(outer)
        root.removeFilter(put_before)


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append what the root logger, which RecBole uses, says to ``path``; once if nested.

    A run inside a run, such as that of the logging policy, speaks to its own file alone.
    """
    root = logging.getLogger()
    if linked(path):  # what is appended is for this file alone
        write_bytes(path, path.read_bytes() if path.is_file() else b"")
    target = str(path.resolve())
    if any(getattr(handler, "baseFilename", None) == target for handler in root.handlers):
        yield
        return
    outer = [handler for handler in root.handlers if isinstance(handler, _RunLog)]
    for waiting in outer:
        root.removeHandler(waiting)
    handler = _RunLog(target, encoding="utf-8")
    handler.setFormatter(Plain("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    level = root.level
    root.addHandler(handler)
    if not root.isEnabledFor(logging.INFO):
        root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
        for waiting in outer:
            root.addHandler(waiting)
