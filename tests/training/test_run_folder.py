"""Who may write to a run folder, and what a kill at any moment leaves there."""

from __future__ import annotations

import logging
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_lpi.cli.app import app
from recbole_lpi.locks import Busy
from recbole_lpi.plugin import runner
from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.recorder import Recorder
from recbole_lpi.training.run_folder import RunFolder, claimed
from tests.support.crashes import killed_after
from tests.support.logs import SMALL
from tests.support.processes import forkserver, start

pytestmark = pytest.mark.recbole


def keep_epoch(folder: RunFolder, who: str) -> None:
    """What the first epoch of a run leaves."""
    (folder.path / "tensorboard").mkdir(exist_ok=True)
    (folder.path / "tensorboard" / f"events.out.{who}").write_text(who)
    for file in (folder.log, folder.resume, folder.model):
        file.write_text(who)
    folder.settle()


def finish(folder: RunFolder, who: str) -> None:
    for file in ("events.parquet", *folder.EXPORTED):
        (folder.path / file).write_text(who)
    folder.write_metrics({"who": who})


def claim(folder: Path, who: str, held: ExitStack, overwrite: bool = False) -> RunFolder:
    made = claimed("LPIRL", "shop", str(folder), overwrite, held)
    made.write_config({"who": who})
    return made


def whole(folder: Path, who: str) -> bool:
    """Whether it holds all of this finished run, and nothing else."""
    files = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}
    wanted = {*RunFolder.FILES, *RunFolder.EXPORTED, f"tensorboard/events.out.{who}"}
    return set(files) == wanted and all(who in text for text in files.values())


# ------------------------------------------------------------------ one run at a time


TRIALS = 30


def contend(kinds, number, root, together):
    """Start, overwrite or resume a run at one moment with others, again and again.

    Who comes first holds the folder until all have tried.
    """
    who = str(number)
    for trial in range(TRIALS):
        folder = Path(root, str(trial))
        if number == 0 and "start" not in kinds:
            with ExitStack() as held:
                keep_epoch(claim(folder, "old", held), "old")
        together.wait()
        with ExitStack() as held:
            try:
                if kinds[number] == "resume":
                    made = runner.resumed_folder(RunFolder(folder), {"who": "old"}, held)
                else:
                    made = claim(folder, who, held, kinds[number] == "overwrite")
            except Busy:
                outcome = "refused"
            else:
                outcome = "trained"
                keep_epoch(made, who)
            together.wait()
            if outcome == "trained":
                finish(made, who)
                made.write_config({"who": who})
        Path(root, f"{trial} {number} {outcome}").touch()


@pytest.mark.parametrize("kinds", [
    ["start"] * 2, ["overwrite"] * 3, ["resume"] * 3, ["overwrite", "resume", "resume"],
])  # fmt: skip
def test_of_runs_that_begin_in_one_folder_at_one_moment_one_trains(tmp_path, kinds):
    context = forkserver()
    together = context.Barrier(len(kinds), timeout=60)
    processes = [
        context.Process(target=contend, args=(kinds, number, str(tmp_path), together))
        for number in range(len(kinds))
    ]
    start(processes, contend)
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for trial in range(TRIALS):
        (winner,) = (n for n in range(len(kinds)) if (tmp_path / f"{trial} {n} trained").exists())
        assert len(list(tmp_path.glob(f"{trial} * refused"))) == len(kinds) - 1
        if kinds[winner] == "resume":  # beside what it went on with
            (tmp_path / str(trial) / "tensorboard" / "events.out.old").unlink()
        assert whole(tmp_path / str(trial), str(winner))


def test_a_folder_that_is_trained_in_is_refused_to_all_others(log, monkeypatch):
    recorded = Recorder.record
    told: list[Any] = []

    def record(recorder, *given):
        recorded(recorder, *given)
        call: dict[str, Any]
        for call in (
            {"config_dict": {"resume": "runs/a"}},
            {"config_dict": {"resume": "runs/link"}},
            {"config_dict": {**small, "overwrite": True}},
            {"config_dict": small},
        ):
            if "resume" not in call["config_dict"]:
                call |= {"model": "LoggingPolicy", "dataset": "shop"}
            with ThreadPoolExecutor(1) as other, pytest.raises(Busy) as error:
                other.submit(run, **call).result()
            told.append(str(error.value))

    small = {**SMALL, "run_dir": "runs/a"}
    Path("runs").mkdir()
    Path("runs/link").symlink_to("a")
    alone = run("LoggingPolicy", "shop", (), {**SMALL, "run_dir": "runs/b"})
    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "record", record)
        found = run("LoggingPolicy", "shop", (), small)
    assert found.results == alone.results
    assert (
        told
        == [
            f"another process is at the run in {Path('runs/a').resolve()}: wait until it ends, "
            "stop it, or give another --run_dir"
        ]
        * 8
    )
    assert sorted(p.name for p in Path("runs/a").iterdir()) == sorted(
        [*RunFolder.FILES, "tensorboard"]
    )


