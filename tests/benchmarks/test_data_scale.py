"""The benchmark of the data pipe runs, and its stages measure what they are named by."""

import time
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from benchmarks import data_scale
from benchmarks.stages import measured, peak, power, timed
from benchmarks.synthetic_log import generate

SCRIPT = Path(data_scale.__file__)


def test_the_command_prints_a_row_for_every_stage_and_how_they_grow(tmp_path, monkeypatch):
    def here(script, name, work):  # a process for each would take a minute
        return {**data_scale.STAGES[name](work), "GiB": peak()}

    monkeypatch.setattr(data_scale, "measured", here)
    app = typer.Typer()
    app.command()(data_scale.main)
    fractions = ["--fraction=0.00005", "--fraction=0.0001"]
    done = CliRunner().invoke(app, [*fractions, f"--work={tmp_path}"])
    assert done.exit_code == 0, done.output
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines()]
    found = {(row[0], row[1]): row for row in rows if len(row) == 6}
    for fraction in ("5e-05", "0.0001"):
        for name in data_scale.STAGES:
            _, _, seconds, cpu, gib, _ = found[fraction, name]
            assert float(seconds) > 0 and float(cpu) >= 0 and float(gib) > 0.05, name
    assert {row[0] for row in rows if len(row) == 3} >= set(data_scale.STAGES)
    assert not any((tmp_path / "yoochoose").iterdir())  # nothing is left


def test_a_stage_runs_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(SCRIPT.parents[1]))
    folder = tmp_path / "retailrocket" / "tiny"
    folder.mkdir(parents=True)
    (folder / "clicks").write_text("1000")
    held = np.ones(2**28, np.uint8)  # is not counted with the child
    found = measured(str(SCRIPT), "write the raw log", folder)
    assert (folder / "raw" / "events.csv").stat().st_size > 10_000
    assert found["seconds"] > 0 and 0.05 < found["GiB"] < peak() and held.nbytes < peak() * 2**30


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
    (kept / "mark").touch()  # an inode may be given out again
    assert data_scale.load(work)["events"] == first["events"] > 2000
    assert (kept / "mark").is_file()
    data_scale.first_time_all(work)
    assert kept.is_dir() and not (kept / "mark").exists()


def test_what_is_timed_and_how_growth_is_told():
    def seven() -> int:
        time.sleep(0.05)
        return 7

    value, found = timed(seven)
    assert value == 7 and found["seconds"] >= 0.05 > found["CPU"]
    assert power(3.0, 3.0 * 10**1.5, 10.0) == pytest.approx(1.5)
