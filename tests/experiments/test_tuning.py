"""Searches: what is tried, that no trial is lost or made twice, and what is found."""

from __future__ import annotations

import os
import shlex
import signal
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.cli.arguments import settings_of
from recbole_lpi.experiments import front_figure, trial_storage, tuning_report, tuning_work
from recbole_lpi.experiments.found_trials import found_trials, on_front, picked
from recbole_lpi.experiments.search_space import Choices, Range, corners, read_space
from recbole_lpi.experiments.tuning import JS, Tuning
from recbole_lpi.experiments.tuning_work import check, work
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin import runner
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.plugin.properties import defaults
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from tests.support.logs import SMALL, broken_off_after
from tests.support.postgresql import postgresql as postgresql  # a fixture
from tests.support.processes import forkserver, start

CRITERION = "reward_weighted_ndcg@20"
SPACE = {"beta": Range(0.1, 3.9, log=True)}
DONE = Path("done.txt")  # a line for every trial that was begun, gone on with or ended


def score(beta: float) -> float:
    """The best is β = 0.5."""
    return 1 - abs(beta - 0.5)


def fake_run(model=None, dataset=None, config_files=(), config_dict=None, observers=()):
    """Leave the files of a run without training; say so in DONE."""
    given = dict(config_dict)
    word = "resume" if "resume" in given else "begin"
    folder = RunFolder(given.get("resume") or given["run_dir"])
    if word == "begin":
        assert not folder.begun
        folder.write_config({**given, "logging_policy": os.path.abspath("mu"), "model": model})
    _say(f"{word} {folder.path.name}")
    beta = folder.read_config()["beta"]
    if beta > 3.9:
        raise FloatingPointError("the loss is nan")
    for epoch in range(3):
        for observer in observers:
            observer.epoch(epoch, {f"valid/{CRITERION}": score(beta) + epoch / 10})
    measured = {CRITERION: score(beta), JS: 0.3 / beta, "nll": beta}
    valid = {name: {"mean": mean, "stderr": 0.05, "count": 9} for name, mean in measured.items()}
    folder.write_metrics({"best_epoch": 1, "epochs": 3, "valid": valid, "test": valid})
    _say(f"end {folder.path.name}")


def _say(line: str) -> None:
    with open(DONE, "a") as done:
        done.write(line + "\n")


def said(word: str) -> list[str]:
    lines = [line.split() for line in DONE.read_text().splitlines()]
    return sorted(name for first, name in lines if first == word)


@pytest.fixture(autouse=True)
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A folder of the test's own; nothing is trained, unless the test has a log."""
    monkeypatch.chdir(tmp_path)
    if "log" not in request.fixturenames:
        monkeypatch.setattr(runner, "run", fake_run)
        monkeypatch.setattr(tuning_work, "_logging_policy", lambda tuning: "mu")


def tuning(**more: Any) -> Tuning:
    given = {"epochs": 3, "split_seed": 1, **more.pop("given", {})}
    return Tuning(
        "LPI", "shop", Path("runs/s"), "s", given, **{"space": SPACE, "trials": 6, **more}
    )


def names(number: int) -> list[str]:
    return [f"trial-{n:04}" for n in range(number)]


def test_a_search_begins_at_the_defaults_and_finds_what_is_best():
    search = tuning(trials=12)
    work(search, 0, prune=False)
    trials = found_trials(search)
    assert said("begin") == said("end") == names(12)
    first = next(trial for trial in trials if trial.number == 0)
    assert first.settings == {"beta": defaults("LPI", "shop")["beta"]}
    for trial in trials:
        config = trial.folder.read_config()
        assert config["beta"] == trial.settings["beta"] and 0.1 <= config["beta"] <= 3.9
        assert (Path(config["logging_policy"]).name, config["epochs"]) == ("mu", 3)
    best = picked(search, trials)
    assert best is trials[0] and best.mean(CRITERION) == max(t.mean(CRITERION) for t in trials)
    assert best.settings["beta"] == pytest.approx(0.5, abs=0.2)
    program, command, *settings = shlex.split(tuning_report.command(search, best.settings))
    assert (program, command) == ("recbole-lpi", "run")
    given = settings_of(settings)
    assert given == {**search.given, "model": "LPI", "dataset": "shop", **best.settings}


