"""Freed memory is reused instead of mapped anew."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource, torch
from recbole_lpi.training.memory import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
for step in range(20):
    if step == 10:  # the heap has grown to its size
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)  # 64 MiB, 16,384 pages
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_a_tensor_of_every_step_faults_its_pages_in_once():
    faults = {}
    for keep in (False, True):
        done = subprocess.run(
            [sys.executable, "-c", CODE.format(keep=keep)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        faults[keep] = int(done.stdout)
    assert faults[True] < faults[False] / 5, faults


GIVEN_BACK = """
import resource, torch
from recbole_lpi.training import memory
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 2**20  # MiB
memory.keep_freed_memory()
freed = memory.FreedMemory()
above = torch.ones(2**25), torch.ones(2**18)  # 128 MiB, and what lies above them on the heap
above = above[1]
kept = resident()
freed.give_back()
early = resident()
memory.HELD_FOR = -1.0
freed.give_back()
print(kept, early, resident())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_what_is_kept_is_given_back_but_not_at_once():
    done = subprocess.run([sys.executable, "-c", GIVEN_BACK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kept, early, late = map(int, done.stdout.split())
    assert kept - early < 64 < 100 < kept - late
