"""Figures of runs: the tables they are drawn from, by hand, and that they are drawn."""

import math

import numpy as np
import polars as pl
import pytest
from scipy import stats

from recbole_lpi.experiments.run_figures import (
    calibration,
    counts,
    divergence,
    hyperparameters,
    learning,
    style,
    weights,
)
from recbole_lpi.experiments.run_figures.named_policies import named_policies
from recbole_lpi.experiments.sweep import Sweep
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.tensorboard import TensorBoard

HEADER = b"\x89PNG"


def drawn(figure, path):
    figure.savefig(path)
    assert path.read_bytes().startswith(HEADER)


def ndcg(*ranks):
    return np.array([1 / math.log2(rank + 1) for rank in ranks])


def test_counts_are_means_of_sessions_first_then_of_buckets(made, tmp_path):
    kinds = ["click", "click", "click", "purchase", "click", "purchase"]
    a, b = (1, 3, 1, 2, 7, 1), (2, 3, 3, 3, 3, 3)
    policies = named_policies([made("a", a, kinds=kinds), made("b", b, "SQN", kinds)])
    found = counts.table(policies, bounds=[1, 4])
    of_a = found.filter((pl.col("kind") == "click") & (pl.col("policy") == "LPIRL"))
    assert of_a["events"].to_list() == ["1", "2 to 4"] and of_a["sessions"].to_list() == [2, 1]
    one, two = ndcg(1, 7), ndcg(1, 3).mean()
    np.testing.assert_allclose(of_a["ndcg"], [one.mean(), two])
    assert of_a["stderr"][0] == pytest.approx(one.std(ddof=1) / math.sqrt(2))
    best = found.filter((pl.col("kind") == "purchase") & pl.col("p").is_not_null())
    assert best["policy"].to_list() == ["LPIRL"]
    assert best["p"][0] == pytest.approx(stats.ttest_rel(ndcg(2, 1), ndcg(3, 3)).pvalue)
    drawn(counts.draw(found, 20, "shop $1"), tmp_path / "f.png")


def test_counts_pool_the_seeds_of_a_policy(made):
    runs = [made(f"s{n}", (n, 3, n, 2), seed=n) for n in (1, 2)] + [made("b", (3, 3, 3, 3), "SQN")]
    found = counts.table(named_policies(runs))
    own = found.filter((pl.col("policy") == "LPIRL") & (pl.col("kind") == "click"))
    assert own["ndcg"][0] == pytest.approx(ndcg(1, 2).mean())
    assert own["stderr"][0] > 0  # of the seeds alone: both sessions have the same ranks


@pytest.mark.parametrize("bounds", [[5, 5], [10, 5], [0, 3]])
def test_bounds_that_do_not_ascend_are_refused(made, bounds):
    with pytest.raises(SettingError, match="--bounds must be"):
        counts.table(named_policies([made("a", (1, 2))]), bounds=bounds)


def test_divergence_is_by_length_and_by_history(made, tmp_path):
    policies = named_policies([made("a", (1, 2, 3, 4), mu=-2.0), made("k", (1, 2, 3, 4), "SQN")])
    found = divergence.table(policies)
    assert found["policy"].unique().to_list() == ["LPIRL"]
    rows = found.select("by", "from", "to", "events").rows()
    assert rows == [("length", 3, 3, 4), ("history", 1, 1, 2), ("history", 2, 2, 2)]
    np.testing.assert_allclose(found["js"], 0.2, rtol=1e-6)
    drawn(divergence.draw(found, "shop"), tmp_path / "f.png")
    with pytest.raises(SettingError, match="--logging_policy=auto"):
        divergence.table(policies[1:])


def test_learning_reads_what_tensorboard_has_the_later_of_two(made, tmp_path):
    run = RunFolder(made("a", (1, 2), valid_metric="NDCG@20"))
    run.write_metrics({"model": "LPIRL", "best_epoch": 1})
    board = TensorBoard()
    board.begin(run, {})
    for epoch, loss in ((0, 3.0), (1, 2.0), (1, 1.5)):
        board.epoch(epoch, {"train/policy loss": loss, "valid/ndcg@20": 0.1 * epoch})
    policies = named_policies(["a"])
    found = learning.table(policies)
    own = found.filter(pl.col("name") == "policy loss").sort("epoch")
    assert own["value"].to_list() == [3.0, 1.5] and own["best"].to_list() == [False, True]
    assert learning.shown(policies, found) == [("train", "policy loss"), ("valid", "ndcg@20")]
    drawn(learning.draw(policies, found, "shop"), tmp_path / "f.png")
    with pytest.raises(SettingError, match="nothing was trained"):
        learning.table(named_policies([made("b", (1, 2))]))


