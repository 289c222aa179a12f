"""Runs from settings to files: what they leave, how they go on, what they refuse."""

from __future__ import annotations

import io
import json
import logging
import os
import pickle
import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.metrics import Estimate, Kinds, evaluate
from recbole_lpi.locks import exclusive
from recbole_lpi.plugin import logging_policy
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config, run
from recbole_lpi.policy import load_policy
from recbole_lpi.settings import SettingError
from recbole_lpi.training.loop import TrainingLoop
from recbole_lpi.training.recorder import Recorder
from recbole_lpi.training.run_folder import RunFolder
from tests.support.logs import HEADER, SMALL, broken_off_after, write_log
from tests.support.processes import command_line

COLUMNS = [
    "session_id", "position", "item_id", "event", "reward", "rank", "greedy_item", "log_pi",
    "log_mu", "js", "kl", "greedy_log_pi", "seen", "previous_item", "trained",
]  # fmt: skip


def train(model="LoggingPolicy", run_dir="runs/a", **given):
    return run(model, "shop", (), {**SMALL, "run_dir": run_dir, **given})


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"advantage_estimator": "analytic", "beta": 1.0, "weight_normalize": False},
        {"advantage_estimator": "analytic", "advantage_baseline": "logging", "weight_clip": 20},
        {
            "advantage_estimator": "analytic",
            "advantage_baseline": "max",
            "value_estimator": "q_learning",
            "clip_grad_norm": {"max_norm": 1},
        },
        {"evaluate_first_event": True, "loss_on_last": 3, "split": "session_end"},
        {"split": "leave_one_out", "enable_amp": True, "learner": "adamw"},
    ],
)
def test_a_run_leaves_everything_in_its_folder(log, given):
    finished = train("LPIRL", **given)
    folder = finished.folder
    assert folder.path == Path("runs/a")
    metrics = json.loads(folder.metrics.read_text())
    assert metrics["schema"] == 1
    names = {f"{kind}{m}@{k}" for kind in ("", "purchase_", "click_") for m in ("hit", "ndcg")
             for k in SMALL["topk"]}  # fmt: skip
    names |= {"js_divergence", "kl_divergence", "average_reward@1"}
    names |= {"nll", "purchase_nll", "click_nll", "perplexity", "new_nll", "new_perplexity"}
    names |= {f"new_{m}@{k}" for m in ("hit", "ndcg") for k in SMALL["topk"]}
    for part in ("valid", "test"):
        assert names <= set(metrics[part])
        assert not any(name.startswith("repeat_") for name in metrics[part])  # they walk on
        for found in metrics[part].values():
            assert set(found) == {"mean", "stderr", "count"}
            assert found["count"] > 0 and found["stderr"] >= 0
    frame = pl.read_parquet(folder.events)
    assert frame.columns == COLUMNS
    assert frame["session_id"].str.starts_with("s").all()
    assert frame["greedy_item"].str.starts_with("i").all()
    assert frame["js"].is_between(0, np.log(2) + 1e-6).all() and (frame["kl"] >= 0).all()
    assert set(frame["event"].unique()) == {"click", "purchase"}
    # The table is all that the metrics need.
    again = evaluate(read_events(folder.events), names, Kinds(("purchase",), ("click",)))
    for name in names:
        assert again[name].mean == pytest.approx(metrics["test"][name]["mean"], abs=1e-9)
        assert again[name].count == metrics["test"][name]["count"]
    text = folder.log.read_text()
    assert "epoch 1 training [time: " in text
    assert "policy loss" in text and "td loss" in text and "\x1b" not in text
    config = yaml.safe_load(folder.config.read_text())
    assert config["hidden_size"] == SMALL["hidden_size"] and config["model"] == "LPIRL"
    for name in ("model.pth", "resume.pth"):
        torch.load(folder.path / name, weights_only=True)
    assert {"train/policy loss", "train/td loss", "valid/ndcg@10"} <= scalars(folder)
    assert not list(folder.path.rglob("*.part"))


def scalars(folder: RunFolder) -> set[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder.path / "tensorboard"))
    found.Reload()
    assert [e.step for e in found.Scalars("train/policy loss")] == [0, 1]
    return set(found.Tags()["scalars"])


def test_gradients_are_clipped_after_they_are_unscaled(log):
    """Scaled by 65,536, every gradient would be clipped to almost nothing."""
    given = {"clip_grad_norm": {"max_norm": 0.5}, "learner": "sgd", "learning_rate": 0.5}
    plain = train(run_dir="runs/a", **given).results
    scaled = train(run_dir="runs/b", enable_scaler=True, **given).results
    for name, found in plain["test"].items():
        assert scaled["test"][name].mean == pytest.approx(found.mean, abs=1e-6), name
    assert train(run_dir="runs/c", **{**given, "clip_grad_norm": None}).results != plain


