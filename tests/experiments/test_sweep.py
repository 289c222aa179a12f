"""Sweeps: what runs, what is not run again, what is picked, and what the report says."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.experiments import report, sweep_work
from recbole_lpi.experiments.plans import Row, read_plan
from recbole_lpi.experiments.sweep import Sweep, diverged
from recbole_lpi.experiments.sweep_work import check
from recbole_lpi.experiments.sweep_work import work as run_missing
from recbole_lpi.locks import Busy
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin import runner
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from tests.support.finished_runs import make_run

PLAN = """
title: every β
shared: {split_seed: 2020, epochs: 1, valid_metric: ndcg@20}
reference: LoggingPolicy
rows:
  LPIRL:
    fixed: {gamma: 0.1}
    tries: [{beta: 1.0}, {beta: 0.5}]
  LoggingPolicy:
    tries: [{learning_rate: 0.1}, {learning_rate: 0.2}]
  Counted: {model: Popularity, seeded: false}
"""
SCORE = {0.1: 0.3, 0.2: 0.4, 1.0: 0.2, 0.5: 0.6, None: 0.1}  # of each try on validation


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.yaml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Runs that leave their files without training; what each was given."""
    calls: list[dict[str, Any]] = []

    def run(model=None, dataset=None, config_files=(), config_dict=None):
        given = dict(config_dict)
        if "resume" in given:
            calls.append({"resumed": given["resume"]})
            given = RunFolder(given["resume"]).read_config()
        else:
            calls.append({"model": model, **given})
        tried = given.get("beta", given.get("learning_rate"))
        if tried is not None and tried == given.get("weight_clip"):
            raise FloatingPointError("the loss is nan")  # in the first epoch: no folder is left
        folder = Path(given["run_dir"])
        ranks = [1, 2, 3, 4 + given["seed"]] if tried == 0.5 else [2, 3, 1, 9]
        mu = None if given.get("logging_policy") == "none" else -1.0
        make_run(folder, ranks, model or given["model"], mu=mu, **{
            k: v for k, v in given.items() if k not in ("logging_policy", "model", "run_dir")
        })  # fmt: skip
        mean = {"mean": SCORE[tried], "stderr": 0.1, "count": 4}
        measured = dict.fromkeys(("ndcg@20", *report.TESTED), mean)
        RunFolder(folder).write_metrics(
            {
                "best_epoch": 2,
                "epochs": 4 if tried == 1.0 else 3,
                "valid": measured,
                "test": measured,
            }
        )

    monkeypatch.setattr(runner, "run", run)
    return calls


def test_the_reference_runs_first_and_is_the_logging_policy_of_all(plan, made, tmp_path):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {"topk": [7]}, seeds=2)
    run_missing(work)
    tried = [call.get("beta", call.get("learning_rate")) for call in made]
    assert tried[:2] == [0.1, 0.2]  # whatever its place in the plan
    assert sorted(tried[2:5], key=str) == [0.5, 1.0, None]
    assert [(call["model"], call["seed"]) for call in made[5:]] == [
        ("LPIRL", 2), ("LoggingPolicy", 2),
    ]  # fmt: skip
    assert tried[5:] == [0.5, 0.2]  # the best on validation, with one more seed
    mu = tmp_path / "runs" / "LoggingPolicy" / "learning_rate=0.2" / "seed=1"
    for call in made:
        itself = call["model"] == "LoggingPolicy" and call["seed"] == 1
        assert call["logging_policy"] == ("none" if itself else str(mu))
        assert (call["topk"], call["split_seed"], call["epochs"]) == ([7], 2020, 1)
        assert call.get("gamma") == (0.1 if call["model"] == "LPIRL" else None)


def test_progress_counts_tries_and_the_seeds_of_the_best(plan, made, tmp_path, capsys):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=2)
    assert work.progress == (0, 7)
    run_missing(work)
    assert work.progress == (7, 7)
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if line.startswith("run ")]  # and not what a log says
    assert [line.partition(":")[0] for line in said] == [f"run {n} of 7" for n in range(1, 8)]


