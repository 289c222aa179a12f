"""Files that others may have written, each an attempt to run code here or to write elsewhere.

Data with a settings file beside them, checkpoints, run folders: none of them imports a module,
unpickles an object, replaces a run or writes outside of this folder.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder, claimed
from tests.support.logs import SMALL, broken_off_after

EVIL = """
from pathlib import Path
from torch import nn

Path("executed").touch()

class Enc(nn.Module):
    def __init__(self, hidden_size, max_length):
        super().__init__()
        self.turn = nn.Linear(hidden_size, hidden_size)

    def forward(self, items):
        return self.turn(items)
"""
ENCODERS = ["evil:Enc", "evil.Enc", "dataset.theirs.evil:Enc", "dataset.theirs.evil.Enc"]


class Bomb:
    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.fixture(autouse=True)
def evil(log, tmp_path, monkeypatch):
    """A module that leaves a trace when it is imported, where Python looks for modules first."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for file in (Path("evil.py"), Path("dataset/theirs/evil.py")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(EVIL)
    before = set(sys.modules)
    yield
    assert not Path("executed").exists()
    for name in set(sys.modules) - before:
        if "evil" in name or name.partition(".")[0] == "dataset":
            del sys.modules[name]


@pytest.fixture
def outside(tmp_path_factory):
    """A folder of the user's that is not beneath the one he works in; it stays as it is."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "notes.txt").write_text("mine")
    yield folder
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert (folder / "notes.txt").read_text() == "mine"


def train(model="LoggingPolicy", run_dir="runs/a", **given):
    return run(model, "shop", (), {**SMALL, "epochs": 1, "run_dir": run_dir, **given})


# ---------------------------------------------------------------- settings beside the data

BESIDE = [
    *(f"encoder: {path}" for path in ENCODERS),
    "encoder: gru4rec", "encoder_args: {a: 1}", "run_dir: runs/mine", "overwrite: true",
    "resume: runs/mine", "session_cache_dir: OUTSIDE", "logging_policy_dir: OUTSIDE",
    "imputation_dir: OUTSIDE", "logging_policy: OUTSIDE/mu", "imputation_model: OUTSIDE/x",
    "download: true", "data_path: OUTSIDE", "config_files: OUTSIDE/a.yaml",
    "checkpoint_dir: OUTSIDE", "dataset_save_path: OUTSIDE/bomb.pth", "save_dataset: true",
    "dataloaders_save_path: OUTSIDE/bomb.pth", "save_dataloaders: true", "log_wandb: true",
    "gpu_id: ''", "nproc: 8", "epochs: 1000000", "seed: 1", "model: LPIRL",
]  # fmt: skip


@pytest.mark.parametrize("line", BESIDE)
def test_beside_data_there_are_settings_of_the_data_alone(log, outside, line):
    Path("runs/mine").mkdir(parents=True)
    Path("runs/mine/config.yaml").write_text("model: LPIRL\n")
    Path("runs/mine/metrics.json").write_text("{}")
    beside = log.with_suffix(".yaml")
    beside.write_text(beside.read_text() + line.replace("OUTSIDE", str(outside)) + "\n")
    name = line.partition(":")[0]
    with pytest.raises(SettingError, match=f"{name} is no setting of the data, and .*--{name}=…"):
        train(run_dir="runs/a")
    assert Path("runs/mine/metrics.json").exists() and not Path("runs/a").exists()


def test_settings_of_the_data_are_read_beside_them(log):
    beside = log.with_suffix(".yaml")
    mine = "purchase_events: [buy]\nclick_events: [look]\nMAX_ITEM_LIST_LENGTH: 3\n"
    mine += "split: session_end\n"
    beside.write_text(beside.read_text() + mine + "item_inter_num_interval: '[2,inf)'\n")
    from recbole_lpi.plugin.runner import make_config

    found = make_config("LPIRL", "shop", (), {})
    assert (found["split"], found["purchase_events"]) == ("session_end", ["buy"])


# ---------------------------------------------------------------- checkpoints


def changed(checkpoint: Path, **config: Any) -> str:
    """A copy of a checkpoint whose config says something else."""
    state = torch.load(checkpoint, weights_only=True)
    state["config"] |= config
    network = state["policy"]["settings"]["network"]
    network |= {name: value for name, value in config.items() if name in network}
    torch.save(state, "theirs.pth")
    return "theirs.pth"


def as_logging_policy(file: str, **given: Any) -> None:
    train("LPIRL", "runs/lpi", logging_policy=file, **given)


def loaded(file: str, **given: Any) -> Any:
    from recbole.quick_start import load_data_and_model

    return load_data_and_model(file, **given)


USES: list[Callable[..., Any]] = [as_logging_policy, loaded]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("path", ENCODERS)
def test_a_checkpoint_has_no_module_imported(log, use, path):
    file = changed(train().folder.model, encoder=path)
    with pytest.raises(SettingError, match=f"encoder {path} is named by a file alone.*--encoder="):
        use(file)


@pytest.mark.parametrize("dataset", ["../../../OUTSIDE/x", "..", "a\\b", "sh\x1bop"])
def test_a_checkpoint_names_a_data_set_not_a_path(log, outside, dataset):
    """Property files are looked for by that name, and what they say is believed."""
    dataset = dataset.replace("../OUTSIDE", str(outside))
    file = changed(train().folder.model, dataset=dataset)
    with pytest.raises(SettingError, match="dataset must be the name of a folder, not a path"):
        loaded(file)


def test_nothing_is_looked_for_by_the_data_set_of_a_logging_policy(log, outside):
    """It is built of its own settings: a file is opened only if its name is one of this run's."""
    file = changed(train().folder.model, dataset=f"..{outside}/x")
    opened = []
    sys.addaudithook(lambda event, given: opened.append(given[0]) if event == "open" else None)
    as_logging_policy(file)
    assert opened and not [name for name in opened if str(outside) in str(name)]


