"""A batch cut into shares: their losses, and gradients, add up to those of the whole."""

import pytest
import torch

from recbole_lpi.data.sequences import Batch
from recbole_lpi.nn.candidates import LoggedItems
from recbole_lpi.plugin.models import MODELS
from recbole_lpi.plugin.policy_recommender import Whole
from recbole_lpi.policy import losses as estimation
from tests.support.tiny import batch, gradients, make

pytestmark = pytest.mark.recbole

VARIANTS = [
    {},
    {"weight_normalize": True},
    {"weight_normalize": True, "weight_clip": 1.01},
    {"softmax": "sampled", "candidate_sampling": {"sample_num": 3}},
    {"softmax": "sampled", "candidate_sampling": {"distribution": "in_batch"}},
]
CUTS = [[[0, 2], [1]], [[0], [1], [2]], [[1, 2], [0], []]]  # the last: more processes than windows


def share_of(whole, rows):
    """Rows of a batch; one that counts for nothing where there are none."""
    if not rows:
        one = share_of(whole, [0])
        return one._replace(sample_weight=0 * one.sample_weight)
    return Batch(*(tensor[rows] for tensor in whole))


def drawn(policy, *batch_and_whole):
    """Losses with the same Q head and candidates whenever asked, whatever else is drawn."""
    policy.draws = torch.Generator().manual_seed(1)
    return policy.losses(*batch_and_whole)


def losses_of_shares(policy, whole, cut):
    """The losses of each share, told the sums over all, and gradients summed over the shares."""
    sums, losses = [], []

    def heard(own):
        sums.append(own)
        return own

    def added(own):
        return torch.stack(sums).sum(0)

    session = whole.session[:, None].expand_as(whole.counts)[whole.counts]
    logged = LoggedItems(whole.action[whole.counts] - 1, session)
    for total in (heard, added):  # twice, since nobody waits for another here
        losses = [drawn(policy, share_of(whole, rows), Whole(logged, total)) for rows in cut]
    for found in losses:
        assert found.diagnostics == losses[0].diagnostics
    return losses, gradients(policy, sum(sum(found.parts.values()) for found in losses))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("settings", VARIANTS)
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_shares_add_up_to_the_whole(model, settings, cut, monkeypatch):
    """Where every share draws the same Q head and candidates, and the same negatives of an item."""
    monkeypatch.setattr(
        estimation, "sample_negatives",
        lambda action, n_items, number: (action[:, None] + torch.arange(1, number + 1)) % n_items,
    )  # fmt: skip
    policy = make(model, **settings).eval()  # what is asked twice is counted by neither
    whole = batch(policy.settings.gamma)
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