def test_the_progress_bar_of_a_terminal_names_the_loss_parts(log, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for terminal in (Terminal(), io.StringIO()):
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", terminal)
            train("LPIRL", f"runs/{type(terminal).__name__}", show_progress=True)
        text = terminal.getvalue()  # lines of the log have a colon after the name
        shown = [name for name in ("policy loss", "td loss") if re.search(rf"{name} \d", text)]
        assert shown == (["policy loss", "td loss"] if terminal.isatty() else [])


def test_the_progress_bars_of_the_logging_policy_say_so(log, monkeypatch):
    terminal: Any = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    train("LPIRL", show_progress=True)
    bars = re.findall(r"\r((?:logging policy: )?(?:Train|Evaluate))", terminal.getvalue())
    own = bars.index("Train")
    assert set(bars[:own]) == {"logging policy: Train", "logging policy: Evaluate"}
    assert set(bars[own:]) == {"Train", "Evaluate"}


def test_every_event_of_a_long_session_can_be_learnt_from(log):
    given, latest = {"MAX_ITEM_LIST_LENGTH": 3}, {"training_windows": "last"}
    parts = [
        PolicyDataset(make_config("LPIRL", "shop", (), {**SMALL, **given, **own})).build()[0]
        for own in (latest, {})
    ]
    last, every = (int(part.training_windows.targets.sum()) for part in parts)
    assert last < every == len(parts[1])
    train("LPIRL", "runs/a", **given, **latest)
    train("LPIRL", "runs/b", **given, reward_sampling={"unit": "event"})
    assert len(logging_policies()) == 2  # each learnt as its policy did
    train("SASRec", "runs/c", **given)


def logging_policies() -> list[Path]:
    return [path for path in Path("runs/logging_policy").iterdir() if path.is_dir()]


def test_the_logging_policy_is_trained_once_and_found_again(log):
    first = train("LPIRL", "runs/a")
    made = logging_policies()
    assert len(made) == 1 and RunFolder(made[0]).finished
    written = (made[0] / "model.pth").stat().st_mtime_ns
    second = train("LPIRL", "runs/b", beta=0.5, learning_rate=0.01)
    assert (made[0] / "model.pth").stat().st_mtime_ns == written
    train("LPIRL", "runs/c", hidden_size=16)  # another encoder: another logging policy
    train("LPIRL", "runs/d", split_seed=7)  # another split
    assert len(logging_policies()) == 3
    given = train("LPIRL", "runs/e", logging_policy=str(made[0]))
    assert given.results["test"]["js_divergence"] == first.results["test"]["js_divergence"]
    assert second.results["test"]["js_divergence"] != first.results["test"]["js_divergence"]
    none = train("LPIRL", "runs/f", logging_policy="none")
    assert "js_divergence" not in none.results["test"]
    assert pl.read_parquet(none.folder.events)["js"].null_count() > 0


def test_training_or_finding_the_logging_policy_leads_to_the_same_run(log):
    first, second = train("LPIRL", "runs/a"), train("LPIRL", "runs/b")
    assert first.results == second.results


def test_one_split_for_several_seeds(log):
    events = [
        pl.read_parquet(train(run_dir=f"runs/{s}", seed=s, split_seed=1).folder.events)
        for s in (1, 2)
    ]
    columns = ["session_id", "position", "item_id"]
    assert events[0].select(columns).equals(events[1].select(columns))
    assert not events[0]["log_pi"].equals(events[1]["log_pi"])


@pytest.mark.parametrize(("model", "own"), [
    ("LoggingPolicy", {}), ("SAC", {"warmup_epochs": 2}),
    ("LPIRL", {"enable_amp": True, "amp_dtype": "float16", "enable_scaler": True}),
])  # fmt: skip
@pytest.mark.parametrize("moment", ["epoch 1 training", "epoch 2 evaluating", "mid epoch"])
def test_a_killed_run_resumes_to_the_same_bits(log, model, own, moment):
    """SIGKILL, then --resume alone: the model and the metrics of a run never interrupted."""
    given = {**SMALL, "epochs": 5, "stopping_step": 5, "learning_rate": 0.01, **own}
    whole = run(model, "shop", (), {**given, "run_dir": "runs/whole"})
    settings = [f"--{k}={v}" for k, v in given.items()]
    process, said = command_line(
        "run", f"--model={model}", "--dataset=shop", "--run_dir=runs/killed", *settings
    )
    text, wanted = "", "epoch 0 evaluating" if moment == "mid epoch" else moment
    while wanted not in text:
        line = next(said, "")
        assert line, text
        text += line
    time.sleep(0.003 if moment == "mid epoch" else 0)
    process.kill()
    process.join()
    killed = RunFolder("runs/killed")
    assert killed.begun and not killed.finished
    done = CliRunner().invoke(app, ["run", "--resume=runs/killed"])
    assert done.exit_code == 0, done.output
    ours, theirs = (json.loads(f.metrics.read_text()) for f in (killed, whole.folder))
    assert ours == theirs
    ours, theirs = (torch.load(f.model, weights_only=True) for f in (killed, whole.folder))
    for name, value in theirs["state_dict"].items():
        assert torch.equal(ours["state_dict"][name], value), name
    assert pl.read_parquet(killed.events).equals(pl.read_parquet(whole.folder.events))


def test_no_epoch_of_a_warm_up_is_the_best_or_counts_for_patience(log, monkeypatch):
    """Validation gets worse and worse: the first epoch would be the best, if it counted."""
    calls = iter(range(1, 100))
    monkeypatch.setattr(
        "recbole_lpi.training.measuring.evaluate",
        lambda *_: {"reward_weighted_ndcg@20": Estimate(1 / next(calls), 0.1, 9)},
    )
    given = {**SMALL, "epochs": 9, "stopping_step": 1, "logging_policy": "none"}
    for model, own, best, last in (("SQN", {}, 0, 2), ("SAC", {"warmup_epochs": 4}, 4, 6)):
        run(model, "shop", (), {**given, **own, "run_dir": model})
        assert json.loads(Path(model, "metrics.json").read_text())["best_epoch"] == best
        kept = torch.load(Path(model, "resume.pth"), weights_only=True)
        assert kept["next_epoch"] == last + 1


def test_settings_come_back_from_a_run_folder_as_they_were(log, monkeypatch):
    """A separator of one space is no YAML: read as such, a run with one could not be resumed."""
    log.write_text(log.read_text().replace("\t", " "))
    given = {"field_separator": " ", "imputation_dir": "5"}
    with broken_off_after(0, monkeypatch):
        train(run_dir="runs/a", **given)
    kept = RunFolder("runs/a").read_config()
    assert kept["field_separator"] == kept["seq_separator"] == " "
    resumed = run(config_dict={"resume": "runs/a"})
    for name in ("field_separator", "seq_separator", "imputation_dir"):
        assert resumed.config[name] == kept[name], name
    assert len(list(Path("runs/sessions").glob("*/about.json"))) == 1  # its log was read once


def test_an_option_given_twice_is_read_twice_or_refused(log):
    """Of two, typer takes the last."""
    Path("a.yaml").write_text("gamma: 0.1\n")
    Path("b c.yaml").write_text("beta: 0.7\n")
    small = [f"--{name}={value}" for name, value in (SMALL | {"epochs": 1}).items()]
    given = ["run", "--model=LoggingPolicy", "--dataset=shop", "--run_dir=runs/a", *small]
    for twice in (["--dataset=shop"], ["--run-dir=runs/b"], ["--gamma=1", "--gamma=1"]):
        done = CliRunner().invoke(app, [*given, *twice])
        assert done.exit_code == 2 and "is given twice" in done.stderr, twice
    files = ["--config_files=a.yaml", "--config_files=b c.yaml"]
    done = CliRunner().invoke(app, [*given, *files])
    assert done.exit_code == 0, done.stderr
    kept = RunFolder("runs/a").read_config()
    assert (kept["gamma"], kept["beta"]) == (0.1, 0.7)
    for command in (
        ["compare", "runs/a", "--topk=3", "--topk=5"],
        ["sweep", "lpirl", "--dataset=shop", "--no-train", "--train"],
        ["table1", "--dataset=shop", "--output=a", "--seeds=1", "--seeds=2"],
        ["prepare", "csv", "--output=a", "--output=b"],
    ):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 2 and "is given twice" in done.stderr, command


def test_what_a_library_fails_on_names_the_data_or_the_model(log, monkeypatch):
    def broken(*_):
        raise KeyError("no such\nthing")

    with monkeypatch.context() as patched:
        patched.setattr(PolicyDataset, "_data_processing", broken)
        with pytest.raises(
            SettingError, match=r"data set shop cannot be read \(.*\): KeyError: 'no"
        ):
            train(session_cache_dir="none")
    with pytest.raises(
        SettingError, match="GRU4Rec cannot be made with these settings: TypeError: "
    ):
        train("GRU4Rec", num_layers="x")
    assert not Path("runs/a").exists()


def test_names_are_shown_as_they_are_and_do_nothing(log, capfd):
    """Rich markup and control sequences, of the data set and of kinds of event."""
    Path("dataset/shop").rename("dataset/[bold]")
    for path in Path("dataset/[bold]").iterdir():
        path.rename(path.with_name(f"[bold]{path.suffix}"))
    inter = Path("dataset/[bold]/[bold].inter")
    inter.write_text(inter.read_text().replace("purchase", "[/red]\x1b[2J"))
    Path("mine.yaml").write_text('purchase_events: ["[/red]\\e[2J"]\nclick_events: [look]\n')
    small = [f"--{name}={value}" for name, value in (SMALL | {"epochs": 1}).items()]
    given = ["--model=LoggingPolicy", "--dataset=[bold]", "--config_files=mine.yaml", *small]
    done = CliRunner().invoke(app, ["run", *given, "--run_dir=runs/a"])
    assert done.exit_code == 0, done.output
    shown = done.output + capfd.readouterr().err + Path("runs/a/log.txt").read_text()
    assert "\x1b" not in shown
    assert "LoggingPolicy on [bold]: test part" in shown and "[/red]\\x1b[2J" in shown
    found = run("LoggingPolicy", "[bold]", ["mine.yaml"], {**SMALL, "epochs": 1})
    assert str(found).startswith("LoggingPolicy on [bold]: hit@3 ")
    assert len(repr(found)) < 1000 and "\x1b" not in repr(found)


def test_the_logging_policy_keeps_the_epoch_of_the_least_nll_and_stops_after_it(log):
    """It overfits at this rate, so that its nll falls and rises again."""
    how = {"epochs": 12, "stopping_step": 1, "learning_rate": 0.05}
    folder = train(**how, fit_temperature=False).folder
    told = re.findall(r"epoch (\d+) evaluating \[.*?nll: ([0-9.]+)", folder.log.read_text())
    by_epoch = {int(epoch): float(nll) for epoch, nll in told}
    found = folder.read_metrics()
    assert found["best_epoch"] == min(by_epoch, key=by_epoch.__getitem__)
    assert found["valid"]["nll"]["mean"] == pytest.approx(min(by_epoch.values()), abs=1e-5)
    assert len(by_epoch) == found["epochs"] == found["best_epoch"] + 3 < 12
    resumed = torch.load(folder.resume, weights_only=True)
    assert resumed["best_valid_score"] == pytest.approx(min(by_epoch.values()), abs=1e-5)
    fitted = train(run_dir="runs/fitted", **how).folder
    kept = [torch.load(one.model, weights_only=True)["state_dict"] for one in (folder, fitted)]
    temperature = kept[1].pop("temperature")
    assert temperature > 1  # it is overconfident
    assert kept[0].keys() == kept[1].keys()
    assert all(torch.equal(kept[0][name], kept[1][name]) for name in kept[0])
    valid = fitted.read_metrics()["valid"]
    assert valid["nll"]["mean"] < found["valid"]["nll"]["mean"] - 0.001
    assert valid["ndcg@10"] == found["valid"]["ndcg@10"]
    loaded, _ = load_policy(fitted.path)
    assert loaded.temperature == temperature


def test_a_kill_between_resume_file_and_model_loses_nothing(log, monkeypatch):
    given = {**SMALL, "epochs": 4, "learning_rate": 0.01, "logging_policy": "none"}
    whole = run("LPIRL", "shop", (), {**given, "run_dir": "runs/whole"})

    class Killed(BaseException):
        pass

    def write_best(recorder, loop):
        if loop.selector.best_epoch == best_epoch:
            raise Killed
        written(recorder, loop)

    best_epoch = json.loads(whole.folder.metrics.read_text())["best_epoch"]
    written = Recorder.write_best
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Recorder, "write_best", write_best)
        run("LPIRL", "shop", (), {**given, "run_dir": "runs/killed"})
    assert run(config_dict={"resume": "runs/killed"}).results == whole.results