def test_what_is_tried_depends_on_the_seed_and_the_number_alone():
    for root in ("a", "b"):
        search = tuning()
        object.__setattr__(search, "root", Path(root))
        if root == "b":  # in two parts
            object.__setattr__(search, "trials", 3)
            work(search, 7, prune=False)
            search = tuning()
            object.__setattr__(search, "root", Path(root))
        work(search, 7, prune=False)
    tried = [[RunFolder(f"{root}/{n}").read_config()["beta"] for n in names(6)] for root in "ab"]
    assert tried[0] == tried[1] and len(set(tried[0])) == 6


def test_a_search_that_was_interrupted_goes_on_in_the_folder_of_its_trial(log, monkeypatch):
    """With real training: the third epoch of the first trial is the first after the break."""
    given = {**SMALL, "epochs": 3, "logging_policy": "none", "topk": [20], "data_path": "dataset"}
    search = tuning(given=given, trials=2)
    with broken_off_after(1, monkeypatch):
        work(search, 0, prune=False)
    again = tuning(given=given, trials=2)
    work(again, 0, prune=False)
    trials = found_trials(again)
    assert sorted(trial.number for trial in trials) == [0, 1]
    assert all(trial.measured and trial.epochs[1] == 3 for trial in trials)
    kept = RunFolder("runs/s/trial-0000").log.read_text()
    assert "resumed after epoch 1" in kept and kept.count("epoch 1 training [") == 1
    assert "resumed" not in RunFolder("runs/s/trial-0001").log.read_text()
    (frozen, _) = again.queue.study.trials
    assert sorted(frozen.intermediate_values) == [0, 1, 2]


def _worker(folder: str, storage: str | None, killed: bool) -> None:
    """A worker that is killed in its third trial; or one that begins with the other, and is not."""
    os.chdir(folder)
    begun = []

    def run(*args, **kwargs):
        given = kwargs.get("config_dict") or args[3]
        begun.append(given)
        if killed and len(begun) == 3:
            here = RunFolder(given["run_dir"])
            here.write_config({**given, "logging_policy": os.path.abspath("mu"), "model": "LPI"})
            Path("killed.txt").write_text(here.path.name)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.05)
        fake_run(*args, **kwargs)

    runner.run = run
    tuning_work._logging_policy = lambda tuning: "mu"
    while not killed and not DONE.exists():
        time.sleep(0.01)
    work(tuning(trials=12, storage=storage), 0, prune=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["journal", "postgresql"])
def test_of_workers_that_are_killed_no_trial_is_lost_or_made_twice(kind, request, tmp_path):
    """Two workers at once, one of them killed in a trial: another goes on with it."""
    storage = None if kind == "journal" else request.getfixturevalue("postgresql")
    processes = [
        forkserver().Process(target=_worker, args=(str(tmp_path), storage, killed))
        for killed in (True, False)
    ]
    start(processes, _worker)
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [-signal.SIGKILL, 0]
    search = tuning(trials=12, storage=storage)
    work(search, 0, prune=False)
    assert said("end") == names(12)  # each once
    gone = Path("killed.txt").read_text()
    assert said("resume") == [gone] and gone not in said("begin")
    trials = search.queue.study.trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 12
    assert len({tuple(trial.params.items()) for trial in trials}) == 12


