"""Weights divided by their mean size over an epoch: β stays what Eq. 8 says it is."""

import math

import pytest
import torch

from recbole_lpi.policy.normalization import MeanWeightSize
from tests.support.shares import losses_of_shares
from tests.support.tiny import BETA, batch, gradients, make

TWO_REWARDS = 0.8 / math.log(5)  # where exp((r − 1)/β) of rewards 1 and 0.2 is 1 and 0.2


def with_purchases(*rewards):
    """The batch with these rewards for its eight events that count, in order."""
    b = batch()
    reward = torch.zeros_like(b.reward)
    reward[b.counts] = torch.tensor(rewards, dtype=reward.dtype)
    return b._replace(reward=reward)


FEW = with_purchases(0.2, 0.2, 0.2, 1.0, 0.2, 0.2, 0.2, 0.2)
MANY = with_purchases(1.0, 1.0, 0.2, 1.0, 1.0, 0.2, 1.0, 1.0)


def scale_of(policy, b):
    """What the weights of a batch were multiplied by."""
    losses, of = policy.losses(b), policy.settings.objective
    plain = make(policy.name, weight_normalize=False, beta=of.beta, warmup_epochs=of.warmup_epochs)
    plain.load_state_dict(policy.state_dict(), strict=False)
    plain.begin_epoch(policy.epoch)
    ratio = losses.parts["policy loss"] / plain.losses(b).parts["policy loss"]
    return float(ratio.detach())


def test_from_the_second_epoch_on_every_batch_is_divided_by_the_mean_of_the_epoch_before():
    policy, sizes = make("LPI"), []
    policy.begin_epoch(0)
    for b in (FEW, MANY):
        policy.losses(b)
        sizes.append(torch.exp((b.reward[b.counts] - 1.5) / BETA))
    policy.begin_epoch(1)
    expected = 1 / float(torch.cat(sizes).mean())
    for b in (MANY, FEW, FEW):
        assert scale_of(policy, b) == pytest.approx(expected)
    policy.begin_epoch(2)
    two_few = torch.cat([sizes[1], sizes[0], sizes[0]])
    assert scale_of(policy, MANY) == pytest.approx(1 / float(two_few.mean()))


def test_in_the_first_epoch_it_is_the_mean_so_far():
    policy = make("LPI")
    policy.begin_epoch(0)
    few, many = (torch.exp((b.reward[b.counts] - 1.5) / BETA) for b in (FEW, MANY))
    assert scale_of(policy, FEW) == pytest.approx(1 / float(few.mean()))
    assert scale_of(policy, MANY) == pytest.approx(1 / float(torch.cat([few, many]).mean()))


def test_a_warm_up_counts_for_nothing():
    policy = make("LPI", warmup_epochs=1)
    policy.begin_epoch(0)
    assert scale_of(make("LPI", warmup_epochs=1), FEW) == pytest.approx(1)
    policy.losses(MANY)
    policy.begin_epoch(1)
    few = torch.exp((FEW.reward[FEW.counts] - 1.5) / BETA)
    assert scale_of(policy, FEW) == pytest.approx(1 / float(few.mean()))


def test_batches_with_few_and_with_many_purchases_are_divided_alike():
    """So that a purchase in one weighs exp(0.8/β) times a click in the other."""
    policy, found = make("LPI", beta=0.2), []
    for epoch in range(2):
        policy.begin_epoch(epoch)
        found = [scale_of(policy, b) for b in (FEW, MANY)]
    assert found[0] == pytest.approx(found[1])


def test_what_is_only_evaluated_is_not_counted():
    policy = make("LPI")
    policy.begin_epoch(0)
    policy.eval().losses(MANY)
    policy.train()
    few = torch.exp((FEW.reward[FEW.counts] - 1.5) / BETA)
    assert scale_of(policy, FEW) == pytest.approx(1 / float(few.mean()))


def test_every_share_of_a_batch_is_divided_by_the_same_and_counts_the_whole():
    alone, shared = make("LPIRL"), make("LPIRL")
    for policy in (alone, shared):
        policy.begin_epoch(0)
        policy.losses(FEW)
        policy.begin_epoch(1)
    whole = alone.losses(MANY)
    losses, found = losses_of_shares(shared.eval(), MANY, [[0, 2], [1]])
    summed = sum(one.parts["policy loss"] for one in losses)
    torch.testing.assert_close(summed, whole.parts["policy loss"])
    for name, gradient in gradients(alone, sum(alone.eval().losses(MANY).parts.values())).items():
        torch.testing.assert_close(found[name], gradient)


@pytest.mark.slow
def test_with_two_rewards_reward_weighting_is_a_point_on_the_line_of_lpi():
    """exp((r − 1)/β) is r at β = 0.8/log 5 = 0.497: the two train alike, batch for batch."""
    assert pytest.approx(0.497, abs=5e-4) == TWO_REWARDS
    trained = []
    for model, settings in (("LPI", {"beta": TWO_REWARDS}), ("RewardWeighted", {})):
        policy = make(model, weight_normalize=True, **settings)
        policy.max_reward = 1.0
        optimiser = torch.optim.SGD(policy.parameters(), 0.3)  # to which a scale is not nothing
        for epoch in range(3):
            policy.begin_epoch(epoch)
            for b in (FEW, MANY, FEW):
                optimiser.zero_grad()
                sum(policy.losses(b).parts.values()).backward()
                optimiser.step()
        trained.append(dict(policy.named_parameters()))
    for name, parameter in trained[0].items():
        torch.testing.assert_close(parameter, trained[1][name])


def test_the_means_are_kept_with_the_model():
    policy = make("LPI")
    policy.begin_epoch(0)
    policy.losses(FEW)
    again = make("LPI")
    again.load_state_dict(policy.state_dict())
    for one in (policy, again):
        one.begin_epoch(1)
    assert scale_of(again, MANY) == scale_of(policy, MANY)


def test_weights_that_are_all_zero_have_no_scale_and_break_nothing():
    mean = MeanWeightSize()
    zero, one = torch.zeros(()), torch.ones(())
    assert math.isfinite(1 / float(mean(zero, one)))