def test_nothing_is_run_twice_and_what_broke_off_goes_on(plan, made, tmp_path):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1)
    run_missing(work)
    number = len(made)
    broken = work.folder(work.rows[0], {"beta": 1.0}, 1)
    broken.write_config({**broken.read_config(), "model": "LPIRL", "run_dir": str(broken.path)})
    broken.metrics.unlink()
    run_missing(Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1))
    assert made[number:] == [{"resumed": str(broken.path)}]


def test_what_another_process_is_at_is_left_to_it(plan, made, tmp_path):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1)
    folder = work.folder(work.rows[0], {"beta": 1.0}, 1)
    lock = folder.exclusive()
    with ThreadPoolExecutor(1) as other:  # which a lock holds off as it does another process
        other.submit(lock.__enter__).result()
        run_missing(work)
        other.submit(lock.__exit__, None, None, None).result()
    assert not folder.begun and len(made) == 4
    assert work.best(work.rows[0]) is None  # not all of its tries have run
    assert [row.name for row in work.rows if work.runs(row)] == ["LoggingPolicy", "Counted"]


@pytest.mark.parametrize("storage", ["sqlite:///jobs.db", "jobs.journal"])
def test_a_storage_gives_each_run_to_one_worker(plan, made, tmp_path, monkeypatch, storage):
    """What another machine is at is left to it; what a killed worker of this one was at, is not."""
    monkeypatch.chdir(tmp_path)
    sweeps = [
        Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1, storage=storage)
        for _ in range(2)
    ]
    work, again = sweeps
    row = work.rows[0]
    others, killed = (work.folder(row, {"beta": beta}, 1) for beta in (1.0, 0.5))
    for folder, machine in ((others, "another machine"), (killed, None)):
        queue = work._claims._queue(folder)  # type: ignore[union-attr]
        queue.study.ask().set_user_attr("machine", machine or queue.machine)
    run_missing(work)
    assert len(made) == 4 and not others.begun and killed.finished
    run_missing(again)  # of the same storage: nothing is left
    assert len(made) == 4
    with pytest.raises(Busy, match="another worker is at"), again.claimed(others, None):
        pass
    queue = again._claims._queue(others)  # type: ignore[union-attr]
    queue.study.tell(0, 0.0)  # the other machine is done, and its folder is not seen here
    with pytest.raises(Busy, match="not here: all share one --runs"), again.claimed(others, "wait"):
        pass


def test_a_try_that_diverges_is_not_the_best_and_not_tried_again(plan, made, tmp_path):
    for _ in range(2):
        work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {"weight_clip": 0.5}, seeds=1)
        run_missing(work)
    row = work.rows[0]
    assert work.best(row) == {"beta": 1.0}
    assert "the loss is nan" in diverged(work.folder(row, {"beta": 0.5}, 1)).read_text()
    assert sum(call.get("beta") == 0.5 for call in made) == 1
    assert "| LPIRL | beta 0.5 | diverged |" in report.markdown(work, "LPIRL")


def test_the_report_has_search_table_tests_and_what_is_missing(plan, made, tmp_path):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=2)
    run_missing(work)
    text = report.markdown(work, "LPIRL")
    assert text.startswith("# shop\\_1%: every β\n")
    assert "| LPIRL | **beta 0.5** | 0.6000 | 0.6000 | 0.6000 | 3 of 3 |" in text
    assert "| LPIRL | beta 1.0 | 0.2000 | 0.2000 | 0.2000 | 3 of 4 |" in text
    line = next(line for line in text.splitlines() if line.startswith("Still improving"))
    assert "LPIRL (beta 0.5)" in line and "LPIRL (beta 1.0)" not in line
    assert "| LPIRL | 2 |" in text and "| Counted | 1 |" in text
    # Purchases of LPIRL rank 2 and, by seed, 5 or 6; those of LoggingPolicy 3 and 9.
    from math import log2

    mine = (1 / log2(3) + (1 / log2(6) + 1 / log2(7)) / 2) / 2
    others = (1 / log2(4) + 1 / log2(10)) / 2
    assert f"| LoggingPolicy | {mine - others:+.4f} ±" in text
    assert "Not all" not in text
    three = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=3)
    assert "Not all of their runs have finished: LPIRL, LoggingPolicy." in report.markdown(
        three, "LPIRL"
    )


