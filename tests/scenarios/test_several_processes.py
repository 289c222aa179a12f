"""Several processes that train one run: as one would, and whatever happens to one of them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import torch.distributed as dist

from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.distributed import LostProcess, join
from recbole_lpi.training.epochs import SessionEpochs
from recbole_lpi.training.run_folder import RunFolder
from tests.support.logs import SMALL
from tests.support.processes import exit_codes

ALIKE = {**SMALL, "hidden_dropout_prob": 0.0, "attn_dropout_prob": 0.0, "logging_policy": "none"}
RUNS = {
    "lpirl": ("LPIRL", {"logging_policy": "auto", "loss_on_last": 3, "logging_policy_seeds": 2}),
    "analytic": ("LPIRL", {
        "advantage_estimator": "analytic", "value_estimator": "double_q", "weight_normalize": True,
        "weight_clip": 5, "clip_grad_norm": {"max_norm": 1},
    }),
    "sampled": ("SQN", {"reward_sampling": {"unit": "event", "correct": True}, "epochs": 3}),
    "drawn": ("SAC", {"warmup_epochs": 1, "reward_sampling": {"fraction": 0.5}}),
    # Batches of one window, of which two processes have none.
    "single": ("IPS", {"train_batch_size": 1, "evaluate_first_event": True, "epochs": 1}),
    "scaled": ("LPIRL", {"enable_scaler": True, "clip_grad_norm": {"max_norm": 1}, "epochs": 1}),
    "candidates": ("LPIRL", {
        "softmax": "sampled", "candidate_sampling": {"sample_num": 12}, "learner": "sparse_adam",
        "advantage_estimator": "analytic", "value_estimator": "double_q",
        "logging_policy": "auto", "clip_grad_norm": {"max_norm": 1},
        "learning_rate": 0.01, "epochs": 3,
    }),
    "in_batch": ("IPS", {
        "softmax": "sampled", "candidate_sampling": {"distribution": "in_batch"}, "epochs": 1,
        "learner": "sparse_adam", "train_batch_size": 2,
    }),
    "baseline": ("SessionKNN", {"logging_policy": "none"}),
}  # fmt: skip


def given(name, folder):
    own: Any
    model, own = RUNS[name]
    values = SMALL if model == "SessionKNN" else ALIKE
    mu = {"logging_policy_dir": f"{folder}/logging_policy"}
    return model, {**values, **mu, **own, "run_dir": f"{folder}/{name}"}


def train_all(rank, folder):
    for name in RUNS:
        model, values = given(name, folder)
        run(model, "shop", (), values)


def same_run(one, other, tolerance):
    ours, theirs = (json.loads(folder.metrics.read_text()) for folder in (one, other))
    assert ours["best_epoch"] == theirs["best_epoch"] and ours["data"] == theirs["data"]
    for metric, found in (theirs["noise_floor"] or {}).items():
        assert ours["noise_floor"][metric] == pytest.approx(found, abs=tolerance), metric
    for part in ("valid", "test"):
        assert ours[part].keys() == theirs[part].keys()
        for metric, found in theirs[part].items():
            assert ours[part][metric] == pytest.approx(found, abs=tolerance), (part, metric)
    ours, theirs = (pl.read_parquet(folder.events) for folder in (one, other))
    exact = ["session_id", "position", "item_id", "event", "reward"]
    assert ours.select(exact).equals(theirs.select(exact))
    for column in ("log_pi", "log_mu", "js", "kl"):
        found, expected = (frame[column].to_numpy() for frame in (ours, theirs))
        np.testing.assert_allclose(found, expected, atol=tolerance, equal_nan=True)


def logged(folder, number):
    """What the log of a run tells of each epoch, by the name of the number."""
    return [float(found) for found in re.findall(rf"{number}: ([\d.]+)", folder.log.read_text())]


def test_several_processes_are_one_to_float_tolerance(log):
    """Three, so that shares are uneven."""
    train_all(0, "one")
    assert exit_codes(train_all, "several", size=3) == [0, 0, 0]
    for name in RUNS:
        several, one = (RunFolder(f"{folder}/{name}") for folder in ("several", "one"))
        same_run(several, one, 1e-4)
        # The first alone writes; and what it writes is of the whole.
        for number in (
            "reward_weighted_ndcg@20",
            "policy loss",
            "mean weight",
            "effective fraction",
        ):
            found, expected = (logged(folder, number) for folder in (several, one))
            assert found == pytest.approx(expected, abs=2e-4), (name, number)
            assert found or name == "baseline"
    mus = [path for path in Path("several/logging_policy").iterdir() if path.is_dir()]
    assert len(mus) == 3 and all(RunFolder(mu).finished for mu in mus)  # full, twice, and sampled
    assert RunFolder("several/lpirl").read_metrics()["noise_floor"]["js_divergence"]["mean"] > 0
    assert not list(Path("several").rglob("*.part"))


def sum_rows(rank):
    """Of 3, none and 5 rows of 9, of which the first belongs to no process."""
    ranks = join(torch.device("cpu"), 60)
    rows = [[2, 7, 2], [], [1, 2, 8, 3, 8]]
    for shape in ((9, 4), (9,)):
        parameter, dense = torch.nn.Parameter(torch.zeros(shape)), torch.nn.Parameter(torch.ones(2))
        index = torch.tensor([rows[rank]], dtype=torch.int64)
        value = torch.full((index.shape[1], *shape[1:]), 1.0 + rank)
        parameter.grad, dense.grad = torch.sparse_coo_tensor(index, value, shape), torch.ones(2)
        numbers = ranks.sum_gradients([parameter, dense], {"loss": torch.tensor(float(rank))})
        assert numbers == {"loss": 3.0} and dense.grad.tolist() == [3.0, 3.0]
        found = parameter.grad.coalesce()
        assert found.indices().tolist() == [[1, 2, 3, 7, 8]]
        assert found.to_dense().reshape(9, -1)[:, 0].tolist() == [0, 3, 5, 3, 0, 0, 0, 1, 6]


def test_touched_rows_are_summed_and_no_other_row_is(log):
    assert exit_codes(sum_rows, size=3) == [0, 0, 0]


BROKEN_OFF = {**SMALL, "epochs": 6, "logging_policy": "none", "learning_rate": 0.01,
              "stopping_step": 9, "run_dir": "broken", "softmax": "sampled",
              "candidate_sampling": {"sample_num": 12}, "learner": "sparse_adam"}  # fmt: skip


def train_whole(rank):
    run("SQN", "shop", (), {**BROKEN_OFF, "run_dir": "whole"})


def train_until(rank, epoch, what, given):
    """A run whose second process meets with something in the middle of an epoch."""
    begin, batch, at = SessionEpochs.begin, SessionEpochs.batch, []

    def begun(epochs, number, rng):
        at.append(number)
        return begin(epochs, number, rng)

    def interrupted(epochs, index):
        if rank == 1 and at[-1] == epoch:
            what()
        return batch(epochs, index)

    patch = pytest.MonkeyPatch()  # for good
    patch.setattr(SessionEpochs, "begin", begun)
    patch.setattr(SessionEpochs, "batch", interrupted)
    model, dataset = (None, None) if "resume" in given else ("SQN", "shop")
    run(model, dataset, (), given)


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def hang():
    time.sleep(1000)


def resume(rank):
    run(config_dict={"resume": "broken"})


def test_what_happens_to_one_process_loses_nothing(log):
    """One is killed, twice, then one hangs: the other ends; the run goes on to the same bits."""
    assert exit_codes(train_whole) == [0, 0]
    assert exit_codes(train_until, 0, die, BROKEN_OFF) == [1, -9]
    folder = RunFolder("broken")
    assert folder.begun and not folder.resume.exists()
    assert exit_codes(train_until, 2, die, {"resume": "broken"}) == [1, -9]
    assert torch.load(folder.resume, weights_only=True)["next_epoch"] == 2
    settings = folder.config.read_text()
    impatient = settings.replace("collective_timeout: 600", "collective_timeout: 5")
    assert impatient != settings
    folder.config.write_text(impatient)
    assert exit_codes(train_until, 4, hang, {"resume": "broken"}, hanging=1) == [1, None]
    assert not folder.finished
    folder.config.write_text(settings)
    assert exit_codes(resume) == [0, 0]
    same_run(folder, RunFolder("whole"), 0)
    ours, theirs = (torch.load(f.model, weights_only=True) for f in (folder, RunFolder("whole")))
    for name, value in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], value), name


def test_a_run_goes_on_with_another_number_of_processes(log):
    values = {**ALIKE, "epochs": 4, "run_dir": "broken"}
    whole = run("SQN", "shop", (), {**values, "run_dir": "whole"})
    assert exit_codes(train_until, 1, die, values) == [1, -9]
    broken = run(config_dict={"resume": "broken"})
    same_run(broken.folder, whole.folder, 1e-4)


def train_as_recbole(rank):
    """What RecBole's launcher has each of its processes do."""
    from recbole.quick_start.quick_start import run_recboles

    place = {"nproc": 2, "world_size": 2, "offset": 0, "ip": "localhost",
             "port": os.environ["MASTER_PORT"]}  # fmt: skip
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        del os.environ[name]
    given = {**ALIKE, **place, "run_dir": "several"}
    run_recboles(rank, "SQN", "shop", None, {"config_dict": given})


