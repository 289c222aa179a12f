"""The benchmark of false stars: what it trains, what it refuses, and what it counts."""

import numpy as np
import pytest

from benchmarks import seed_null
from recbole_lpi.evaluation.scores import SessionScore
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from tests.support.finished_runs import make_run

GIVEN = {"split_seed": 2020}


def made_up(runs, of_seed, of_both, sessions=300):
    """Runs of one policy whose values have these standard deviations, beside that of sessions."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=sessions) + of_seed * rng.normal(size=(runs, 1))
    values = values + of_both * rng.normal(size=(runs, sessions))
    return [SessionScore(v.mean(), sessions, (v - v.mean()) / sessions) for v in values]


def test_where_seeds_decide_sessions_alone_star_too_many_and_seeds_as_many_as_they_say():
    text = seed_null.report({"click_ndcg@20": made_up(24, 0.05, 0.2)}, group=3, pairs=300)
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| click")]
    assert [row[3] for row in rows] == ["sessions", "sessions and seeds"]
    old, new = (float(row[4].rstrip("%")) for row in rows)
    assert old > 30 and 1 <= new <= 7
    assert text.startswith("24 runs; 300 random pairs of disjoint groups of 3.")


def test_pairs_are_of_disjoint_groups():
    pairs = seed_null.draw(9, 4, 200, np.random.default_rng(0))
    assert pairs.shape == (200, 2, 4) and pairs.max() == 8
    assert all(len(set(pair.ravel())) == 8 for pair in pairs)
    with pytest.raises(SettingError, match="need 10 runs, and 9 finished"):
        seed_null.draw(9, 5, 1, np.random.default_rng(0))


@pytest.fixture
def trained(monkeypatch, tmp_path):
    """Runs that leave their files without training, and what each was given."""
    calls = []

    def run(model=None, dataset=None, files=(), config_dict=None):
        calls.append(config_dict)
        if "resume" in config_dict:
            RunFolder(config_dict["resume"]).write_metrics({})
            return
        given = {**config_dict, "dataset": dataset}
        ranks = np.random.default_rng(given["seed"]).integers(1, 30, 40).tolist()
        make_run(tmp_path / "pool" / f"seed-{given['seed']}", ranks, model, **{
            key: value for key, value in given.items() if key != "run_dir"
        })  # fmt: skip

    monkeypatch.setattr(seed_null, "run", run)
    return calls


def test_only_what_lacks_is_trained_and_what_broke_off_goes_on(trained, tmp_path):
    pool = tmp_path / "pool"
    seed_null.train(pool, 6, "LoggingPolicy", "shop", GIVEN)
    assert [call["seed"] for call in trained] == [1, 2, 3, 4, 5, 6]
    assert all(call["split_seed"] == 2020 for call in trained)
    (pool / "seed-4" / "metrics.json").unlink()
    seed_null.train(pool, 7, "LoggingPolicy", "shop", GIVEN)
    assert trained[6] == {"resume": str(pool / "seed-4")} and trained[7]["seed"] == 7
    scores = seed_null.scores_of(pool, seed_null.METRICS)
    assert [len(of) for of in scores.values()] == [7, 7]
    assert "7 runs; 200 random pairs" in seed_null.report(scores, group=3, pairs=200)


def test_seeds_on_their_own_splits_and_other_policies_are_refused(trained, tmp_path):
    with pytest.raises(SettingError, match="must name a split_seed"):
        seed_null.train(tmp_path / "pool", 6, "LoggingPolicy", "shop", {})
    seed_null.train(tmp_path / "pool", 2, "LoggingPolicy", "shop", GIVEN)
    make_run(tmp_path / "pool" / "seed-3", [1] * 40, "LoggingPolicy", dataset="shop", beta=7.0)
    with pytest.raises(SettingError, match=r"seed-3 and .*seed-1 differ in more than"):
        seed_null.scores_of(tmp_path / "pool", seed_null.METRICS)