def test_tests_against_a_row_are_adjusted_for_the_number_of_rows(plan, monkeypatch, tmp_path):
    """p = .043 against each of two, and .086 by Holm's correction; against one alone a star."""

    def run(model=None, dataset=None, config_files=(), config_dict=None):
        folder, better = Path(config_dict["run_dir"]), model == "LPIRL"
        make_run(folder, [1, 1 if better else 9] * 4 + [1, 9] * 20, model, seed=config_dict["seed"])
        metrics = {name: {"mean": 0.5} for name in ("ndcg@20", *report.TESTED)}
        RunFolder(folder).write_metrics({"best_epoch": 0, "valid": metrics, "test": metrics})

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.setattr(sweep_work, "check", lambda sweep: None)
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1)
    run_missing(work)
    text = report.tests_against(work, "LPIRL", ["purchase_hit@5"])
    assert "| LoggingPolicy | +0.1667 ± 0.0777 |\n| Counted | +0.1667 ± 0.0777 |" in text
    assert "p adjusted for the number of rows (Holm)" in text
    only = ["LPIRL", "LoggingPolicy"]
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1, only=only)
    text = report.tests_against(work, "LPIRL", ["purchase_hit@5"])
    assert "| LoggingPolicy | +0.1667 ± 0.0777 \\* |" in text
    assert "Trained with one seed: LPIRL, LoggingPolicy;" in report.markdown(work, "LPIRL")


def test_a_row_that_draws_nothing_is_not_said_to_lack_seeds(plan, made, tmp_path):
    counted = PLAN.replace("model: Popularity", "model: SQN")  # said to draw nothing
    plan.write_text(
        counted.replace("seeded: false", "seeded: false, tries: [{learning_rate: 0.1}]")
    )
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=2)
    run_missing(work)
    text = report.markdown(work, "LPIRL")
    assert "| Counted | 1 |" in text and "Trained with one seed" not in text


def test_the_trade_off_joins_the_tries_along_beta(plan, made, tmp_path):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1)
    run_missing(work)
    figure = report.trade_off(work, "LPIRL")
    named = {text.get_text() for text in figure.axes[0].texts}
    assert named == {"LPIRL, seed 1 of each β\nβ = 0.5", "β = 1.0", "LoggingPolicy", "Counted"}
    (axes,) = report.trade_off(work, "LoggingPolicy").axes  # its tries differ in no β
    assert not any("β = " in text.get_text() for text in axes.texts)


FRONT = """
shared: {split_seed: 2020, epochs: 1, valid_metric: ndcg@20}
reference: LoggingPolicy
rows:
  LoggingPolicy: {tries: [{learning_rate: 0.1}]}
  LPI 1: {model: LPI, fixed: {beta: 1.0}}
  LPI 0.5: {model: LPI, fixed: {beta: 0.5}}
"""


