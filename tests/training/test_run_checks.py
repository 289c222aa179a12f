"""Rewards below zero: used where they make sense, refused before training where they do not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recbole_lpi.evaluation import Metric
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config, run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_checks import check_rewards
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole

SHIFTED = {"buys": -1.0, "clicks": -5.0}
NOTHING = {"buys": 0.0, "clicks": 0.0}
MIXED = {"buys": 1.0, "clicks": -1.0}
# What is trained on each: a multiple of the reward must have some above 0.
MULTIPLES = {"RewardWeighted", "PG", "IPS", "IPSPG", "TopKIPS", "SAC"}


def reward(log: Path, buys: float, clicks: float) -> None:
    text = log.read_text()
    log.write_text(
        text.replace("purchase\t1.0", f"purchase\t{buys}").replace("click\t0.2", f"click\t{clicks}")
    )


def parts(**given: object) -> list[PolicyDataset]:
    return PolicyDataset(make_config("LPI", "shop", (), {**SMALL, **given})).build()


@pytest.mark.parametrize("rewards", [SHIFTED, NOTHING])
def test_multiples_of_rewards_that_are_never_above_0_are_refused(log, rewards):
    reward(log, **rewards)
    train, valid, _ = parts()
    refused = set()
    for name, objective in OBJECTIVES.items():
        try:
            check_rewards(name, objective, train, valid, Metric.parse("ndcg@3"))
        except SettingError as error:
            refused.add(name)
            assert f"shop: {name} weighs an event by its reward, and none" in str(error)
    assert refused == MULTIPLES
    check_rewards("GRU4Rec", None, train, valid, Metric.parse("ndcg@3"))


def test_a_bound_that_holds_above_0_is_refused_below_it(log):
    reward(log, **MIXED)
    train, valid, _ = parts()
    for name, objective in OBJECTIVES.items():
        if name != "RewardWeighted":
            check_rewards(name, objective, train, valid, Metric.parse("average_reward@3"))
    with pytest.raises(SettingError, match=r"RewardWeighted bounds .* lowest of training is -1"):
        check_rewards(
            "RewardWeighted", OBJECTIVES["RewardWeighted"], train, valid, Metric.parse("ndcg@3")
        )


def test_an_epoch_is_not_picked_by_rewards_that_are_never_above_0(log):
    reward(log, **SHIFTED)
    train, valid, _ = parts()
    with pytest.raises(
        SettingError, match="average_reward@3 picks the best epoch, and the highest"
    ):
        check_rewards("LPI", OBJECTIVES["LPI"], train, valid, Metric.parse("average_reward@3"))
    check_rewards("LPI", OBJECTIVES["LPI"], train, None, Metric.parse("average_reward@3"))


def test_a_run_is_refused_before_it_is_trained(log):
    reward(log, **SHIFTED)
    for name in ("RewardWeighted", "IPS"):
        with pytest.raises(SettingError, match=f"{name} weighs an event by its reward"):
            run(name, "shop", (), {**SMALL, "run_dir": "runs/a"})
    assert not list(Path("runs").glob("a")) and not Path("runs/logging_policy").exists()


def test_the_largest_reward_is_of_what_is_trained_on_even_below_0(log):
    """Of LPI's weight exp((r − max r)/β) the largest is 1, wherever the rewards lie."""
    reward(log, **SHIFTED)
    train = parts()[0]
    assert train.max_reward == -1.0
    rewards = train.sessions.rewards.copy()
    long = int(np.argmax(train.part.stop - train.part.start))
    rewards[train.part.start[long] + 1] = 9.0  # an event that the last window leaves out
    cut = parts(MAX_ITEM_LIST_LENGTH=2, training_windows="last")[0]
    cut.sessions = type(cut.sessions)(**{**vars(cut.sessions), "rewards": rewards})
    assert cut.max_reward == -1.0


def test_rewards_below_0_are_told_of(log, caplog):
    parts()
    assert "below 0" not in caplog.text
    reward(log, **MIXED)
    parts()
    clicks = log.read_text().count("\tclick\t")
    assert f"{clicks} of {log.read_text().count(chr(10)) - 1} rewards are below 0" in caplog.text