@pytest.mark.parametrize("model", ["S3Rec", "../evil", "evil"])
def test_a_checkpoint_names_a_model_that_runs(log, model):
    """S3Rec would load another file, which its settings name."""
    file = changed(train().folder.model, model=model, pre_model_path="bomb.pth")
    with pytest.raises(SettingError, match=r"cannot run on sessions alone|unknown model"):
        loaded(file)


@pytest.mark.parametrize("name", ["run_dir", "overwrite", "resume", "download", "device"])
def test_a_checkpoint_has_no_settings_of_a_call(log, name):
    file = changed(train().folder.model, **{name: "runs/a"})
    with pytest.raises(SettingError, match=f"theirs.pth: {name} is a setting of one call"):
        loaded(file)


@pytest.mark.parametrize("name", ["session_cache_dir", "logging_policy_dir", "imputation_dir"])
def test_a_checkpoint_has_nothing_written_elsewhere(log, outside, name, caplog):
    file = changed(train().folder.model, **{name: str(outside / "new")})
    assert (
        loaded(file)[0][name]
        == f"runs/{name.removesuffix('_dir').replace('session_cache', 'sessions')}"
    )
    assert f"{name}: runs/" in caplog.text and "lies outside of this folder" in caplog.text


@pytest.mark.parametrize("setting", ["logging_policy", "imputation_model"])
@pytest.mark.parametrize("form", ["pickle", "tensors"])
def test_nothing_is_unpickled(log, setting, form):
    if form == "pickle":
        Path("bomb.pth").write_bytes(pickle.dumps(Bomb()))
    else:
        torch.save({"format": "recbole_lpi", "config": {"a": Bomb()}}, "bomb.pth")
    with pytest.raises(SettingError, match="nothing else is unpickled"):
        train("LPIRL", metrics=["imputed_average_reward"], **{setting: "bomb.pth"})


# ---------------------------------------------------------------- run folders


@pytest.fixture
def theirs(log, monkeypatch):
    """A run that broke off: its folder, and what changes its settings."""
    with broken_off_after(0, monkeypatch):
        train(run_dir="theirs", epochs=2)
    folder = RunFolder("theirs")

    def change(**config: Any) -> RunFolder:
        folder.write_config({**folder.read_config(), **config})
        return folder

    return change


def resume(*options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["run", "--resume=theirs", *options])
    return done.exit_code, done.stderr


@pytest.mark.parametrize("path", ENCODERS)
def test_a_run_folder_has_no_module_imported(theirs, path):
    theirs(encoder=path)
    code, said = resume()
    assert code == 2 and f"if you trust it, name it in this call, --encoder={path}" in said
    assert "has encoder" in resume("--encoder=other:Enc")[1]


def test_the_users_own_module_is_imported_when_he_names_it_again(log, monkeypatch):
    Path("own_of_mine.py").write_text(EVIL.replace('Path("executed").touch()', ""))
    with broken_off_after(0, monkeypatch):
        train(run_dir="theirs", epochs=2, encoder="own_of_mine:Enc")
    from recbole_lpi.policy import encoders

    monkeypatch.setattr(encoders, "named_by_user", set())  # as in a new process
    code, said = resume()
    assert code == 2 and "--encoder=own_of_mine:Enc" in said
    assert resume("--encoder=own_of_mine:Enc")[0] == 0
    encoders.named_by_user.clear()
    with pytest.raises(SettingError, match="name it in this call"):
        loaded("theirs/model.pth")
    assert loaded("theirs/model.pth", encoder="own_of_mine:Enc")[0]["encoder"] == "own_of_mine:Enc"


@pytest.mark.parametrize(
    "name", ["run_dir", "overwrite", "resume", "download", "config_files", "device", "nproc"]
)
def test_a_run_folder_has_no_settings_of_a_call(theirs, name):
    theirs(**{name: "runs/mine"})
    code, said = resume()
    assert code == 2 and f"config.yaml: {name} is a setting of one call" in said