def start_program(together, folder, given):
    os.chdir(folder)
    together.wait()
    with open(f"{os.getpid()}.txt", "w") as said, redirect_stderr(said):
        app(["run", *given])


def test_of_two_programs_that_start_at_one_moment_one_trains(log):
    """The other says so in a line, and ends with status 2."""
    context = forkserver()
    given = [f"--{key}={value}" for key, value in {**SMALL, "epochs": 30}.items()]
    given += ["--model=LoggingPolicy", "--dataset=shop", "--run_dir=runs/a"]
    together = context.Barrier(2)
    both = [
        context.Process(target=start_program, args=(together, os.getcwd(), given)) for _ in range(2)
    ]
    start(both, start_program)
    for process in both:
        process.join()
    trained, refused = sorted(both, key=lambda process: process.exitcode)
    assert (trained.exitcode, refused.exitcode) == (0, 2)
    (told,) = Path(f"{refused.pid}.txt").read_text().splitlines()
    assert told.startswith("error: another process is at the run in")
    assert RunFolder("runs/a").finished


def test_a_run_in_a_script_of_recboles_holds_its_folder_until_it_is_measured(log, monkeypatch):
    from recbole.quick_start import run_recbole

    def refused(recorder, *given):
        measured(recorder, *given)
        with ThreadPoolExecutor(1) as other, pytest.raises(Busy):
            other.submit(run, config_dict={"resume": "runs/a"}).result()

    measured = Recorder.write_events
    monkeypatch.setattr(Recorder, "write_events", refused)
    run_recbole("LoggingPolicy", "shop", config_dict={**SMALL, "run_dir": "runs/a"})
    with RunFolder("runs/a").exclusive():
        assert RunFolder("runs/a").finished


# ------------------------------------------------------------------ kills


def old_run(path: Path) -> RunFolder:
    with ExitStack() as held:
        folder = claim(path, "old", held)
        keep_epoch(folder, "old")
        finish(folder, "old")
    assert whole(path, "old")
    return folder


def replace(path: Path) -> None:
    """All of a run that replaces another."""
    with ExitStack() as held:
        folder = claim(path, "new", held, overwrite=True)
        keep_epoch(folder, "new")
        finish(folder, "new")


def come_to_nothing(path: Path) -> None:
    with ExitStack() as held:
        folder = claim(path, "new", held, overwrite=True)
        folder.log.write_text("new")
        folder.give_up()


def kills(tmp_path, work):
    """A folder for each file operation of ``work`` on a finished run, killed before it."""
    old_run(tmp_path / "count")
    with killed_after(float("inf")) as operations:
        work(tmp_path / "count")
    assert len(operations) > 20
    for number in range(len(operations)):
        path = tmp_path / str(number)
        old_run(path)
        with killed_after(number):
            work(path)
        yield path


def test_a_run_that_is_being_replaced_is_whole_until_an_epoch_of_the_new_one_is_kept(tmp_path):
    for path in kills(tmp_path, replace):
        folder = RunFolder(path)
        assert folder.begun
        if folder.resume.is_file() and folder.resume.read_text() == "new":
            replaced = folder
        else:
            with folder.exclusive():
                folder.recover()
            replaced = RunFolder(path / "replaced") if (path / "replaced").exists() else folder
            assert whole(replaced.path, "old"), path
        replace(path)
        assert whole(path, "new") and not (path / "replaced").exists()


def test_a_run_is_put_back_whole_whenever_that_is_killed(tmp_path):
    for path in kills(tmp_path, come_to_nothing):
        come_to_nothing(path)
        assert whole(path, "old"), path
        with ExitStack() as held, pytest.raises(SettingError, match="holds a finished run"):
            claim(path, "other", held)