EVENTS = pl.DataFrame(
    {
        "policy": ["LPI"] * 4, "seed": ["1"] * 4, "session": [0, 0, 1, 1],
        "kind": ["purchase", "click", "click", "click"], "weight": [6.0, 1.0, 2.0, 1.0],
        "value": [0.9, 0.1, 0.2, 0.8], "return": [1.0, 0.0, 0.5, 0.5],
    }
)  # fmt: skip


def test_weights_say_what_the_heaviest_have(tmp_path):
    found = weights.table(EVENTS)
    half = found.filter((pl.col("kind") == "all") & (pl.col("heaviest") == 0.5))
    assert half["share_of_weight"].item() == 0.8 and half["least_weight"].item() == 2.0
    assert half["effective_fraction"].item() == pytest.approx(100 / (4 * 42))
    bought = found.filter(pl.col("kind") == "purchase")
    assert bought["share_of_all_weight"][0] == 0.6 and bought["share_of_events"][0] == 0.25
    drawn(weights.draw(found, "shop"), tmp_path / "f.png")


def test_calibration_bins_as_many_events_each(tmp_path):
    found = calibration.table(EVENTS, bins=2)
    np.testing.assert_allclose(found["value"], [0.15, 0.85])
    np.testing.assert_allclose(found["return"], [0.25, 0.75])
    drawn(calibration.draw(found, "shop"), tmp_path / "f.png")
    with pytest.raises(SettingError, match="learns a value"):
        calibration.table(EVENTS.with_columns(value=pl.lit(math.nan)))


PLAN = """
shared: {split_seed: 2020}
reference: LoggingPolicy
rows:
  LoggingPolicy: {}
  LPIRL: {}
  far: {model: LPIRL, fixed: {beta: 0.1}}
  both: {model: LPIRL, fixed: {beta: 0.1, td_weight: 3.0}}
"""


@pytest.fixture
def sweep(tmp_path):
    from recbole_lpi.experiments.plans import read_plan

    (tmp_path / "plan.yaml").write_text(PLAN)
    return Sweep(read_plan(str(tmp_path / "plan.yaml")), "shop", tmp_path / "runs", {}, 2)


def finish(sweep, row, *means):
    (found,) = (each for each in sweep.rows if each.name == row)
    for seed, mean in enumerate(means, 1):
        folder = sweep.folder(found, {}, seed)
        folder.path.mkdir(parents=True)
        estimate = {"mean": mean, "stderr": 0.3, "count": 9}
        names = (*hyperparameters.METRICS, "nll", "reward_weighted_ndcg@20")
        folder.write_metrics({"valid": dict.fromkeys(names, estimate)})


def test_hyperparameters_stand_under_the_setting_they_differ_in(sweep, tmp_path):
    for row in ("LoggingPolicy", "LPIRL", "both"):
        finish(sweep, row, 0.5, 0.5)
    with pytest.raises(SettingError, match="two values of beta or of td_weight"):
        hyperparameters.table(sweep)
    finish(sweep, "far", 0.2, 0.6)
    found = hyperparameters.table(sweep)
    where = found.select("setting", "value").unique(maintain_order=True).rows()
    assert where == [("beta", 0.1), ("beta", 0.3), ("td_weight", 1.0)]
    far = found.filter(pl.col("value") == 0.1)
    np.testing.assert_allclose(far["mean"], 0.4)
    np.testing.assert_allclose(far["stderr"], math.sqrt(0.09 + 0.08 / 2))
    drawn(hyperparameters.draw(found, "shop", 0.1), tmp_path / "f.png")


def test_names_of_lines_that_end_together_are_moved_apart():
    order, places = style._apart([0.5, 0.5, 0.99, 0.98], [1, 2, 1, 1])
    assert sorted(order) == [0, 1, 2, 3]
    assert (np.diff(places) >= style.LINE - 1e-9).all() and max(places) <= 1