def test_a_trial_of_a_machine_that_is_gone_is_made_again_and_of_one_that_lives_is_not():
    search = tuning(trials=3, storage="sqlite:///trials.db")
    study, storage = search.queue.study, search.queue.storage
    assert isinstance(storage, optuna.storages.RDBStorage)
    gone = study.ask()  # the first, of the defaults
    gone.suggest_float("beta", 0.1, 3.9, log=True)
    gone.set_user_attr("machine", "another folder")
    storage.record_heartbeat(gone._trial_id)
    with storage.engine.begin() as database:
        database.execute(text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00'"))
    living = study.ask()
    living.suggest_float("beta", 0.1, 3.9, log=True)
    living.set_user_attr("machine", "another folder")
    storage.record_heartbeat(living._trial_id)
    work(search, 0, prune=False)
    found = {trial.number: trial for trial in search.queue.counted()}
    assert study.trials[0].state.name == "FAIL" and 0 not in found
    again = next(t for t in found.values() if t.system_attrs.get("failed_trial") == 0)
    assert again.params == study.trials[0].params and again.state.name == "COMPLETE"
    assert found[1].state.name == "RUNNING" and len(found) == 3
    assert said("begin") == ["trial-0000", f"trial-{max(found):04}"]


def test_more_trials_than_wanted_are_not_made_when_two_ask_at_one_moment(monkeypatch):
    search = tuning(trials=2)
    study = search.queue.study
    ask, asked = study.ask, list[optuna.Trial]()

    def ask_twice():
        if not asked:
            asked.append(ask())  # of another worker, which lives
            asked.append(ask())
            for trial in asked:
                trial.set_user_attr("machine", "another folder")
        return ask()

    monkeypatch.setattr(study, "ask", ask_twice)
    work(search, 0, prune=False)
    assert len(search.queue.counted()) == 2 and not DONE.exists()


def test_a_trial_that_another_worker_ended_a_moment_ago_is_not_made_again():
    """It was listed as one that runs, and has ended by the time its folder is held."""
    search = tuning(trials=1)
    work(search, 0, prune=False)
    (trial,) = search.queue.study.trials
    with ExitStack() as held:
        assert search.queue._hold(trial._trial_id, 0, held) is None
    with RunFolder("runs/s/trial-0000").exclusive():  # which is let go of
        assert said("begin") == names(1)


def test_a_trial_that_takes_its_worker_down_time_and_again_is_given_up():
    search = tuning(trials=1)
    for _ in range(3):
        with ExitStack() as held:  # a worker that ends here, with nothing told
            assert search.queue.take(held) is not None
    work(search, 0, prune=False)
    (trial,) = found_trials(search)
    assert trial.state == "failed" and "killed, time and again" in trial.why
    with pytest.raises(SettingError, match="no trial of the search 's' is complete"):
        tuning_report.write(search, Path("out"))


def test_a_trial_without_a_number_is_one_that_failed_and_the_search_goes_on(capsys):
    search = tuning(space={"beta": Choices((3.95, 0.5, 1.0))}, trials=8)
    work(search, 0, prune=False)
    trials = found_trials(search)
    failed = [trial for trial in trials if trial.state == "failed"]
    assert failed and all(trial.why == "the loss is nan" for trial in failed)
    assert picked(search, trials).settings == {"beta": 0.5}
    assert "came to nothing: the loss is nan" in capsys.readouterr().err
    told = tuning_report.markdown(search, trials)
    assert "| failed: the loss is nan |" in told and "**0.5**" in told


def test_a_trial_worse_than_the_median_is_stopped_and_one_of_two_objectives_is_not():
    search = tuning(trials=12)
    work(search, 0, prune=True)
    states = [trial.state.name for trial in search.queue.study.trials]
    assert states[:5] == ["COMPLETE"] * 5 and "PRUNED" in states[5:]
    pruned = [trial for trial in found_trials(search) if trial.state == "pruned"]
    assert all(trial.epochs == (0, 2) for trial in pruned)
    assert not any(trial.folder.finished for trial in pruned)
    assert "| pruned after 2 epochs |" in tuning_report.markdown(search, found_trials(search))


def test_the_front_its_files_and_what_is_picked_from_it():
    search = tuning(front=True, trials=12)
    work(search, 0, prune=True)
    trials = found_trials(search)
    assert all(trial.state == "" for trial in trials)
    front = on_front(search, trials)
    for one in trials:  # by the definition
        beaten = any(
            two.mean(JS) <= one.mean(JS) and two.mean(CRITERION) >= one.mean(CRITERION)
            and (two.mean(JS), two.mean(CRITERION)) != (one.mean(JS), one.mean(CRITERION))
            for two in trials
        )  # fmt: skip
        assert beaten != (one in front)
    assert len(front) > 1 and [t.mean(JS) for t in front] == sorted(t.mean(JS) for t in front)
    chosen = picked(search, trials)
    good = [t for t in trials if t.mean(CRITERION) >= trials[0].mean(CRITERION) - 0.05]
    assert chosen.mean(JS) == min(t.mean(JS) for t in good) and len(good) > 1
    near = picked(search, trials, max_js=0.3)
    assert near.mean(JS) <= 0.3 and near.mean(CRITERION) < chosen.mean(CRITERION)
    with pytest.raises(
        SettingError, match=r"--max_js=0\.001: no trial is so near; the nearest has"
    ):
        picked(search, trials, 0.001)
    told = tuning_report.write(search, Path("out"))
    assert f"Trial {chosen.number}, beta" in told
    assert {path.name for path in Path("out").iterdir()} == {"tune.md", "tune.csv", "front.svg"}
    lines = (Path("out") / "tune.csv").read_text().splitlines()
    assert sum(",True," in line for line in lines) == len(front) and len(lines) == 13
    (axes,) = front_figure.draw(search, trials, front, chosen).axes
    named = {note.get_text() for note in axes.texts}
    assert named == {f"β = {trial.settings['beta']:.3g}" for trial in [*front, chosen]}


def test_the_command_reports_and_refuses_another_search_of_the_name(monkeypatch):
    arguments = ["tune", "--model=LPI", "--dataset=shop", "--trials=2", "--split_seed=1"]
    done = CliRunner().invoke(app, [*arguments, "--learning_rate=0.01"])
    assert done.exit_code == 0, done.output
    assert "given, and not searched: learning_rate" in done.stderr
    assert "# shop: LPI, 2 trials" in done.stdout and "--learning_rate=0.01" in done.stdout
    done = CliRunner().invoke(app, [*arguments, "--learning_rate=0.02"])
    assert done.exit_code == 2
    assert (
        "the search 'shop/LPI' was begun with settings {'split_seed': 1, 'learning" in done.stderr
    )
    done = CliRunner().invoke(app, [*arguments, "--learning_rate=0.01", "--trials=4", "--no-train"])
    assert done.exit_code == 2 and "--trials is given twice" in done.stderr
    more = [word.replace("=2", "=4") for word in arguments]
    done = CliRunner().invoke(app, [*more, "--learning_rate=0.01", "--no-train"])
    assert done.exit_code == 0 and "Not done: 0 begun or waiting, 2 to begin" in done.stdout
    done = CliRunner().invoke(app, [*arguments, "--max_js=0.1"])
    assert done.exit_code == 2 and "--max_js picks from a front: give --front" in done.stderr
    assert said("begin") == names(2)


def test_a_folder_of_another_search_is_refused():
    work(tuning(trials=1), 0, prune=False)
    with pytest.raises(SettingError, match=r"trial-0000 was run with .*give another --runs"):
        work(tuning(trials=1, given={"epochs": 4}, storage="sqlite:///new.db"), 0, prune=False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("bta: [1]", "unknown setting 'bta'; did you mean 'beta'?"),
        ("seed: [1, 2]", "seed cannot be searched over: it says what is drawn at random"),
        ("topk: [[5], [10]]", "topk cannot be searched over: it says what is measured"),
        ("beta: 3", "beta must be {low: 0.1, high: 4.0, log: true} or a list of choices"),
        ("beta: []", "beta must be {low"),
        ("beta: {low: 1}", "beta must be {low"),
        ("beta: {low: 1, high: 2, lgo: true}", "beta must be {low"),
        ("beta: {low: 2, high: 1}", "low must be less than high, got 2 and 1"),
        ("beta: {low: 0, high: 1, log: true}", "a log range must begin above 0, got 0"),
        ("encoder: [sasrec, 'os:abort']", "encoder os:abort is code of your own"),
        ("{}", "leaves nothing to search"),
    ],
)
def test_a_space_is_refused_that_cannot_be_searched(content, said):
    Path("space.yaml").write_text(content)
    with pytest.raises(SettingError) as refused:
        read_space("LPI", Path("space.yaml"), {})
    assert said in str(refused.value) and "space.yaml" in str(refused.value)