def test_a_run_is_not_resumed_on_other_data_or_from_a_broken_file(log, monkeypatch):
    def write_best(recorder, loop):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Recorder, "write_best", write_best)
        train(run_dir="runs/a")
    write_log(Path("dataset"), seed=1)
    with pytest.raises(SettingError, match="runs/a was trained on other data: shop has changed"):
        run(config_dict={"resume": "runs/a"})
    assert RunFolder("runs/a").begun
    RunFolder("runs/a").resume.write_bytes(b"broken")
    with pytest.raises(SettingError, match=r"resume\.pth is not a file of recbole_lpi"):
        run(config_dict={"resume": "runs/a"})


def test_a_killed_run_whose_logging_policy_was_being_trained(log):
    """The logging policy goes on where it was, too."""
    given = {**SMALL, "epochs": 3, "logging_policy_dir": "runs/one"}
    whole = run("LPIRL", "shop", (), {**given, "run_dir": "runs/whole"})
    given["logging_policy_dir"] = "runs/other"
    settings = [f"--{k}={v}" for k, v in given.items()]
    process, said = command_line(
        "run", "--model=LPIRL", "--dataset=shop", "--run_dir=runs/killed", *settings
    )
    assert any("epoch 1 evaluating" in line for line in said)
    process.kill()
    process.join()
    (mu,) = (p for p in Path("runs/other").iterdir() if p.is_dir())
    assert RunFolder(mu).resume.is_file() and not RunFolder(mu).finished
    assert run(config_dict={"resume": "runs/killed"}).results == whole.results


