"""Stages of a benchmark, a process each, so that one's memory does not hide another's."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.peak import kib

T = TypeVar("T")
Measures = dict[str, float]
Stage = Callable[..., Measures]  # of the folder to work in, and more


def measured(script: str, name: str, work: Path, *arguments: Any) -> Measures:
    """What a stage of ``script`` says of itself, and ``GiB``, the peak of its process.

    The script calls ``answer`` when it is given ``--stage``, and ``--work`` with the folder.
    """
    stage = json.dumps([name, *arguments])
    command = [sys.executable, script, "--stage", stage, "--work", str(work)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{name} failed")
    found: Measures = json.loads(done.stdout.splitlines()[-1])
    return found


def answer(stages: Mapping[str, Stage], stage: str, work: Path) -> None:
    """Run the stage that ``measured`` asks for in this process, and print what it reads."""
    name, *arguments = json.loads(stage)
    found = stages[name](work, *arguments)
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
    return kib("VmHWM") / 2**20


def power(less: float, more: float, ratio: float) -> float:
    """The p of ``more`` = ``less`` · ``ratio``ᵖ."""
    return math.log(more / less) / math.log(ratio)
