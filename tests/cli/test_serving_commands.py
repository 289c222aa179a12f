"""recommend and export from the command line: what they write, say and refuse."""

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.serving import load_onnx, load_policy
from tests.support.served import histories, kept, network


def call(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, " ".join(done.output.split())


@pytest.fixture
def run(tmp_path):
    """A run's folder with sessions it was evaluated on, and a log beside it."""
    folder = kept(network(), tmp_path / "run")
    rows = [
        (f"s{number}", place, *event)
        for number, history in enumerate([*histories(), [("gone", "click", 1.0)]])
        for place, event in enumerate(history)
    ]
    named = ["session_id", "position", "item_id", "event", "timestamp"]
    frame = pl.DataFrame(rows, schema=named, orient="row")
    frame.drop("timestamp").write_parquet(folder / "events.parquet")
    frame.write_csv(tmp_path / "log.csv")
    return folder


def test_recommend_writes_and_says_what_became_of_the_sessions(run, tmp_path):
    log, output = tmp_path / "log.csv", tmp_path / "found.parquet"
    (tmp_path / "few.txt").write_text("item 3\n\nitem 4\nitem 5\n")
    status, said = call("recommend", run, "--input", log, "--output", output, "-k", 2,
                        "--candidates", tmp_path / "few.txt", "--exclude_seen")  # fmt: skip
    assert status == 0, said
    assert "40 sessions" in said and "1 events of unknown items skipped" in said
    assert "1 sessions left out that have no known item" in said and f"wrote {output}" in said
    found = pl.read_parquet(output)
    wanted = load_policy(run).recommend(
        histories(), 2, exclude_seen=True, candidates=["item 3", "item 4", "item 5"]
    )
    assert found["item_id"].to_list() == wanted.table()["item_id"].to_list()
    status, said = call("recommend", run, "--input", log, "--output", output, "-k", 3, "--sample",
                        "--seed", 4)  # fmt: skip
    assert status == 0, said
    drawn = load_policy(run).recommend(histories(), 3, sample=True, seed=4).table()
    assert pl.read_parquet(output)["item_id"].to_list() == drawn["item_id"].to_list()


def test_export_checks_on_the_sessions_of_the_run_or_on_those_given(run, tmp_path):
    status, said = call("export", run, "-k", 5)
    assert status == 0, said
    assert "keeps no times" in said and "the lists of 40 sessions are those of the policy" in said
    assert json.loads((run / "policy.json").read_text())["k"] == 5
    ours, theirs = (load(run).recommend(histories(), 5) for load in (load_onnx, load_policy))
    assert (ours.ids == theirs.ids).mean() > 0.98
    status, said = call("export", run, "--output", tmp_path / "p.onnx", "--sessions",
                        tmp_path / "log.csv", "--check", 7)  # fmt: skip
    assert status == 0 and "the lists of 7 sessions" in said and "keeps no times" not in said
    status, said = call("recommend", tmp_path / "p.onnx", "--input", tmp_path / "log.csv",
                        "--output", tmp_path / "found.parquet")  # fmt: skip
    assert status == 0 and "40 sessions, 800 recommendations" in said


def test_what_is_wrong_is_one_line(run, tmp_path):
    log, output = tmp_path / "log.csv", tmp_path / "found.parquet"
    (tmp_path / "none.txt").write_text("\n")
    (tmp_path / "other.txt").write_text("gone\n")
    for more, wanted in (
        (["--seed", "1"], "give --sample as well"),
        (["--candidates", tmp_path / "none.txt"], "has no item: write one in each line"),
        (["--candidates", tmp_path / "other.txt"], "candidates has 'gone'"),
        (["--candidates", tmp_path / "missing"], "No such file"),
    ):
        status, said = call("recommend", run, "--input", log, "--output", output, *more)
        assert status == 2 and wanted in said and "Traceback" not in said
    status, said = call("recommend", run, "--input", log, "--output", log)
    assert status == 2 and "is the input: choose another --output" in said
    assert call("export", run, "--format=coreml")[1] == "error: format must be onnx, got 'coreml'"
    (tmp_path / "short.csv").write_text("session_id,item_id\n1,item 1\n")
    status, said = call("export", run, "--sessions", tmp_path / "short.csv")
    assert status == 2 and "the sessions to check on: the policy reads event" in said
    (run / "events.parquet").unlink()
    status, said = call("export", run)
    assert status == 2 and "has no events.parquet" in said and "give --sessions" in said
    assert not output.exists() and not list(run.glob("policy*"))