def test_the_log_of_a_run_is_its_own(log):
    train("LPIRL", epochs=1)
    text = Path("runs/a/log.txt").read_text()
    assert text.count("epoch 0 training [time: ") == 1
    assert "logging policy: training one" in text and "logging policy: trained" in text
    assert "does not read" not in text  # nobody gave a setting
    (mu,) = logging_policies()
    assert "epoch 0 training [time: " in (mu / "log.txt").read_text()


def test_with_without_and_whosever_logging_policy_the_same_bits_are_trained(log):
    """None, one that is named, one that is found and one that has to be trained first."""
    mu = run("LoggingPolicy", "shop", (), {**SMALL, "run_dir": "runs/mu"})
    states, given = {}, {"epochs": 2, "hidden_dropout_prob": 0.3}
    for name, setting in (
        ("none", "none"), ("named", str(mu.folder.path)), ("trained", "auto"), ("found", "auto"),
    ):  # fmt: skip
        train("LPIRL", f"runs/{name}", logging_policy=setting, **given)
        states[name] = torch.load(f"runs/{name}/resume.pth", weights_only=True)["state_dict"]
    for name, state in states.items():
        for key, value in states["none"].items():
            assert torch.equal(state[key], value), (name, key)


def test_a_logging_policy_is_found_by_all_that_makes_it_what_it_is(log):
    """Who validates, which events count, how it is trained: with another one it is another."""

    def identity(**given):
        given = {"split_seed": 1, "split_ratio": [None, 12, 12], **given}
        config = make_config("LoggingPolicy", "shop", (), {**SMALL, **given})
        trained_on, valid, _ = PolicyDataset(config).build()
        return logging_policy.identity(config, trained_on, valid)

    as_it_is = identity()
    assert identity(topk=[7], eval_batch_size=9, metrics=["mrr"]) == as_it_is  # as it is measured
    others: list[dict[str, Any]] = [
        {"split_ratio": [None, 6, 18]},  # the same sessions train
        {"split_seed": 2},
        {"purchase_events": ["click"], "click_events": ["purchase"]},
        {"valid_metric": "ndcg@10"},
        {"learning_rate": 0.01},
        {"epochs": 7},
        {"stopping_step": 9},
        {"train_batch_size": 16},
        {"seed": 3},
    ]
    assert len({as_it_is, *(identity(**given) for given in others)}) == 1 + len(others)