def test_what_cannot_be_run_is_refused_before_the_first_trial():
    for space, said in (
        ({"td_weight": Range(0.1, 1.0)}, "LPI does not read td_weight: leave it out"),
        ({"n_heads": Choices((1, 3))}, r"a trial with {'n_heads': 3}: .*"),
        ({"beta": Range(-1.0, 1.0)}, r"a trial with {'beta': -1.0}: beta must be"),
    ):
        with pytest.raises(SettingError, match=said):
            check(tuning(space=space))
    for more, said in (
        ({"objective": "purchase_ndcg@7"}, "purchase_ndcg@7 is not measured: add it to metrics"),
        ({"front": True, "given": {"metrics": ["ndcg"]}}, "js_divergence is not measured"),
        ({"front": True, "given": {"logging_policy": "none"}}, "a front needs a logging policy"),
    ):
        with pytest.raises(SettingError, match=said):
            check(tuning(**more))
    with pytest.raises(SettingError, match="--objective=js_divergence is neither better nor worse"):
        tuning(objective="js_divergence")
    with pytest.raises(SettingError, match="run_dir is for one run"):
        tuning(given={"run_dir": "a"})


def test_the_space_of_every_model_can_be_searched():
    for model in (*OBJECTIVES, *BASELINES, "GRU4Rec"):
        space, fixed = read_space(model, None, {})
        check(Tuning(model, "shop", Path("a"), "a", {"split_seed": 1}, space))
        assert not fixed and "tune" not in defaults(model, "shop")
        own = defaults(model, "shop")
        for name, values in space.items():  # the first trial is of the defaults
            assert values.enqueued(own.get(name)) is not None or model == "GRU4Rec"


