"""MLflow and Weights & Biases, without a network: one run of theirs for one of ours."""

from __future__ import annotations

import json
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from recbole_lpi.settings import SettingError
from recbole_lpi.training import trackers
from recbole_lpi.training.observers import named
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.trackers import check_installed

CONFIG = {"beta": 0.3, "topk": [5, 20], "model": "LPI"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A run folder; trackers keep their runs beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    (tmp_path / "runs" / "a").mkdir(parents=True)
    return RunFolder("runs/a")


def broken_off_and_resumed(name: str, folder: RunFolder) -> str:
    """An epoch, a break, another epoch and the end; the id of the tracker's run."""
    (first,) = trackers.trackers([name])
    first.begin(folder, CONFIG)
    first.epoch(0, named(train={"policy loss": 2.0}, valid={"ndcg@20": 0.3, "nll": float("inf")}))
    first.close()
    (second,) = trackers.trackers([name])
    second.begin(folder, CONFIG)
    second.epoch(1, named(train={"policy loss": 1.5}, valid={"ndcg@20": 0.4}))
    second.finish(1, named(test={"ndcg@20": 0.35}))
    second.close()
    return str(json.loads(folder.tracked.read_text())[name])


@pytest.mark.slow
def test_mlflow_has_one_run_with_the_names_of_tensorboard(folder):
    from mlflow import MlflowClient

    kept = broken_off_and_resumed("mlflow", folder)
    client = MlflowClient()
    (experiment,) = [e for e in client.search_experiments() if e.name == "recbole_lpi"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == kept and run.info.run_name == "runs/a"
    assert run.info.status == "FINISHED" and run.data.params["topk"] == "[5, 20]"
    assert run.data.metrics == {
        "train/policy loss": 1.5, "valid/ndcg_at_20": 0.4, "test/ndcg_at_20": 0.35,
    }  # fmt: skip
    history = client.get_metric_history(kept, "valid/ndcg_at_20")
    assert [(point.step, point.value) for point in history] == [(0, 0.3), (1, 0.4)]
    (other,) = trackers.trackers(["mlflow"])  # a run that breaks off
    Path("runs/b").mkdir()
    other.begin(RunFolder("runs/b"), CONFIG)
    other.close()
    states = {
        run.info.run_name: run.info.status for run in client.search_runs([experiment.experiment_id])
    }
    assert states == {"runs/a": "FINISHED", "runs/b": "KILLED"}


@pytest.mark.slow
def test_weights_and_biases_goes_on_with_its_run(folder):
    kept = broken_off_and_resumed("wandb", folder)
    files = sorted(Path("wandb").glob("offline-run-*/*.wandb"))
    assert len(files) == 2 and {file.name for file in files} == {f"run-{kept}.wandb"}
    until = time.monotonic() + 30
    while True:  # its last record is written by a process of its own
        names, codes, seen, summary = _read(files)
        if len(codes) == 2 or time.monotonic() > until:
            break
        time.sleep(0.2)
    assert names == {"runs/a"} and codes == [1, 0]
    assert seen["train/policy loss"] == [2.0, 1.5] and seen["valid/ndcg@20"] == [0.3, 0.4]
    assert summary["test/ndcg@20"] == 0.35 and seen["_step"] == [0, 1]


def _read(
    files: Sequence[Path],
) -> tuple[set[str], list[int], dict[str, list[Any]], dict[str, Any]]:
    """Names, exit codes, histories by key and summary of offline runs."""
    seen: dict[str, list[Any]] = {}
    summary: dict[str, Any] = {}
    codes, names = [], set()
    for file in files:
        for record in _records(file):
            names |= {record.run.display_name} - {""}
            if record.HasField("exit"):
                codes.append(record.exit.exit_code)
            for item in record.history.item:
                key = item.key or "/".join(item.nested_key)
                seen.setdefault(key, []).append(json.loads(item.value_json))
            summary |= {item.key: json.loads(item.value_json) for item in record.summary.update}
    return names, codes, seen, summary


def _records(file: Path) -> Iterator[Any]:
    """The records of an offline run, which are kept as LevelDB keeps a log."""
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]  # generated

    content, place, whole = file.read_bytes(), 7, b""
    while place + 7 <= len(content):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        whole += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def test_a_tracker_that_is_not_installed_or_not_known_is_refused(monkeypatch, folder):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "wandb" else name)
    check_installed(["mlflow"])
    with pytest.raises(
        SettingError, match=r"wandb is not installed: pip install 'recbole-lpi\[wandb\]"
    ):
        check_installed(["mlflow", "wandb"])
    with pytest.raises(SettingError, match="trackers must be one of mlflow, wandb, got 'mlfow'"):
        TrainingSettings.of(
            {**dict.fromkeys(TrainingSettings.__dataclass_fields__), "trackers": ["mlfow"]}
        )


def test_ids_that_cannot_be_read_are_refused(folder):
    for content in ("no json", '{"mlflow": 3}', "[]"):
        folder.tracked.write_text(content)
        with pytest.raises(SettingError, match=r"trackers\.json does not hold the ids of trackers"):
            trackers._read_ids(folder)