@pytest.mark.parametrize(("model", "step"), [("LoggingPolicy", 2), ("LPIRL", 17)])
def test_a_run_killed_at_any_file_operation_goes_on_to_the_same_bits(log, model, step):
    """By --resume if it has settings, else by the same command; and nothing else is left of it."""
    given = {**SMALL, "run_dir": "runs/a"}
    run(model, "shop", (), given)
    expected = files_and_bits()
    shutil.rmtree("runs")
    with killed_after(float("inf")) as operations:
        run(model, "shop", (), given)
    assert len(operations) > 60
    for number in range(0, len(operations), step):
        shutil.rmtree("runs")
        with killed_after(number):
            run(model, "shop", (), given)
        folder = RunFolder("runs/a")
        if folder.finished:  # only the lock was left to remove
            with pytest.raises(SettingError, match="finished run"):
                run(config_dict={"resume": "runs/a"})
        elif folder.begun:
            run(config_dict={"resume": "runs/a"})
        else:
            run(model, "shop", (), given)
        assert files_and_bits() == expected, (number, operations[number])
        scratch = [p for p in Path("runs").rglob("*") if p.name == ".lock" or p.suffix in SCRATCH]
        assert not scratch, (number, operations[number])


SCRATCH = (".lock", ".part", ".tmp")


def files_and_bits() -> dict[str, object]:
    """All that there is in folders of runs; of what a run keeps, the very values."""
    found: dict[str, object] = {}
    for path in [p for root in ("a", "logging_policy") for p in Path("runs", root).rglob("*")]:
        name = "tensorboard" if "tensorboard" in path.parts else str(path)
        if path.suffix == ".pth":
            state = torch.load(path, weights_only=True)
            found[name] = {k: v.numpy().tobytes() for k, v in state["state_dict"].items()}
        elif path.suffix in (".parquet", ".json", ".yaml"):
            found[name] = path.read_bytes()
        else:
            found[name] = None
    return found


# ------------------------------------------------------------------ what is told


def test_metrics_that_are_no_numbers_do_not_lose_a_run_at_its_end(tmp_path, caplog):
    folder, inf = RunFolder(tmp_path), float("inf")
    estimate = {"mean": inf, "stderr": float("nan"), "count": np.int64(3)}
    report = {"edges": [0.0, inf], "rmse": np.float32("nan"), "pair": (1, -inf)}
    folder.write_metrics({"test": {"average_reward@1": estimate}, "imputation": report})
    found = folder.read_metrics()
    assert found["test"]["average_reward@1"] == {"mean": None, "stderr": None, "count": 3}
    assert found["imputation"] == {"edges": [0.0, None], "rmse": None, "pair": [1, None]}
    assert "not finite, and null in metrics.json: average_reward@1 (test)" in caplog.text


def test_resuming_a_finished_run_removes_the_lock_that_a_kill_at_its_end_left(log):
    run("LoggingPolicy", "shop", (), {**SMALL, "run_dir": "runs/a"})
    lock = Path("runs/a/.lock")
    lock.touch()
    with pytest.raises(SettingError, match="holds a finished run: there is nothing to resume"):
        run(config_dict={"resume": "runs/a"})
    assert not lock.exists() and RunFolder("runs/a").finished


def test_an_epoch_is_a_line_on_the_screen_and_every_metric_of_it_in_the_file(log, caplog):
    with caplog.at_level(logging.INFO):
        run("LPIRL", "shop", (), {**SMALL, "run_dir": "runs/a"})
    told = [record.getMessage() for record in caplog.records]
    own = [line for line in told if line.startswith("epoch ")]
    labelled = [line for line in told if line.startswith("logging policy: epoch ")]
    (mu,) = Path("runs/logging_policy").iterdir()
    epochs = RunFolder(mu).read_metrics()["epochs"]
    assert (len(own), len(labelled)) == (4, 2 * epochs)
    assert all("\n" not in line for line in told)
    line = next(line for line in own if line.startswith("epoch 1 evaluating"))
    assert "reward_weighted_ndcg@20: " in line and "purchase_ndcg@10: " in line
    assert "purchase_hit@3" not in line and "best epoch: " in line
    text = RunFolder("runs/a").log.read_text()
    assert text.count("purchase_hit@3: ") == 2 and "logging policy: epoch" not in text
    assert RunFolder(mu).log.read_text().count("purchase_hit@5: ") == epochs
