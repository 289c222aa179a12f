"""The peers' shared protocol by hand, and the two adapters that need no other environment."""

import json
import math

import numpy as np
import polars as pl
import pytest
import torch

from benchmarks import time_to_quality
from benchmarks.peers import ours, protocol, recbole_sasrec

ITEMS = 12


def write_log(path, sessions=60, length=6):
    """Sessions in which item i is always followed by i + 1."""
    rng = np.random.default_rng(0)
    item = (rng.integers(ITEMS, size=(sessions, 1)) + np.arange(length)) % ITEMS
    part = np.repeat([0, 1, 2], [sessions - 20, 10, 10])
    frame = pl.DataFrame(
        {
            "part": np.repeat(part, length),
            "session": np.repeat(np.arange(sessions), length),
            "item": item.ravel(),
            "event": "click",
            "reward": 0.2,
        }
    )
    frame = time_to_quality.numbered(frame)
    frame.write_parquet(path)
    return frame


def test_items_are_numbered_as_training_first_shows_them():
    events = pl.DataFrame({"part": [0, 0, 0, 1, 1, 2], "item": [7, 3, 7, 9, 3, 7]})
    found = time_to_quality.numbered(events)
    assert found["item"].to_list() == [1, 2, 1, 2, 1]  # 9 is never trained on
    assert found["part"].to_list() == [0, 0, 0, 1, 2]


def held(length, most=100):
    frame = pl.DataFrame(
        {"part": [0, 0, 1, 1, 1, 1, 1, 2], "session": [0, 0, 4, 4, 4, 4, 5, 6],
         "item": [1, 2, 2, 1, 3, 1, 2, 3]}
    )  # fmt: skip
    return protocol.Held.of(protocol.Log(frame, 3), "valid", length, most)


def test_held_out_events_have_the_most_recent_items_before_them():
    found = held(length=2)
    assert found.history.tolist() == [[2, 0], [2, 1], [1, 3]]
    assert found.length.tolist() == [1, 2, 2]
    assert found.target.tolist() == [1, 3, 1]
    assert found.session.tolist() == [4, 4, 4]
    assert protocol.left_padded(found.history, found.length).tolist() == [[0, 2], [2, 1], [1, 3]]


def test_the_sample_of_held_out_events_is_always_the_same():
    one, again = held(3, most=2), held(3, most=2)
    assert len(one.target) == 2
    assert one.history.tolist() == again.history.tolist()


def test_ranks_and_what_is_made_of_them():
    scores = torch.tensor([[0.0, 1.0, 2.0], [1.0, 1.0, 0.0], [5.0, 0.0, -math.inf]])
    rank = protocol.ranks(lambda history, length: scores, held(2))
    assert rank.tolist() == [3, 3, 1]
    assert protocol.ndcg(np.array([1, 1.5, 10, 11])).tolist() == [
        1, 1 / math.log2(2.5), 1 / math.log2(11), 0
    ]  # fmt: skip
    # Sessions sum to 0.5 and 0.5 around the mean 0.5: √(2/1 · (0.5² + 0.5²)) / 3.
    mean, error = protocol.mean_and_error(np.array([1.0, 0.0, 0.5]), np.array([3, 8, 3]))
    assert [mean, error] == pytest.approx([0.5, 1 / 3])


@pytest.mark.parametrize(
    "adapter, model, batch", [(ours, "LoggingPolicy", 8), (recbole_sasrec, "SASRec", 40)]
)
def test_an_adapter_learns_the_chain_and_ranks_the_same_events(
    adapter, model, batch, tmp_path, monkeypatch
):
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    frame = write_log(tmp_path / "events.parquet")
    run = tmp_path / "run"
    run.mkdir()
    settings = protocol.Settings(
        str(tmp_path / "events.parquet"), model, batch, 0.01, layers=1, heads=1, hidden=16,
        inner=16, dropout=0.0, length=5, budget=60, patience=2,
    )  # fmt: skip
    (run / "settings.json").write_text(json.dumps(vars(settings)))
    adapter.main(run)
    epochs = pl.read_ndjson(run / "epochs.jsonl")
    assert epochs["epoch"].to_list() == list(range(1, len(epochs) + 1))
    assert (epochs["cpu"].diff().drop_nulls() > 0).all()
    assert epochs["ndcg@10"].max() == 1.0
    test = pl.read_parquet(run / "test.parquet")
    assert (test["rank"] == 1).all()
    tested = frame.filter(pl.col("part") == 2)
    assert len(test) == len(tested) - tested["session"].n_unique()
    assert json.loads((run / "finished.json").read_text())["ended"] == "no better epoch"


