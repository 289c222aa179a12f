"""``logging_policy: auto`` finds a run of the user's own that is what it would train."""

from __future__ import annotations

import logging
import re
import shutil
from pathlib import Path

import pytest
import torch

from recbole_lpi.plugin.runner import run
from recbole_lpi.training.run_folder import RunFolder
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole


def train(model="LPIRL", run_dir="runs/a", **given):
    return run(model, "shop", (), {**SMALL, "run_dir": run_dir, **given})


def mine(run_dir="runs/mu", **given):
    """A logging policy as ``auto`` would train it: of SMALL only what it takes over is given."""
    taken = {key: SMALL[key] for key in ("MAX_ITEM_LIST_LENGTH", "hidden_size", "inner_size")}
    given = {"show_progress": False, "split_seed": 1, **taken, **given}
    return run("LoggingPolicy", "shop", (), {"run_dir": run_dir, **given})


def trained_by_auto() -> list[Path]:
    return sorted(Path("runs/logging_policy").glob("*/config.yaml"))


def test_a_finished_run_beside_is_found(log, caplog):
    mu = mine()
    with caplog.at_level(logging.INFO):
        found = train(split_seed=1)
    assert not trained_by_auto()
    said = "logging policy: runs/mu, a finished run that is what auto would train"
    assert caplog.text.count(said) == 1
    named = train(run_dir="runs/b", split_seed=1, logging_policy=str(mu.folder.path))
    assert found.results == named.results


def test_it_is_what_auto_trains_to_the_bit(log):
    mine("elsewhere/mu")
    train(split_seed=1)
    (made,) = trained_by_auto()
    ours, theirs = (RunFolder(f).read_metrics() for f in (made.parent, "elsewhere/mu"))
    assert ours["identity"] == theirs["identity"] == made.parent.name
    assert ours["weights"] == theirs["weights"]


def test_of_several_the_first_by_name_is_used(log, caplog):
    mine("runs/mu-2")
    shutil.copytree("runs/mu-2", "runs/mu-1")
    with caplog.at_level(logging.INFO):
        train(split_seed=1)
    assert "logging policy: runs/mu-1, a finished run" in caplog.text


def test_runs_without_a_folder_of_their_choice_find_one_another(log, caplog):
    mine(None)
    with caplog.at_level(logging.INFO):
        train(run_dir=None, split_seed=1)
    assert re.search(r"logging policy: runs/shop/LoggingPolicy-[-\d]+, a finished", caplog.text)
    assert not trained_by_auto()


@pytest.mark.parametrize("other", [
    {"seed": 2021}, {"split_seed": 2}, {"learning_rate": 0.01}, {"hidden_size": 16}, {"epochs": 1},
    {"valid_metric": "ndcg@10"}, {"reward_sampling": {"unit": "session", "correct": True}},
])  # fmt: skip
def test_one_that_is_another_is_not(log, other):
    mine(**other)
    train(split_seed=1)
    assert len(trained_by_auto()) == 1


def unfinished(folder: RunFolder) -> None:
    folder.metrics.unlink()


def at_work(folder: RunFolder) -> None:
    (folder.path / ".lock").touch()


def other_weights(folder: RunFolder) -> None:
    state = torch.load(folder.model, weights_only=True)
    state["state_dict"]["item_embedding.weight"][1] += 1
    torch.save(state, folder.model)


def other_data(folder: RunFolder) -> None:
    state = torch.load(folder.model, weights_only=True)
    torch.save({**state, "validation": "0" * 16}, folder.model)


def sampled(folder: RunFolder) -> None:
    state = torch.load(folder.model, weights_only=True)
    state["config"] |= {"reward_sampling": {"unit": "session"}}
    torch.save(state, folder.model)


def no_model(folder: RunFolder) -> None:
    folder.model.unlink()


def other_model(folder: RunFolder) -> None:
    torch.save({"weights": torch.zeros(2)}, folder.model)


@pytest.mark.parametrize(
    "spoil", [unfinished, at_work, other_weights, other_data, sampled, no_model, other_model]
)
def test_one_that_is_not_as_its_run_left_it_is_passed_over(log, caplog, spoil):
    spoil(mine().folder)
    train(split_seed=1)
    assert len(trained_by_auto()) == 1
    told = "logging policy: runs/mu is passed over: " in caplog.text
    assert told == (spoil not in (unfinished, at_work))


@pytest.mark.parametrize(("best", "epochs", "words"), [
    (0, 7, "is the first of 7: "), (6, 7, "is the last of 7, still improving: "),
    (0, 1, "is the last of 1, still improving: "), (1, 7, None), (5, 7, None),
])  # fmt: skip
@pytest.mark.parametrize("file", ["runs/mu", "runs/mu/model.pth"])
def test_an_epoch_at_an_end_of_training_is_warned_of(log, caplog, best, epochs, words, file):
    folder = mine(epochs=1).folder
    folder.write_metrics({**folder.read_metrics(), "best_epoch": best, "epochs": epochs})
    state = torch.load(folder.model, weights_only=True)
    torch.save({**state, "epoch": best}, folder.model)
    caplog.clear()
    train(split_seed=1, epochs=1, logging_policy=file)
    said = f"logging policy: {file} kept an epoch that "
    assert (said in caplog.text) == (words is not None)
    assert words is None or said + words in caplog.text


def test_an_epoch_that_no_validation_chose_is_not_warned_of(log, caplog):
    folder = mine(epochs=1).folder
    state = torch.load(folder.model, weights_only=True)
    torch.save({**state, "validation": None}, folder.model)
    caplog.clear()
    train(split_seed=1, epochs=1, logging_policy="runs/mu")
    assert "kept an epoch" not in caplog.text


def test_what_is_trained_inside_a_run_is_labelled_everywhere(log):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(split_seed=1)
    (made,) = trained_by_auto()
    groups = []
    for folder in (made.parent, Path("runs/a")):
        events = EventAccumulator(str(folder / "tensorboard"))
        events.Reload()
        groups.append({tag.partition("/")[0] for tag in events.Tags()["scalars"]})
    assert groups == [{"logging_policy"}, {"train", "valid", "test"}]
    lines = (made.parent / "log.txt").read_text().splitlines()
    told = [
        line for line in lines if re.search(r"epoch \d+ (training|evaluating|validation) ", line)
    ]
    assert told and all(" logging policy: epoch " in line for line in told)


@pytest.mark.parametrize("inputs", [["item", "time_gap"], ["item"]], ids=str)
def test_one_that_read_other_times_is_not_found(log, inputs):
    """Everything else of the log is the same, the order of events too."""
    file = Path("dataset/shop/shop.inter")
    head, *rows = file.read_text().splitlines()
    place = [name.split(":")[0] for name in head.split("\t")].index("timestamp")
    train(inputs=inputs, epochs=1)
    cells = [row.split("\t") for row in rows]
    for row in cells:
        row[place] = str(3 * float(row[place]))
    file.write_text("\n".join([head, *("\t".join(row) for row in cells)]) + "\n")
    train(run_dir="runs/b", inputs=inputs, epochs=1)
    assert len(trained_by_auto()) == len(inputs)
