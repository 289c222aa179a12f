"""Stages of a benchmark, a process each, so that one's memory does not hide another's."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Measures = dict[str, float]
Stage = Callable[[Path], Measures]


def measured(script: str, name: str, work: Path) -> Measures:
    """What a stage of ``script`` says of itself, and ``GiB``, the peak of its process.

    The script calls ``answer`` when it is given ``--stage NAME --work FOLDER``.
    """
    command = [sys.executable, script, "--stage", name, "--work", str(work)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed")
    found: Measures = json.loads(done.stdout.splitlines()[-1])
    return found


def answer(stage: Stage, work: Path) -> None:
    """Run a stage in this process, and print what ``measured`` reads."""
    found = stage(work)
    print(json.dumps({**found, "GiB": peak()}))


def timed(work: Callable[[], T]) -> tuple[T, Measures]:
    """What ``work`` returns, its ``seconds``, and those of the processor, all threads together.

    On a machine that does other things too, the second are the ones to compare.
    """
    began, used = time.perf_counter(), time.process_time()
    found = work()
    return found, {"seconds": time.perf_counter() - began, "CPU": time.process_time() - used}


def peak() -> float:
    """Most memory that this process has held, in GiB; pages of mapped files that it read count.

    ``ru_maxrss`` would not do: a process begins with that of the one which started it.
    """
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 2**20


def power(less: float, more: float, ratio: float) -> float:
    """The p of ``more`` = ``less`` · ``ratio``ᵖ."""
    return math.log(more / less) / math.log(ratio)
