"""The benchmark of the data pipe runs, and its stages measure what they are named by."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks import data_scale
from benchmarks.stages import peak, power, timed
from benchmarks.synthetic_log import generate

SCRIPT = Path(data_scale.__file__)


def test_the_command_prints_a_row_for_every_stage_and_how_they_grow(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SCRIPT.parents[1]))
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--fraction=0.00005", "--fraction=0.0001",
         f"--work={tmp_path}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    measured = {(row[0], row[1]): row for row in rows if len(row) == 6}
    for fraction in ("5e-05", "0.0001"):
        for name in data_scale.STAGES:
            _, _, seconds, cpu, gib, _ = measured[fraction, name]
            assert float(seconds) > 0 and float(cpu) >= 0 and 0.05 < float(gib) < 4, name
    assert {row[0] for row in rows if len(row) == 3} >= set(data_scale.STAGES)
    assert not any((tmp_path / "yoochoose").iterdir())  # nothing is left


@pytest.fixture
def work(tmp_path, monkeypatch):
    folder = tmp_path / "yoochoose" / "tiny"
    folder.mkdir(parents=True)
    generate("yoochoose", folder / "raw", 3000)
    data_scale.convert(folder)
    return folder


def test_first_time_means_without_a_cache(work):
    first = data_scale.first_load(work)
    (kept,) = (path for path in (work / "sessions").iterdir() if path.is_dir())
    made = kept.stat().st_ino
    assert data_scale.load(work)["events"] == first["events"] > 2000
    assert kept.stat().st_ino == made
    data_scale.first_time_all(work)
    assert kept.stat().st_ino != made


def test_what_is_timed_and_how_growth_is_told():
    value, found = timed(lambda: time.sleep(0.05) or 7)
    assert value == 7 and found["seconds"] >= 0.05 > found["CPU"]
    before = peak()
    held = np.ones(2**24)  # 128 MiB
    assert peak() >= before + 0.1 and held[0] == 1
    assert power(3.0, 3.0 * 10**1.5, 10.0) == pytest.approx(1.5)
