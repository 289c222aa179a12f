"""The command ``estimate``, from a table to what its folder holds."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from tests.support.bandits import bandit_log


@pytest.fixture
def table(tmp_path):
    """Write a log of a policy that mixes π with μ; columns can be changed."""

    def write(name="near", folder=tmp_path, **changed):
        log = bandit_log(4000)
        log.pi = 0.2 * log.pi + 0.8 * log.mu
        events = log.events()
        columns = {
            "session_id": [f"s{i}" for i in events.session], "position": events.position,
            "reward": events.reward, "log_pi": events.log_pi, "log_mu": events.log_mu, **changed,
        }  # fmt: skip
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.parquet"
        pl.DataFrame({k: v for k, v in columns.items() if v is not None}).write_parquet(path)
        return path

    return write


def ran(*arguments):
    return CliRunner().invoke(app, ["estimate", *map(str, arguments)], env={"COLUMNS": "100"})


def test_what_it_prints_and_writes(table, tmp_path):
    paths = [table(), table("own", log_pi=bandit_log(4000).events().log_mu)]
    output = tmp_path / "out"
    result = ran("--events", paths[0], "--events", paths[1], "--output", output)
    assert result.exit_code == 0, result.output
    for said in ("near", "own", "SNIPS", "usable", "Δ-SNIPS", "Lower bounds", "not made"):
        assert said in result.output
    written = json.loads((output / "estimates.json").read_text())
    near = written["policies"]["near"]
    assert near["estimates"]["snips"]["verdict"] == "usable"
    assert near["estimates"]["snips"]["t"]["low"] < near["estimates"]["snips"]["value"]
    assert near["not_made"]["dr"] == "the table has no q, v_pi"
    assert near["lower_bounds"]["logarithmic"] < near["estimates"]["ips"]["value"]
    own = written["policies"]["own"]["estimates"]["delta_snips"]
    assert (own["value"], own["stderr"], own["verdict"]) == (0, 0, "usable")
    weights = pl.read_parquet(output / "weights.parquet")
    assert weights.columns == ["policy", "session_id", "position", "weight"]
    of_own = weights.filter(pl.col("policy") == "own")
    assert len(of_own) == 4000 and of_own["weight"].to_numpy() == pytest.approx(np.ones(4000))
    figure = (output / "forest.svg").read_text()
    assert "near: value per event" in figure and "log: " in figure


def test_settings_follow(table, tmp_path):
    result = ran(
        "--events", table(), "--output", tmp_path / "out", "--min_effective=1e9", "--level=0.9",
        "--estimators=[ips,snips]", "--clip=5",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "estimates.json").read_text())
    assert written["settings"]["terms"]["clip"] == 5
    assert written["settings"]["level"] == 0.9
    found = written["policies"]["near"]["estimates"]
    assert [row["verdict"] for row in found.values()] == ["refused", "refused"]
    assert list(found) == ["ips", "snips"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--min_efective=5"], "unknown setting --min_efective; did you mean 'min_effective'?"),
        (["--level=2"], "level must be between 0 and 1, got 2"),
        (["--clip=0"], "clip must be > 0"),
        (["--estimators=[ipz]"], "estimators: 'ipz' is none of ips, clipped_ips"),
        (["--largest_reward=0.5"], "largest_reward is 0.5, and the log has a reward of 1.0"),
    ],
)
def test_wrong_settings_are_one_line(table, tmp_path, more, said):
    result = ran("--events", table(), "--output", tmp_path / "out", *more)
    assert result.exit_code == 2
    assert said in result.output
    assert not (tmp_path / "out" / "weights.parquet").exists()


def test_files_that_cannot_be_policies(table, tmp_path):
    assert (
        "name the folder of a run, or --events=FILE.parquet"
        in ran("--output", tmp_path / "out").output
    )
    path = table(log_mu=None)
    result = ran("--events", path, "--output", tmp_path / "out")
    assert result.exit_code == 2 and "no column log_mu" in result.output
    result = ran("--events", path, "--events", path, "--output", tmp_path / "out")
    assert "two --events files have the same name" in result.output
    result = ran("--events", table(), "--output", path)
    assert result.exit_code == 2 and "is a file: give a folder" in result.output


def test_files_of_one_name_are_called_by_their_folders(table, tmp_path):
    paths = [table("events", tmp_path / name) for name in ("first", "second")]
    output = tmp_path / "out"
    assert ran("--events", paths[0], "--events", paths[1], "--output", output).exit_code == 0
    assert list(json.loads((output / "estimates.json").read_text())["policies"]) == [
        "first", "second",
    ]  # fmt: skip


def test_a_log_of_engaged_items_says_what_a_number_can_mean(table, tmp_path):
    result = ran("--events", table(reward=np.ones(4000)), "--output", tmp_path / "out")
    assert result.exit_code == 0
    assert "a log of engaged items only" in " ".join(result.output.split())
    written = json.loads((tmp_path / "out" / "estimates.json").read_text())["policies"]["near"]
    assert {row["verdict"] for row in written["estimates"].values()} == {"refused"}


def test_a_mu_that_nobody_knows_gives_no_estimate(table, tmp_path):
    unknown = pl.Series([None] * 4000, dtype=pl.Float64)
    result = ran("--events", table(log_mu=unknown), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "log μ of the logged items is not known" in " ".join(result.output.split())
    written = json.loads((tmp_path / "out" / "estimates.json").read_text())
    assert not written["policies"]["near"]["estimates"]
    assert not len(pl.read_parquet(tmp_path / "out" / "weights.parquet"))


def test_a_mu_that_is_too_small_gives_no_bound(table, tmp_path):
    log = bandit_log(4000).events()
    far = np.where(np.arange(4000) % 50, log.log_mu, log.log_mu - 12)  # a few weights are huge
    result = ran("--events", table(log_mu=far), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "No lower bounds: μ is wrong" in result.output
    found = json.loads((tmp_path / "out" / "estimates.json").read_text())["policies"]["near"]
    assert found["lower_bounds"]["improvement"] is None
    assert "μ is wrong" in " ".join(found["estimates"]["ips"]["reasons"])


def test_a_policy_that_takes_nothing_of_the_log_is_refused(table, tmp_path):
    result = ran("--events", table(log_pi=np.full(4000, -np.inf)), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "usable" not in result.output
    assert "mean weight 0" in result.output


@pytest.mark.parametrize(
    "column", [{"session_id": ["s"] * 4000, "position": np.arange(4000)}, {"reward": [0.0] * 4000}]
)
def test_a_log_of_one_session_and_one_without_rewards_are_refused(table, tmp_path, column):
    result = ran("--events", table(**column), "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    found = json.loads((tmp_path / "out" / "estimates.json").read_text())["policies"]["near"]
    assert {row["verdict"] for row in found["estimates"].values()} == {"refused"}


def test_it_needs_neither_torch_nor_recbole(table, tmp_path):
    script = (
        "import sys; from recbole_lpi.cli.app import app; "
        "app(sys.argv[1:], standalone_mode=False); "
        "print([name for name in ('torch', 'recbole', 'pandas') if name in sys.modules])"
    )
    command = [
        sys.executable, "-c", script, "estimate", "--events", table(), "--output", tmp_path / "out",
    ]  # fmt: skip
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_runs_are_policies_by_their_folders(table, tmp_path):
    run = table("events", tmp_path / "first").parent
    output = tmp_path / "out"
    result = ran(run, "--output", output, "--clip=7", "--estimators=ips")
    assert result.exit_code == 0, result.output
    written = json.loads((output / "estimates.json").read_text())
    assert list(written["policies"]) == [str(run)]
    assert "add --values" in result.output
    assert "a run is given twice" in ran(run, run, "--output", output).output
    assert "is no run folder" in ran(tmp_path / "gone", "--output", output).output
    assert "has no events.parquet" in ran(tmp_path, "--output", output).output


def test_propensities_as_logged_take_the_place_of_estimates(table, tmp_path):
    plain, output = pl.read_parquet(table()), tmp_path / "out"
    logged = table(log_mu=plain["log_mu"] - 1, log_propensity=plain["log_mu"])
    values = {}
    for source in ("logged", "estimated"):
        result = ran("--events", logged, "--output", output, f"--propensity={source}")
        assert result.exit_code == 0, result.output
        written = json.loads((output / "estimates.json").read_text())["policies"]
        (found,) = written.values()
        values[source] = found["estimates"]["ips"]["value"]
    assert values["estimated"] == pytest.approx(np.e * values["logged"])