def test_other_seeds_of_the_reference_are_the_noise_floor(plan, made, tmp_path, monkeypatch):
    """They are measured against its first, which is no divergence of the row; others are."""
    plan.write_text(FRONT)
    left = runner.run

    def run(model=None, dataset=None, config_files=(), config_dict=None):
        left(model, dataset, config_files, config_dict)
        folder = RunFolder(config_dict["run_dir"])
        metrics = folder.read_metrics()
        if config_dict["logging_policy"] != "none":
            js = {"mean": 0.01 * config_dict["seed"], "stderr": 0.001, "count": 4}
            metrics["test"] = {**metrics["test"], "js_divergence": js}
        folder.write_metrics({k: v for k, v in metrics.items() if k != "schema"})

    monkeypatch.setattr(runner, "run", run)
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=3)
    run_missing(work)
    found = report.table(work, ["ndcg@20", "js_divergence"])
    assert found.noise_floor["js_divergence"].mean == pytest.approx(0.03)  # of seed 3, the most
    cells = {policy.name: policy.cells for policy in found.policies}
    assert "js_divergence" not in cells["LoggingPolicy"]
    assert {"LPI 1", "LPI 0.5"} == {name for name in cells if "js_divergence" in cells[name]}
    assert len([policy for policy in found.policies if policy.name == "LoggingPolicy"]) == 1
    assert "differ by JS 0.0300 ± 0.0010" in report.markdown(work, "LoggingPolicy")
    axes: Any = report.divergence(work).axes[0]
    (line,) = [line for line in axes.lines if line.get_linestyle() == ":"]
    assert line.get_ydata()[0] == pytest.approx(0.03)
    marked = next(other for other in axes.lines if other is not line)
    assert list(marked.get_xdata()) == [0.5, 1.0]
    alone = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, only=["LoggingPolicy"])
    with pytest.raises(SettingError, match="no model has several values of beta"):
        report.divergence(alone)


def test_the_command_reports_without_training(plan, made, tmp_path):
    arguments = ["sweep", str(plan), "--dataset=shop", f"--runs={tmp_path / 'runs'}", "--seeds=1"]
    done = CliRunner().invoke(app, [*arguments, "--no-train"])
    assert done.exit_code == 2 and "no row all of whose tries have finished" in done.stderr
    done = CliRunner().invoke(app, [*arguments, "--topk=7"])
    assert done.exit_code == 0 and "## Test part" in done.stdout
    assert all(call["topk"] == 7 for call in made)
    done = CliRunner().invoke(app, [*arguments, "--only=Nobody"])
    assert done.exit_code == 2 and "the plan has no row Nobody" in done.stderr


def test_runs_made_with_other_settings_are_not_taken_for_these(plan, made, tmp_path):
    run_missing(Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1))
    number = len(made)
    with pytest.raises(SettingError, match="was run with epochs 1, and now it is to be 3"):
        run_missing(Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {"epochs": 3}, seeds=1))
    assert len(made) == number


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"seed": 3}, "seed is for one run"),
        ({"gama": 3}, "row LPIRL, .*unknown setting 'gama'"),
        ({"valid_metric": "ndgc@20"}, "row LPIRL, .*unknown metric 'ndgc'"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_anything_runs(
    given, reason, plan, made, tmp_path
):
    with pytest.raises(SettingError, match=reason):
        run_missing(Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", given))
    assert not made


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rows: {A: {}}", "has the keys shared, reference, rows and perhaps title"),
        (PLAN + "titel: all\n", "has the keys shared, reference, rows and perhaps title"),
        (PLAN.replace("tries: [{beta", "trys: [{beta"), "row LPIRL has trys; known are model"),
        (PLAN.replace("{beta: 1.0}", "1.0"), "row LPIRL is no mapping"),
        (PLAN.replace("reference: LoggingPolicy", "reference: Nobody"), "reference is Nobody"),
    ],
)
def test_a_plan_that_is_none_is_refused(text, reason, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    with pytest.raises(SettingError, match=reason):
        read_plan(str(path))
    with pytest.raises(
        SettingError, match="one of ablation, front, hyperparameters, lpirl, policies"
    ):
        read_plan("policie")


def test_our_own_plan_has_every_policy_with_one_budget():
    plan = read_plan("policies")
    assert {row.model for row in plan.rows} >= set(OBJECTIVES)
    seeded = [row for row in plan.rows if row.seeded]
    assert all(len(row.tries) == 4 for row in seeded), "the same budget for each"
    assert all(isinstance(row, Row) for row in plan.rows)
    json.dumps([dict(settings) for row in plan.rows for settings in row.tries])


def test_every_row_is_tested_against_lpirl_or_else_against_the_reference(plan, made, tmp_path):
    read, root = read_plan(str(plan)), tmp_path / "runs"
    work = Sweep(read, "shop", root, {}, 1, ["LoggingPolicy", "Counted"])
    assert report.tested_row(Sweep(read, "shop", root, {}, 1), None) == "LPIRL"
    assert report.tested_row(work, None) == "LoggingPolicy"
    with pytest.raises(SettingError, match="the sweep has no row LPIRL, only LoggingPolicy, Count"):
        report.tested_row(work, "LPIRL")
    arguments = ["sweep", str(plan), "--dataset=shop", f"--runs={tmp_path}", "--seeds=1"]
    arguments += ["--only=LoggingPolicy,Counted"]
    refused = CliRunner().invoke(app, [*arguments, "--against=LPIRL"])
    assert refused.exit_code == 2 and not made  # before anything is run
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "## LoggingPolicy against every other policy" in done.stdout
    assert "No run of" not in done.stdout


def test_a_model_without_epochs_has_no_best_one(plan, made, tmp_path):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1)
    run_missing(work)
    counted = work.folder(work.rows[2], {}, 1)
    counted.write_metrics({**counted.read_metrics(), "best_epoch": -1})
    lines = report.search_table(work).splitlines()
    assert lines[-1].startswith("| Counted |") and lines[-1].endswith("| – |")


