"""``simulate`` and ``rollout`` from the command line."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.data import Reading, SessionData, Tokens, split_sessions
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.simulation import load_world, simulate
from recbole_lpi.training import RunFolder, TrainingSettings, train_policy


def call(*words):
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dataset") / "little"
    settings = ("--n_items=12", "--max_events=6", "--dimension=2")
    done = call("simulate", "--sessions=80", "--seed=2", f"--output={folder}", *settings)
    assert done.exit_code == 0, done.output
    return folder, done


def trained(folder, run, first=True):
    """A run on the log of a world, made without RecBole."""
    saved = load_world(folder)
    log = simulate(saved.world, saved.world.logging_policy, 80, saved.description.log_seed)
    reading = Reading(max_length=6, evaluate_first_event=first)
    tokens = Tokens(["[PAD]", *saved.tokens])
    data = [
        SessionData(log, part, 13, reading, "p", "little", tokens)
        for part in split_sessions(log, "random", (0.7, 0.15, 0.15), 1)
    ]
    settings = PolicySettings(
        NetworkSettings(hidden_size=4, inner_size=4), max_length=6, evaluate_first_event=first
    )
    network = PolicyNetwork("LPI", settings, 12, 1.0, event_names=log.event_names)
    how = TrainingSettings(epochs=1, metrics=("ndcg",), topk=(5,), valid_metric="ndcg@5")
    train_policy(network, data[0], data[1], how, folder=RunFolder(run))
    return run


def test_simulate_writes_a_data_set_that_is_its_world(world):
    folder, done = world
    assert sorted(path.name for path in folder.iterdir()) == [
        "little.inter", "little.yaml", "world.yaml",
    ]  # fmt: skip
    saved = load_world(folder)
    assert saved.description.sessions == 80 and saved.description.log_seed == 2
    assert (saved.world.n_items, saved.world.max_events) == (12, 6)
    lines = (folder / "little.inter").read_text().splitlines()
    assert f"80 sessions, {len(lines) - 1:,} events (" in done.output.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n_itmes=5"], "unknown setting 'n_itmes'; did you mean 'n_items'"),
        (["--leave=often"], "leave must be a number, got 'often'"),
        (["leave"], "'leave' is not --setting=value"),
        (["--world=sardine", "--exposures=all"], "unknown setting 'exposures'"),
        (["--world=sardine", "--environment=Slate"], "environment must be one of SingleItem-St"),
        (["--leave=1.5"], "leave must be in [0, 1], got 1.5"),
    ],
)
def test_simulate_refuses_in_a_line_and_writes_nothing(tmp_path, words, message):
    done = call("simulate", f"--output={tmp_path / 'x'}", *words)
    assert done.exit_code == 2 and message in done.output
    assert len(done.output.strip().splitlines()) == 1 and not list(tmp_path.iterdir())


def test_rollout_compares_runs_with_the_logging_policy(world, tmp_path):
    folder, _ = world
    one, two = trained(folder, tmp_path / "one"), trained(folder, tmp_path / "two", first=False)
    done = call(
        "rollout", one, two / "model.pth", f"--world={folder}", "--sessions=300", "--seed=1",
        f"--output={tmp_path / 'values.json'}",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "two/model.pth reads no start token" in done.output.replace("\n", "")
    found = json.loads((tmp_path / "values.json").read_text())
    assert list(found["policies"]) == [str(one), str(two / "model.pth")]
    for policy in found["policies"].values():
        gain = policy["difference"]["mean"]
        assert gain == pytest.approx(policy["mean"] - found["logging_policy"]["mean"])
        assert policy["count"] == 300 and policy["stderr"] > 0 and policy["events"] >= 1
        assert f"{policy['mean']:.4f} ± {policy['stderr']:.4f}" in done.output
        assert f"{gain:+.4f} ± {policy['difference']['stderr']:.4f}" in done.output


def test_rollout_refuses_in_a_line(world, tmp_path):
    folder, _ = world
    run, other = trained(folder, tmp_path / "run"), tmp_path / "other"
    assert call("simulate", "--sessions=9", "--seed=3", f"--output={other}").exit_code == 0
    for words, message in (
        ([run, f"--world={other}"], "does not have"),
        ([run, f"--world={tmp_path / 'none'}"], "no world at"),
        ([tmp_path / "nobody", f"--world={folder}"], "no checkpoint at"),
        ([run, run, f"--world={folder}"], "is given twice"),
    ):
        done = call("rollout", *words)
        assert done.exit_code == 2 and message in done.output, done.output
        assert len(done.output.strip().splitlines()) == 1