def write_run(folder, name, seed, scores, test=None):
    run = folder / name / str(seed)
    run.mkdir(parents=True)
    lines = [
        {"epoch": i, "cpu": 2.0 * i, "wall": 3.0 * i, "ndcg@10": score, "se": 0.01}
        for i, score in enumerate(scores, 1)
    ]
    (run / "epochs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    settings = protocol.Settings("", name, 8, 0.01, seed=seed)
    (run / "settings.json").write_text(json.dumps(vars(settings)))
    if test is not None:
        pl.DataFrame({"session": [0, 0, 1], "rank": test}).write_parquet(run / "test.parquet")
        found = {"setup_cpu": 1.0, "setup_wall": 2.0, "versions": {"torch": "2"}}
        (run / "finished.json").write_text(json.dumps(found))


def reported(tmp_path, capsys, **given):
    write_log(tmp_path / "chain" / "events.parquet")
    time_to_quality.report("chain", tmp_path, **given)
    lines = capsys.readouterr().out.split("\n")
    return {row[0].strip("| "): row[1:] for row in (line.split(" | ") for line in lines)}


def test_the_report_says_when_each_reaches_the_share_of_the_best(tmp_path, capsys):
    folder = tmp_path / "chain"
    write_run(folder, "LoggingPolicy", 1, [0.1, 0.4])
    write_run(folder, "RecBole", 1, [0.3, 0.2, 0.2])
    curve = tmp_path / "curve.svg"
    rows = reported(tmp_path, capsys, share=0.7, figure=curve, clock="wall")
    assert rows["LoggingPolicy"][:6] == ["1", "8", "0.01", "2 (2)", "3.00", "6.0"]
    assert rows["RecBole"][:6] == ["1", "8", "0.01", "3 (1)", "3.00", "3.0"]
    assert rows["RecBole"][-2:] == ["not finished", "– |"]
    assert curve.read_text().startswith("<?xml")


def test_seeds_are_pooled(tmp_path, capsys):
    folder = tmp_path / "chain"
    for seed, scores in ((1, [0.1, 0.4]), (2, [0.2, 0.2]), (3, [0.3])):
        write_run(folder, "LoggingPolicy", seed, scores, [1, 1, 11])
    write_run(folder, "RePlay", 1, [0.1, 0.1, 0.31], [11, 1, 1])
    write_run(folder, "RePlay", 2, [0.3, 0.1], [11, 11, 11])
    # The best: 0.305 by RePlay, 0.3 by LoggingPolicy, means over seeds; 99 % of it is 0.302.
    rows = reported(tmp_path, capsys)
    ours, replay = rows["LoggingPolicy"], rows["RePlay"]
    assert ours[0] == "3" and ours[3] == "2 (2) 2 (1) 1 (1)"
    assert ours[5] == "– (1 of 3)"
    assert replay[5] == "– (1 of 2)"
    # One run's error and the spread of seeds: of 0.4, 0.2 and 0.3 the variance is 0.01.
    assert ours[7] == f"0.3000 ± {math.sqrt(0.01**2 + 0.01 / 3):.4f}"
    assert replay[7] == f"0.3050 ± {math.sqrt(0.01**2 + 0.005**2):.4f}"
    # Of events 1, 1, 0 by every seed, session 0 has 2 of 2 and session 1 none of 1.
    assert ours[8] == f"0.6667 ± {math.sqrt(2 * 2 * (2 / 3) ** 2) / 3:.4f}" and ours[9] == "– |"
    # Less that of seeds 1 and 2: −1, 0, 1 and −1, −1, 0 by event, on average 0 and −2/3.
    _, error = protocol.mean_and_error(np.array([-1, -0.5, 0.5]), np.array([0, 0, 1]))
    assert replay[9] == f"{-1 / 3:+.4f} ± {math.sqrt(error**2 + (2 / 9) / 2):.4f} |"
    rows = reported(tmp_path, capsys, share=0.6)  # of 0.305
    assert rows["LoggingPolicy"][5] == "2.0"  # of 4, 2 and 2 seconds
    assert rows["RePlay"][5] == "4.0"  # of 6 and 2


@pytest.mark.parametrize(("seed", "own"), [(1, {"batch": 9}), (2, {})])
def test_runs_that_cannot_be_compared_are_refused(tmp_path, seed, own):
    folder = tmp_path / "chain"
    write_run(folder, "LoggingPolicy", 1, [0.1], [1, 1, 1])
    write_run(folder, "RePlay", 1, [0.1], [1, 1, 1])
    run = folder / "RePlay" / "1"
    if own:
        write_run(folder, "RePlay", 2, [0.1])
        settings = json.loads((run / "settings.json").read_text())
        (run / "settings.json").write_text(json.dumps({**settings, **own}))
    else:
        pl.DataFrame({"session": [0, 1, 1], "rank": [1, 1, 1]}).write_parquet(run / "test.parquet")
    write_log(folder / "events.parquet")
    with pytest.raises(SystemExit, match="batch is 9 in one run and 8" if own else "different ev"):
        time_to_quality.report("chain", tmp_path)


def test_a_seed_is_of_all_peers(tmp_path):
    write_run(tmp_path / "chain", "LoggingPolicy", 1, [0.1])
    write_log(tmp_path / "chain" / "events.parquet")
    with pytest.raises(SystemExit, match="unknown settings seed"):
        time_to_quality.run("chain", output=tmp_path, given="{LoggingPolicy: {seed: 7}}")