def test_a_logging_policy_validated_on_other_sessions_is_used_with_a_warning(log, caplog):
    given = {"split_ratio": [None, 10, 14], "split_seed": 1}
    mu = train("LoggingPolicy", "runs/mu", **given)
    for ratio, warned in (([None, 10, 14], False), ([None, 14, 10], True)):
        caplog.clear()
        train("LPIRL", f"runs/{warned}", logging_policy=str(mu.folder.path), split_seed=1,
              split_ratio=ratio)  # fmt: skip
        assert ("was validated on other sessions of shop" in caplog.text) == warned


def test_of_two_runs_that_start_together_one_trains_the_logging_policy(log, caplog):
    train("LPIRL", "runs/a")
    (mu,) = logging_policies()
    RunFolder(mu).metrics.unlink()  # not yet at its end
    held = threading.Event()

    def another_run():
        with exclusive(mu):
            held.set()
            time.sleep(2)

    other = threading.Thread(target=another_run)
    other.start()
    held.wait()
    with caplog.at_level(logging.INFO):
        train("LPIRL", "runs/b")
    other.join()
    assert "waiting for the run that makes" in caplog.text


def test_a_logging_policy_of_shorter_inputs_is_refused_and_of_another_split_is_named(log, caplog):
    train("LoggingPolicy", "runs/mu", split_seed=1)
    with pytest.raises(SettingError, match="reads 6 events at most, this run 8"):
        train("LPIRL", "runs/a", MAX_ITEM_LIST_LENGTH=8, logging_policy="runs/mu")
    assert not Path("runs/a").exists()  # refused before anything was trained
    with caplog.at_level(logging.WARNING):
        train("LPIRL", "runs/a", split_seed=1, logging_policy="runs/mu")
        assert "another split" not in caplog.text
        train("LPIRL", "runs/b", split_seed=2, logging_policy="runs/mu")
    assert "another split of shop: it may have seen what this run is tested on" in caplog.text


def test_the_floors_are_those_of_the_baseline_that_is_one(log):
    """S-POP as a model, which reads whole sessions here, has the ranks of the floor."""
    metrics = ["hit", "ndcg", "mrr", "purchase_ndcg", "nll"]
    given = {"metrics": metrics, "logging_policy": "none", "MAX_ITEM_LIST_LENGTH": 50}
    done = train("SessionPopularity", topk=[3, 10], **given)
    found = done.folder.read_metrics()
    floors = found["floors"]
    assert set(floors) == {"last_item", "session_popularity"}
    assert set(floors["last_item"]) == {name for name in found["test"] if "nll" not in name}
    for name, estimate in floors["session_popularity"].items():
        assert estimate == found["test"][name], name
    assert floors["last_item"]["ndcg@10"] != floors["session_popularity"]["ndcg@10"]
    assert (
        done.verdicts.floors["last_item"]["new_mrr@3"].mean
        == floors["last_item"]["new_mrr@3"]["mean"]
    )


