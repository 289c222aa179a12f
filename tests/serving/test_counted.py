"""Baselines that only count are kept, loaded and served like any policy."""

import numpy as np
import pytest
import torch

from recbole_lpi.policy.counted import COUNTED, counted_values, tensors
from recbole_lpi.policy.popularity import (
    PopularityPolicy,
    SessionPopularityPolicy,
    SessionPopularitySettings,
)
from recbole_lpi.policy.session_knn import (
    Neighbours,
    NeighbourSettings,
    SessionKNNPolicy,
    training_sessions,
)
from recbole_lpi.serving import load_policy
from recbole_lpi.serving.onnx_export import export_onnx
from recbole_lpi.settings import SettingError
from tests.support.served import ITEMS, LENGTH, checkpoint, histories
from tests.support.tiny import listed_sessions

POPULARITY = np.arange(1, ITEMS + 1) / np.arange(1, ITEMS + 1).sum()


def policies():
    draws = np.random.default_rng(0)
    lists = [draws.integers(1, 15, draws.integers(1, 6)).tolist() for _ in range(30)]
    store, part = listed_sessions(lists, draws.permutation(30).astype(float).tolist())
    own = SessionPopularitySettings(decay=0.8), NeighbourSettings(k=4, idf_weighting=1.0)
    sessions = training_sessions(store, part, ITEMS)
    return {
        "Popularity": (None, PopularityPolicy(POPULARITY)),
        "SessionPopularity": (own[0], SessionPopularityPolicy(POPULARITY, own[0])),
        "SessionKNN": (own[1], SessionKNNPolicy(Neighbours(sessions, own[1]), POPULARITY)),
    }


def test_every_counted_policy_is_tried():
    assert set(policies()) == set(COUNTED)


@pytest.mark.parametrize("name", COUNTED)
def test_it_gives_the_probabilities_that_were_counted(name, tmp_path):
    settings, policy = policies()[name]
    run = checkpoint(tmp_path / "run", name, counted_values(settings, LENGTH), tensors(policy))
    served, asked = load_policy(run), [*histories(20), []]
    found = served.recommend(asked, k=ITEMS)
    for history, items, chances in zip(asked, found.items, found.propensities, strict=True):
        read = [int(item.split()[1]) for item, *_ in history][-LENGTH:]
        prefix = np.array([read + [0] * (LENGTH - len(read))])
        wanted = policy.probabilities(prefix, np.array([len(read)]))[0]
        place = [int(item.split()[1]) - 1 for item in items]
        np.testing.assert_allclose(chances, wanted[place], rtol=1e-5)
        assert sorted(place) == list(range(ITEMS)) and chances.sum() == pytest.approx(1, abs=1e-5)
    for short in (["item 3"], [("item 3", "a kind that nobody knows", 1.0)]):
        assert served.recommend([short], k=3).items.shape == (1, 3)
    assert served.divergence(served, asked).max() < 1e-6
    with pytest.raises(SettingError, match="counts and has no network"):
        export_onnx(run, tmp_path / "policy.onnx", asked)


@pytest.mark.parametrize(("change", "said"), [
    ({"popularity": torch.ones(ITEMS).double()}, "no distribution over the items"),
    ({"popularity": torch.ones(3).double() / 3}, "of shape"),
    ({"session_items": torch.full((9,), ITEMS).int(), "session_offsets": torch.tensor([0, 9])},
     "items that are none of its 40"),
    ({"session_offsets": torch.tensor([0, 9, 3])}, "do not lie one after another"),
    ({"popularity": None}, "'popularity' is no dense tensor"),
])  # fmt: skip
def test_what_is_broken_is_refused(change, said, tmp_path):
    settings, policy = policies()["SessionKNN"]
    weights = {**tensors(policy), **change}
    run = checkpoint(tmp_path / "run", "SessionKNN", counted_values(settings, LENGTH), weights)
    with pytest.raises(SettingError, match=said):
        load_policy(run)


def test_settings_that_it_cannot_have_are_refused(tmp_path):
    _, policy = policies()["SessionKNN"]
    values = counted_values(NeighbourSettings(), LENGTH)
    values["settings"]["counted"]["k"] = 0
    run = checkpoint(tmp_path / "run", "SessionKNN", values, tensors(policy))
    with pytest.raises(SettingError, match="k must be >= 1"):
        load_policy(run)
