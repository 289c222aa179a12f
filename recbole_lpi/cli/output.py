"""What commands print and write, and how the work of a sweep is begun.

Nothing heavy is imported before it is used, so that a help text is there at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_lpi.text import visible

if TYPE_CHECKING:
    from recbole_lpi.experiments.sweep import Sweep


def say(line: str) -> None:
    """Print a line beside the output, without what would reach the terminal raw."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    console.print(visible(line), markup=False, soft_wrap=True)


def say_written(*paths: Path | None) -> None:
    """Say of each path that it is written; None is none."""
    for path in paths:
        if path is not None:
            say(f"wrote {path}")


def write(text: str, path: Path) -> None:
    """Write a text file, all of it or nothing."""
    from recbole_lpi.files import write_text

    write_text(path, text)


def print_or_write(text: str, path: Path | None) -> None:
    """Print a text, or write it where a path is given."""
    if path is None:
        sys.stdout.write(text)
    else:
        write(text, path)


@contextmanager
def progress_bar(total: int | None, unit: str) -> Iterator[Callable[[int], None]]:
    """Show how much of ``total`` is done, on a terminal; gives what is told of each step.

    ``total`` is None where nobody knows.
    """
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", disable=None, leave=False) as bar:

        def advance(number: int) -> None:
            bar.update(number)

        yield advance


def work_through(sweep: Sweep, threads: int | None) -> None:
    """Make the runs that a sweep lacks, with ``threads`` of torch; None: as torch is set."""
    from recbole_lpi.experiments.sweep_work import work

    prepare_torch(threads)
    work(sweep)


def prepare_torch(threads: int | None) -> None:
    """Let torch work in so many threads, None as it is set, and keep memory that it frees."""
    import torch

    from recbole_lpi.training.memory import keep_freed_memory

    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
