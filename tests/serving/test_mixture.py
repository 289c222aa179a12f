"""A mixture of two policies draws what it says it draws, item by item and slot by slot."""

import numpy as np
import pytest
import torch
from scipy import stats

from recbole_lpi.data.tokens import PADDING, Tokens
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.serving import Mixture, Recommender
from recbole_lpi.serving.encoding import Vocabulary
from recbole_lpi.serving.saved_policies import NetworkPolicy

KINDS = ("click", "purchase")
HISTORY = [("b", "click", 1.6e9), ("d", "purchase", 1.6e9 + 5), ("z", "click", 1.6e9 + 9)]


def policy(items, seed):
    torch.manual_seed(seed)
    network = NetworkSettings(hidden_size=8, initializer_range=0.4)
    made = PolicyNetwork("LPI", PolicySettings(network), len(items), event_names=KINDS)
    return Recommender(NetworkPolicy(made), Vocabulary(Tokens([PADDING, *items]), KINDS))


LIVE, NEW = policy("abcde", 1), policy("fdba", 2)  # c and e are of one alone, f of the other


def probabilities(one):
    names = one.vocabulary.items.tolist()[1:]
    return dict(
        zip(names, np.exp(one.log_probabilities([HISTORY])[0], dtype=np.float64), strict=True)
    )


def mixed(share):
    live, new = probabilities(LIVE), probabilities(NEW)
    return {
        item: (1 - share) * live.get(item, 0.0) + share * new.get(item, 0.0) for item in "abcdef"
    }


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_propensity_of_an_item_is_that_of_the_mixture(share):
    mixture, expected = Mixture(LIVE, NEW, share), mixed(share)
    assert sum(expected.values()) == pytest.approx(1)
    drawn = mixture.recommend([HISTORY] * 4000, 1, seed=5)
    assert drawn.unknown == 4000  # z, which neither knows
    for item, propensity, score in zip(
        drawn.items[:, 0], drawn.propensities[:, 0], drawn.scores[:, 0], strict=True
    ):
        assert propensity == pytest.approx(expected[item], rel=1e-5)
        assert score == pytest.approx(np.log(expected[item]), abs=1e-5)
    chances = np.array([expected[item] for item in "abcdef"])
    counts = np.array([(drawn.items[:, 0] == item).sum() for item in "abcdef"])
    assert counts[chances == 0].sum() == 0
    there = chances > 0
    wanted = 4000 * chances[there] / chances.sum()
    assert stats.chisquare(counts[there], wanted).pvalue > 1e-3


def test_of_several_slots_each_is_drawn_from_what_the_ones_before_left():
    expected = mixed(0.3)
    drawn = Mixture(LIVE, NEW, 0.3).recommend([HISTORY] * 3000, 6, seed=1)
    for items, propensities in zip(drawn.items, drawn.propensities, strict=True):
        left = 1.0
        assert sorted(items) == list("abcdef")
        for item, propensity in zip(items, propensities, strict=True):
            assert propensity == pytest.approx(expected[item] / left, rel=1e-4)
            left -= expected[item]
    second = (drawn.items[:, 1] == "b").mean()
    chance = sum(p * expected["b"] / (1 - p) for item, p in expected.items() if item != "b")
    assert second == pytest.approx(chance, abs=4 * np.sqrt(chance / 3000))


def test_more_slots_than_items_and_shares_that_are_none():
    drawn = Mixture(LIVE, NEW, 0.0).recommend([HISTORY], 6)
    assert drawn.items[0, 5] is None and sorted(drawn.items[0, :5]) == list("abcde")
    assert len(drawn.table()) == 5
    with pytest.raises(ValueError, match="share must be in"):
        Mixture(LIVE, NEW, 1.5)
    with pytest.raises(ValueError, match="k must be >= 1"):
        Mixture(LIVE, NEW, 0.5).recommend([HISTORY], 0)