def test_seeds_that_would_be_tested_on_other_sessions_are_refused_before_any_run(
    plan, made, tmp_path
):
    """Their table would be refused after everything was trained."""
    plan.write_text(plan.read_text().replace("split_seed: 2020, ", ""))
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=2)
    with pytest.raises(SettingError, match=r"split_seed is empty.*each of the 2 seeds"):
        run_missing(work)
    assert not made and not (tmp_path / "runs").exists()
    for given, seeds in (({}, 1), ({"split": "session_end"}, 2), ({"split_seed": 1}, 2)):
        check(Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", given, seeds))


def test_metrics_of_another_plan_are_refused_in_a_line(plan, made, tmp_path):
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1)
    run_missing(work)
    folder = work.folder(work.rows[2], {}, 1)
    metrics: dict[str, Any]
    for metrics in ({}, {"valid": {}}, {"valid": {"hit@1": {"mean": 0.5}}}):
        folder.write_metrics(metrics)
        with pytest.raises(SettingError, match=r"metrics\.json has no ndcg@20 of validation"):
            report.search_table(work)
    folder.write_metrics({"valid": {"ndcg@20": {"mean": 0.5}}})
    assert report.still_improving_line(work) and report.search_table(work).endswith("| – |")


def test_the_logging_policy_is_picked_by_its_likelihood_and_the_others_by_theirs(
    plan, made, tmp_path
):
    plan.write_text(plan.read_text().replace(", valid_metric: ndcg@20", ""))
    work = Sweep(read_plan(str(plan)), "shop", tmp_path / "runs", {}, seeds=1)
    policies, mu, _ = work.rows
    assert [str(work.criterion(row)) for row in work.rows] == [
        "reward_weighted_ndcg@20", "nll", "reward_weighted_ndcg@20",
    ]  # fmt: skip
    for row, name, means in (
        (policies, "reward_weighted_ndcg@20", (0.4, 0.5)), (mu, "nll", (3.0, 2.0)),
    ):  # fmt: skip
        for settings, mean in zip(row.tries, means, strict=True):
            found = {"mean": mean, "stderr": 0.1, "count": 4}
            make_run(work.folder(row, settings, 1).path, [1, 2], row.model, **settings)
            work.folder(row, settings, 1).write_metrics({"valid": {name: found}})
    assert work.best(policies) == {"beta": 0.5} and work.best(mu) == {"learning_rate": 0.2}
    head, *_ = report.search_table(work).splitlines()
    assert head.startswith("| policy | tried | reward_weighted_ndcg@20 | nll | purchase")
    worst = work.folder(mu, mu.tries[1], 1)
    worst.metrics.unlink()
    diverged(worst).write_text("the loss is nan")
    assert work.score(mu, mu.tries[1]) == float("inf")
    assert work.best(mu) == {"learning_rate": 0.1}
    diverged(work.folder(mu, mu.tries[0], 1)).write_text("the loss is nan")
    assert work.best(mu) is None
