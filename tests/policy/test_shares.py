"""A batch cut into shares: their losses, and gradients, add up to those of the whole."""

import pytest
import torch

from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.policy import losses as estimation
from tests.support.shares import drawn, losses_of_shares
from tests.support.tiny import batch, gradients, make

VARIANTS = [
    {},
    {"weight_normalize": True},
    {"weight_normalize": True, "weight_clip": 1.01},
    {"softmax": "sampled", "candidate_sampling": {"sample_num": 3}},
    {"softmax": "sampled", "candidate_sampling": {"distribution": "in_batch"}},
]
CUTS = [[[0, 2], [1]], [[0], [1], [2]], [[1, 2], [0], []]]  # the last: more processes than windows


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("settings", VARIANTS)
@pytest.mark.parametrize("model", OBJECTIVES)
def test_shares_add_up_to_the_whole(model, settings, cut, monkeypatch):
    """Where every share draws the same Q head and candidates, and the same negatives of an item."""
    monkeypatch.setattr(
        estimation, "sample_negatives",
        lambda action, n_items, number: (action[:, None] + torch.arange(1, number + 1)) % n_items,
    )  # fmt: skip
    policy = make(model, **settings).eval()  # what is asked twice is counted by neither
    whole = batch(policy.settings.objective.gamma)
    weight = torch.tensor([[1, 2, 0.5, 1], [0, 3, 1, 1], [0.2, 1, 1.5, 1]], dtype=torch.float64)
    whole = whole._replace(sample_weight=weight)
    expected = drawn(policy, whole)
    expected_gradients = gradients(policy, sum(expected.parts.values()))
    losses, found = losses_of_shares(policy, whole, cut)
    for name, part in expected.parts.items():
        torch.testing.assert_close(sum(one.parts[name] for one in losses), part)
    for name, value in expected.diagnostics.items():
        torch.testing.assert_close(losses[-1].diagnostics[name], value)
    assert found.keys() == expected_gradients.keys()
    for name, gradient in expected_gradients.items():
        torch.testing.assert_close(found[name], gradient)