def test_the_event_table_knows_the_whole_session_and_the_training_part(log):
    """Of sessions longer than the encoder reads, and with items that training has not."""
    lines = log.read_text().splitlines()
    walk = [0, 1, 2, 3, 4, 5, 0, 0, 6, 1]
    lines += [f"long\ti{item}\t{1_600_000_000 + n}\tclick\t0.2" for n, item in enumerate(walk)]
    lines += [f"odd\t{name}\t{1_600_000_100 + n}\tclick\t0.2" for n, name in enumerate("xyx")]
    log.write_text("\n".join(lines) + "\n")
    told = train(MAX_ITEM_LIST_LENGTH=3, split="session_end").verdicts.warnings
    frame = pl.read_parquet("runs/a/events.parquet")
    of = {name: frame.filter(pl.col("session_id") == name) for name in ("long", "odd")}
    seen = [item in walk[:n] for n, item in enumerate(walk)]
    assert of["long"]["seen"].to_list() == seen[1:] and of["long"]["trained"].all()
    assert of["long"]["previous_item"].to_list() == [f"i{item}" for item in walk[:-1]]
    assert of["odd"]["seen"].to_list() == [False, True]
    assert not of["odd"]["trained"].any()
    assert told[-1].startswith("2 of ") and "items that training never saw" in told[-1]
    assert "the best epoch is the last of the 2 trained, by nll" in told[0]
    kept = RunFolder("runs/a").log.read_text()
    assert all(f"WARNING {warning}" in kept for warning in told)
    found = RunFolder("runs/a").read_metrics()["test"]
    table = read_events(Path("runs/a/events.parquet"))
    assert table.seen is not None
    assert found["repeat_ndcg@10"]["count"] == table.seen.sum() > 0
    assert found["repeat_nll"]["mean"] == pytest.approx(-table.log_pi[table.seen].mean(), rel=1e-5)


@pytest.mark.parametrize(("name", "said"), [("repeat_nll", "no"), ("new_hit@3", "every")])
def test_a_criterion_over_items_that_no_session_repeats_is_refused(log, name, said):
    lines = [HEADER]
    for session in range(40):
        for n in range(4):
            item = session % 20 if said == "every" else (session + n) % 20
            lines.append(f"s{session}\ti{item}\t{1_500_000_000 + n}\tclick\t0.2")
    log.write_text("\n".join(lines) + "\n")
    with pytest.raises(SettingError, match=f"{name} picks the best epoch.* {said} event is of an"):
        train(valid_metric=name)


def test_a_criterion_that_would_be_over_nothing_is_refused(log):
    with pytest.raises(SettingError, match=r"no event that it is over \(buy, view\), only click"):
        train("RewardWeighted", purchase_events=["buy"], click_events=["view"])
    with pytest.raises(SettingError, match="purchase_ndcg@3 picks the best epoch"):
        train(purchase_events=["buy"], valid_metric="purchase_ndcg@3")
    train(purchase_events=["buy"], click_events=["view"], valid_metric="ndcg@3")


def test_events_of_one_kind_alone(log):
    log.write_text(log.read_text().replace("\tpurchase\t1.0", "\tclick\t0.2"))
    found = train(run_dir="runs/a").results["test"]
    assert found["purchase_ndcg@10"].count == 0 and found["click_ndcg@10"].count > 0
    assert json.loads(Path("runs/a/metrics.json").read_text())["test"]["purchase_hit@3"] == {
        "mean": None, "stderr": None, "count": 0,
    }  # fmt: skip


def test_what_recbole_reads_of_a_file_is_read(log):
    """Sessions of one event, sequence columns left out, a blank line at the end, filters."""
    lines = log.read_text().splitlines()
    lines = [lines[0] + "\tnote:token_seq", *(line + "\ta b" for line in lines[1:])]
    lines.append("alone\ti1\t1500000000\tclick\t0.2\ta")
    log.write_text("\n".join([*lines, "", ""]))
    columns = ["session_id", "item_id", "timestamp", "event", "reward"]
    train(load_col={"inter": columns})
    text = Path("runs/a/log.txt").read_text()
    assert "1 of 121 sessions have one event and nothing to predict: not used" in text
    counts = re.findall(r"(?:training|validation|test): (\d+) sessions", text)
    assert len(counts) == 3 and sum(map(int, counts)) == 120
    train(run_dir="runs/b", load_col={"inter": columns}, user_inter_num_interval="[5,inf)")
    with pytest.raises(SettingError, match="shop: no event is left after the filters"):
        train(run_dir="runs/c", load_col={"inter": columns}, user_inter_num_interval="[500,inf)")
    assert not Path("runs/c").exists()
    with pytest.raises(SettingError, match="'note:token_seq' is neither"):
        train(run_dir="runs/c", load_col=None)


def refused(*arguments: str) -> str:
    """The one line that the command line answers with, and status 2."""
    small = [f"--{key}={value}" for key, value in SMALL.items()]
    done = CliRunner().invoke(app, ["run", "--dataset=shop", *arguments, *small])
    assert done.exit_code == 2, done.output
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(told) == 1 and "Traceback" not in done.output
    return told[0]


LPIRL = "--model=LPIRL"


def test_refused_settings(log):
    assert "did you mean 'beta'" in refused(LPIRL, "--betta=1")
    assert "did you mean 'LPIRL'" in refused("--model=LPI-RL")
    assert "unknown model 'Zzz'" in refused("--model=Zzz")
    assert "DIN of RecBole cannot run on sessions alone" in refused("--model=DIN")
    assert "beta must be > 0" in refused(LPIRL, "--beta=0")
    assert "gamma must be in [0, 1]" in refused(LPIRL, "--gamma=1.5")
    assert "beta must be a number" in refused(LPIRL, "--beta=__import__('os').abort()")
    assert "--beta is given twice" in refused(LPIRL, "--beta=1", "--beta=2")
    assert "is not --setting=value" in refused(LPIRL, "--beta", "1")
    assert "no settings file at none.yaml" in refused(LPIRL, "--config_files=none.yaml")
    assert "no checkpoint at nowhere" in refused(LPIRL, "--logging_policy=nowhere")
    assert "needs a logging policy" in refused(
        LPIRL,
        "--advantage_estimator=analytic",
        "--advantage_baseline=logging",
        "--logging_policy=none",
    )
    assert not Path("runs").exists() or not list(Path("runs").rglob("metrics.json"))