def test_processes_of_recboles_own_launcher(log):
    Path("log/SQN").mkdir(parents=True)  # which RecBole's processes race to make, and one dies of
    assert exit_codes(train_as_recbole) == [0, 0]
    one = run("SQN", "shop", (), {**ALIKE, "run_dir": "one"})
    several = RunFolder("several")
    same_run(several, one.folder, 1e-4)
    assert not {"nproc", "world_size", "ip", "port", "offset"} & set(several.read_config())


def refused(rank, model, given, words):
    with pytest.raises(SettingError, match=words):
        run(model, "shop", (), {**SMALL, **given})


def test_refused_in_several_processes(log):
    assert exit_codes(refused, "GRU4Rec", {}, "GRU4Rec of RecBole trains in one process") == [0, 0]
    run("LoggingPolicy", "shop", (), {**SMALL, "run_dir": "taken"})
    taken = {"run_dir": "taken"}
    assert exit_codes(refused, "LPIRL", taken, "taken holds a finished run") == [0, 0]
    assert RunFolder("taken").finished
    for name in ("nproc", "world_size"):
        with pytest.raises(SettingError, match=f"{name} starts no processes: torchrun"):
            run("LPIRL", "shop", (), {**SMALL, name: 2})


def test_torchrun(log):
    """The command as it is given: one table, one log, no warning of processes left."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2",
               "-m", "recbole_lpi", "run", "--model=SQN", "--dataset=shop", "--run_dir=several",
               *(f"--{key}={value}" for key, value in ALIKE.items())]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("SQN on shop: test part") == 1
    assert done.stderr.count("epoch 0 training") == 1 and "Warning" not in done.stderr
    one = run("SQN", "shop", (), {**ALIKE, "run_dir": "one"})
    same_run(RunFolder("several"), one.folder, 1e-4)


def die_between_the_groups(rank):
    made = dist.new_group

    def make(*given, **named):
        if rank == 1 and len(calls) == 1:
            os._exit(3)
        calls.append(named)
        return made(*given, **named)

    calls: list[object] = []
    dist.new_group = make
    try:
        join(torch.device("cpu"), 5.0)
    except LostProcess:
        os._exit(4)


def test_a_process_that_dies_while_they_meet_is_not_waited_for_without_end():
    assert exit_codes(die_between_the_groups, seconds=120) == [4, 3]