@pytest.mark.parametrize("name", ["session_cache_dir", "logging_policy_dir", "imputation_dir"])
def test_a_run_folder_has_nothing_written_elsewhere(theirs, outside, name, caplog):
    theirs(**{name: str(outside / "new")})
    assert resume()[0] == 0
    assert f"lies outside of this folder; --{name}={outside / 'new'} would use it" in caplog.text


@pytest.mark.parametrize("name", ["log.txt", "model.pth.part", "resume.pth.part", "tensorboard"])
def test_a_run_folder_leads_nowhere_else(theirs, outside, name):
    folder = theirs().path
    if (folder / name).is_dir():
        (folder / name).rename("kept")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside / ("notes.txt" if name != "tensorboard" else "."))
    code, said = resume()
    assert code == 2 and f"{name} is a link" in said


@pytest.mark.parametrize("name", ["log.txt", "model.pth.part", "resume.pth.part"])
def test_a_run_folder_has_nothing_written_through_a_hard_link(theirs, outside, name):
    file = theirs().path / name
    file.unlink(missing_ok=True)
    os.link(outside / "notes.txt", file)
    assert resume()[0] == 0
    if name == "log.txt":
        assert file.read_text().startswith("mine") and "epoch 1" in file.read_text()


def test_the_lock_of_a_run_folder_is_no_other_file(theirs, outside):
    os.link(outside / "notes.txt", theirs().path / ".lock")
    code, said = resume()
    assert code == 2 and ".lock is a link to another file, and no lock" in said


@pytest.mark.parametrize("name", ["replaced", "tensorboard", "replaced/tensorboard"])
def test_what_is_overwritten_is_in_the_run_folder_alone(theirs, name):
    """Not the run to which a link in it leads."""
    with ExitStack() as held:
        mine = claimed("LPIRL", "shop", "mine", False, held)
        mine.write_config({"model": "LPIRL"})
    kept = Path("mine/events.out.1")
    kept.touch()
    link = theirs().path / name
    if link.is_dir():
        link.rename("aside")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(Path("mine").resolve())
    with pytest.raises(SettingError, match=f"theirs/{name} leads out of the run folder"):
        train(run_dir="theirs", overwrite=True)
    assert kept.exists() and mine.begun


def test_a_run_folder_has_nothing_unpickled(theirs):
    theirs().resume.write_bytes(pickle.dumps(Bomb()))
    assert resume()[0] == 2
    Path("theirs/config.yaml").write_text(
        "model: !!python/object/apply:os.system ['touch executed']"
    )
    assert resume()[0] == 2


def test_a_run_folder_names_a_data_set_not_a_path(theirs, outside):
    theirs(dataset=f"../../..{outside}/x")
    code, said = resume()
    assert code == 2 and "dataset must be the name of a folder, not a path" in said


@pytest.mark.parametrize("model", ["S3Rec", "../evil", "evil"])
def test_a_run_folder_names_a_model_that_runs(theirs, model):
    theirs(model=model, pre_model_path="bomb.pth")
    code, said = resume()
    assert code == 2 and ("cannot run on sessions alone" in said or "unknown model" in said)


# ---------------------------------------------------------------- a run that was moved


def moved(there: Path) -> None:
    """The run and its data lie there from here on, and we do too."""
    there.mkdir()
    for name in ("dataset", "theirs", "whole"):
        Path(name).rename(there / name)
    os.chdir(there)


def test_a_run_that_was_moved_goes_on_with_its_data(theirs, tmp_path, monkeypatch, caplog):
    """In RecBole's place for data they are found, and that is said; elsewhere they are named."""
    whole = train(run_dir="whole", epochs=2)
    theirs()
    monkeypatch.chdir(tmp_path)
    moved(tmp_path / "there")
    Path("dataset").rename("elsewhere")
    code, said = resume()
    assert code == 2 and "--data_path sets the folder" in said
    assert "takes no other beta" in resume("--data_path=elsewhere", "--beta=2")[1]
    assert "has logging_policy none" in resume("--logging_policy=auto")[1]
    code, said = resume("--data_path=elsewhere")
    assert code == 0, said
    found = RunFolder("theirs").read_metrics()
    assert found["test"]["ndcg@10"]["mean"] == whole.results["test"]["ndcg@10"].mean
    with pytest.raises(SettingError, match="--data_path sets the folder"):
        loaded("whole/model.pth")
    assert type(loaded("whole/model.pth", data_path="elsewhere")[1]).__name__ == "LoggingPolicy"
    Path("elsewhere").rename("dataset")
    caplog.clear()
    assert type(loaded("whole/model.pth")[1]).__name__ == "LoggingPolicy"
    assert "data_path: shop is read from dataset/, since it is not in " in caplog.text


def test_settings_of_a_run_folder_are_those_it_kept(theirs):
    kept = yaml.safe_load(theirs().config.read_text())
    assert resume("--show_progress=false", "--collective_timeout=5")[0] == 0
    assert yaml.safe_load(RunFolder("theirs").config.read_text()) == kept