@pytest.mark.parametrize("checkout", [True, False])
def test_a_data_set_that_is_not_there_is_told_how_to_get(log, checkout):
    for dataset, command in (
        ("retailrocket", "retailrocket --events events.csv --output "),
        ("yoochoose", "yoochoose --clicks yoochoose-clicks.dat --buys "),
        ("elsewhere", "csv --input FILE --session COLUMN"),
    ):
        if checkout:
            Path("dataset_prep").mkdir(exist_ok=True)
            name, _, options = command.partition(" ")
            command = f"python dataset_prep/{name}.py {options}"
        else:
            command = f"recbole-lpi prepare {command}"
        done = CliRunner().invoke(app, ["run", LPIRL, f"--dataset={dataset}"])
        assert done.exit_code == 2
        said = " ".join(done.stderr.split())
        assert f"looked for dataset/{dataset}/{dataset}.inter" in said
        assert command in said and f"--output dataset/{dataset}" in said
        assert ("--download" in said) == (dataset != "elsewhere")


def spoil(log: Path, line: int, text: str) -> None:
    lines = log.read_text().splitlines()
    lines[line - 1] = text
    log.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("s1\ti1\t1500000000\tclick\tnan", "line 7: reward is nan"),
        ("s1\ti1\t1500000000\tclick\t", "line 7: reward is nan"),
        ("s1\ti1\tinf\tclick\t0.2", "line 7: timestamp is inf"),
        ("s1\ti1\t1500000000\tclick\tmuch", "line 7: reward is 'much', not a number"),
        ("s1\ti1\t1500000000\tclick", "line 7: 4 fields where the header has 5"),
        ("s1\ti1\t1500000000\tclick\t0.2\t1", "line 7: 6 fields where the header has 5"),
        ("s1\ti1\t1500000000\t\t0.2", "line 7: event is empty"),
    ],
)
def test_refused_rows(log, text, said):
    spoil(log, 7, text)
    assert said in refused(LPIRL) and "shop.inter" in refused(LPIRL)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("{reward: '[0.5,inf'}", "val_interval: reward must be an interval such as '[3,inf)'"),
        ("{reward: 1}", "val_interval: reward must be an interval"),
        ("{event: click}", "val_interval: event must be a list of the values to keep, got 'click'"),
        ("{evnt: [click]}", "val_interval: there is no column 'evnt', only session_id, item_id"),
    ],
)
def test_refused_filters(log, given, said):
    assert said in refused(LPIRL, f"--val_interval={given}")


def test_filters_by_value(log):
    given = {"val_interval": {"reward": "[0,0.5);(0.9,1]", "event": ["click", "purchase"]}}
    config = make_config("LPIRL", "shop", (), {**SMALL, **given, "session_cache_dir": "none"})
    everything = PolicyDataset(config)
    assert len(everything.sessions.items) == log.read_text().count("\n") - 1
    config = make_config("LPIRL", "shop", (), {**SMALL, "val_interval": {"event": ["purchase"]}})
    assert set(PolicyDataset(config).sessions.rewards.tolist()) == {1.0}


def test_refused_files(log):
    for missing, setting in (
        ("session_id:token", "USER_ID_FIELD"), ("timestamp:float", "TIME_FIELD"),
        ("reward:float", "reward_field"),
    ):  # fmt: skip
        write_log(Path("dataset"))
        spoil(log, 1, HEADER.replace(missing, "other:float"))
        log.write_text(log.read_text().replace("\ts", "\t"))
        if missing == "session_id:token":
            spoil(log, 1, HEADER.replace(missing, "other:token"))
        told = refused(LPIRL)
        assert f"no column '{missing.partition(':')[0]}'" in told and setting in told
    log.write_text(HEADER + "\n")
    assert "shop.inter holds no event" in refused(LPIRL)
    write_log(Path("dataset"), sessions=3)
    assert "part has nothing to predict" in refused(LPIRL)


def test_refused_checkpoints(log):
    train("LoggingPolicy", "runs/mu")
    write_log(Path("elsewhere"), items=30, seed=5)
    told = refused(LPIRL, "--data_path=elsewhere", "--logging_policy=runs/mu")
    assert "is of another catalogue" in told and "25 items" in told and "30" in told
    train("LPIRL", "runs/lpi")
    assert "holds a LPIRL, not a LoggingPolicy" in refused(LPIRL, "--logging_policy=runs/lpi")

    class Bomb:
        def __reduce__(self):
            return os.system, ("touch executed",)

    Path("bomb.pth").write_bytes(pickle.dumps(Bomb()))
    torch.save({"format": "recbole_lpi", "bomb": Bomb()}, "bomb2.pth")
    for bomb in ("bomb.pth", "bomb2.pth"):
        assert "nothing else is unpickled" in refused(LPIRL, f"--logging_policy={bomb}")
    assert not Path("executed").exists()