def test_lists_are_choices_too_and_the_corners_reach_every_end():
    Path("space.yaml").write_text("inputs: [[item], [item, event]]\nbeta: {low: 1, high: 3}\n")
    space, _ = read_space("LPI", Path("space.yaml"), {})
    assert corners(space) == [
        {"inputs": ["item"], "beta": 1},
        {"inputs": ["item", "event"], "beta": 3},
    ]
    work(tuning(space=space, trials=4), 0, prune=False)
    for name in names(4):
        config = RunFolder(f"runs/s/{name}").read_config()
        assert config["inputs"] in (["item"], ["item", "event"]) and type(config["beta"]) is int


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("postgresql://me:hidden@localhost:1/none", "me:***@localhost:1/none cannot be opened"),
        ("://", "is no URL of a database"),
        ("oracle://me:hidden@there/x", "needs a driver that is not installed"),
    ],
)
def test_a_storage_that_is_not_there_is_refused_without_its_password(where, said):
    with pytest.raises(SettingError) as refused:
        trial_storage.open_storage(where)
    assert said in str(refused.value) and "hidden" not in str(refused.value)
    assert "hidden" not in repr(tuning(storage=where))


def test_optuna_is_asked_for_where_it_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingError, match=r"pip install 'recbole-lpi\[tune\]'"):
        trial_storage.optuna()
    assert optuna  # it is installed here