def test_a_run_folder_that_is_taken(log):
    train(run_dir="runs/a")
    model = ["--model=LoggingPolicy", "--run_dir=runs/a"]
    assert "runs/a holds a finished run" in refused(*model)
    with pytest.raises(SettingError, match="nothing to resume"):
        run(config_dict={"resume": "runs/a"})
    before = RunFolder("runs/a").metrics.read_text()
    small = [f"--{key}={value}" for key, value in SMALL.items()]
    for switch in ("--overwrite", "--overwrite=True"):
        done = CliRunner().invoke(app, ["run", "--dataset=shop", *model, *small, switch])
        assert done.exit_code == 0, done.output
    assert train(run_dir="runs/a", overwrite=True, seed=5).folder.metrics.read_text() != before
    RunFolder("runs/a").metrics.unlink()
    assert "go on with it by --resume=runs/a" in refused(*model)
    with pytest.raises(SettingError, match="it takes no model, dataset or config_files"):
        run("LPIRL", config_dict={"resume": "runs/a"})
    Path("mine.yaml").write_text("resume: runs/a\n")
    assert "resume is for the command line" in refused(*model, "--config_files=mine.yaml")
    with pytest.raises(SettingError, match="elsewhere is no run folder"):
        run(config_dict={"resume": "elsewhere"})


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_an_overwritten_run_was_outlives_a_new_one_that_comes_to_nothing(log):
    train(run_dir="runs/mu")
    train(run_dir="runs/a")
    before = files_of(Path("runs/a"))
    assert len(before) == len(RunFolder.FILES) - 1 + 3  # no trackers, and those of TensorBoard
    for error, given in (
        (SettingError, {"logging_policy": "runs/none"}),
        (SettingError, {"user_inter_num_interval": "[1000,inf)"}),
        (SettingError, {"model": "SQN", "logging_policy": "runs/lpirl"}),
        (FloatingPointError, {"model": "SQN", "learning_rate": 1e30, "logging_policy": "none"}),
    ):
        if given.get("logging_policy") == "runs/lpirl":
            train("LPIRL", "runs/lpirl", logging_policy="none")
        with pytest.raises(error):
            train(**{"overwrite": True, "learning_rate": 0.01, **given})
        assert files_of(Path("runs/a")) == before, given


def test_it_outlives_a_kill_before_the_first_epoch_is_kept_and_no_longer(log, monkeypatch):
    train(run_dir="runs/a")
    before = RunFolder("runs/a").model.read_bytes()

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(TrainingLoop, "train_epoch", interrupted)
        train(overwrite=True, seed=5)
    kept = RunFolder("runs/a/replaced")
    assert kept.finished and kept.model.read_bytes() == before
    assert not RunFolder("runs/a").finished and not RunFolder("runs/a").resume.is_file()

    def diverged(*_):
        raise FloatingPointError

    with monkeypatch.context() as patched, pytest.raises(FloatingPointError):
        patched.setattr(TrainingLoop, "train_epoch", diverged)
        run(config_dict={"resume": "runs/a"})
    assert kept.finished and RunFolder("runs/a").begun  # what was begun can still be resumed
    with broken_off_after(0, monkeypatch):
        run(config_dict={"resume": "runs/a"})
    assert not kept.path.exists() and RunFolder("runs/a").resume.is_file()


def test_a_folder_that_cannot_be_written_is_told_in_a_line(log):
    Path("file").write_text("")
    for setting in ("run_dir", "logging_policy_dir"):
        told = refused(LPIRL, f"--{setting}=file/runs")
        assert re.search("Not a directory: '.*file", told) and "check the path" in told
    assert not list(Path("runs/shop").glob("*"))


def test_a_run_names_its_folder_first(log, caplog):
    with caplog.at_level(logging.INFO):
        finished = run("LoggingPolicy", "shop", (), {**SMALL, "epochs": 1})
    assert [r.message for r in caplog.records if "run folder" in r.message] == [
        f"run folder: {finished.folder.path}"
    ]


def test_a_loss_that_is_not_finite_stops_with_the_cure(log):
    given = {"beta": 1e-4, "learning_rate": 0.1, "logging_policy": "none", "epochs": 10}
    with pytest.raises(FloatingPointError, match="raise beta, or set weight_clip"):
        train("LPIRL", **given)


def test_the_table_at_the_end(log):
    small = [f"--{key}={value}" for key, value in SMALL.items()]
    done = CliRunner().invoke(app, ["run", LPIRL, "--dataset=shop", *small, "--run_dir=runs/a"])
    assert done.exit_code == 0, done.output
    for words in ("purchase (", "click (", "nDCG@10", "±", "JS divergence", "Run folder: runs/a"):
        assert words in done.stdout
