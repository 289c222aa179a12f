"""Gradients under reward-aware sampling, in float64: what their mean over many draws is."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recbole_lpi.data.batches import collate
from recbole_lpi.data.reward_sampling import RewardSampler, SamplingSettings
from recbole_lpi.data.sessions import flat_sessions, whole_of
from recbole_lpi.data.windows import target_places, training_batches, training_windows
from tests.support.tiny import batch, gradients, make

DRAWS, GAMMA = 4000, 0.6
pytestmark = pytest.mark.slow  # many draws

ITEMS = [[3, 1, 5, 2], [4, 6], [2, 2, 6, 1, 3, 5], [1, 5, 4], [6, 3], [2, 4, 1]]
REWARDS = [
    [0.2, 1.0, 0.2, 0.2], [0.2, 1.0], [0.2, 0.0, 0.2, 0.2, 0.0, 1.0], [0.2, 0.2, 0.2],
    [1.0, 0.2], [0.2, 0.0, 3.0],
]  # fmt: skip
MODELS = [("LoggingPolicy", {}), ("LPIRL", {"weight_normalize": False})]


def store():
    session = [s for s, items in enumerate(ITEMS) for _ in items]
    items, zero = np.concatenate(ITEMS), np.zeros(len(session))
    sessions = flat_sessions(session, items, zero, np.concatenate(REWARDS), zero, ("click",))
    part = whole_of(sessions)
    return sessions, training_windows(sessions, part, 5, None, False)


def collated(sessions, windows, weights=None):
    found = collate(sessions, windows, GAMMA, sample_weight=weights)
    return found._replace(
        **{name: getattr(found, name).double() for name in
           ("reward", "discount", "return_", "sample_weight")}
    )  # fmt: skip


def gradient(model, batches):
    """Of the mean loss of the batches, over all parameters, flat."""
    loss = sum(sum(model.losses(b).parts.values()) for b in batches) / len(batches)
    return torch.cat([g.flatten() for g in gradients(model, loss).values()]).numpy()


def gradient_of_a_draw(model, sampler, rng, batch_size=2):
    """As the trainer takes it: draw, batches, weights, losses."""
    sessions, sample = store()[0], sampler.draw(rng)
    batches = training_batches(sample.windows, batch_size, rng)
    weights = sample.weights(batches)
    cut = [collated(sessions, sample.windows.take(index), weights) for index in batches]
    return gradient(model, cut), sum(
        b.sample_weight[b.counts].sum() / b.counts.sum() / len(cut) for b in cut
    )


def gradients_by_target(model):
    """The gradient that each target alone contributes, [N, parameters]."""
    sessions, windows = store()
    rows = []
    for place in target_places(windows):
        alone = np.zeros(len(sessions.items), np.float32)
        alone[place] = len(target_places(windows))
        rows.append(gradient(model, [collated(sessions, windows, alone)]))
    return np.stack(rows)


def shares(sampler, rng):
    """Of each target in a draw's loss, [N]; trained in one batch, but the batches do not matter."""
    sample = sampler.draw(rng)
    return sample.factor[sampler.place] / sample.total


def far(found, expected):
    """Largest distance of a mean over draws from what is expected, in standard errors."""
    stderr = found.std(0, ddof=1) / np.sqrt(len(found))
    return np.abs((found.mean(0) - expected) / np.maximum(stderr, 1e-9)).max()


@pytest.mark.parametrize(("model", "settings"), MODELS)
@pytest.mark.parametrize("unit", ["session", "event"])
def test_the_gradient_of_a_draw_is_that_of_its_targets_each_by_its_share(model, settings, unit):
    """Whatever the batches, and with the next event of a target at hand, drawn or not."""
    policy = make(model, **settings)
    by_target = gradients_by_target(policy)
    for seed, batch_size in ((0, 1), (1, 2), (2, 6)):
        sessions, windows = store()
        sampler = RewardSampler(sessions, windows, SamplingSettings(unit=unit, correct=True))
        got, mass = gradient_of_a_draw(policy, sampler, np.random.default_rng(seed), batch_size)
        share = shares(sampler, np.random.default_rng(seed))
        np.testing.assert_allclose(got, share @ by_target, atol=1e-7)
        assert mass == pytest.approx(share.sum())


@pytest.mark.parametrize(("model", "settings"), MODELS)
@pytest.mark.parametrize("unit", ["session", "event"])
@pytest.mark.parametrize("draw", [{}, {"replacement": False, "fraction": 0.5}])
def test_corrected_the_mean_gradient_is_the_full_one(model, settings, unit, draw):
    """Within 4 standard errors in every parameter; uncorrected it is more than 10 away in some."""
    policy = make(model, **settings)
    by_target, full = gradients_by_target(policy), gradient(policy, [collated(*store())])
    for correct in (True, False):
        chosen = SamplingSettings(unit=unit, correct=correct, **draw)
        sessions, windows = store()
        sampler, rng = RewardSampler(sessions, windows, chosen), np.random.default_rng(1)
        found = np.stack([shares(sampler, rng) for _ in range(DRAWS)]) @ by_target
        assert far(found, full) < 4 if correct else far(found, full) > 10


def test_uncorrected_uniform_weights_estimate_the_reward_weighted_objective():
    """α = 1, ε = 0, by event: the gradient of Σ r (−log π) / Σ r."""
    policy, whole = make("LoggingPolicy"), collated(*store())
    sessions, windows = store()
    sampler = RewardSampler(sessions, windows, SamplingSettings("event", alpha=1, epsilon=0))
    rng = np.random.default_rng(3)
    found = np.stack([gradient_of_a_draw(policy, sampler, rng)[0] for _ in range(300)])
    logits = policy.factors(whole.history, whole.counts).outputs()
    minus_log_pi = F.cross_entropy(logits, whole.action[whole.counts] - 1, reduction="none")
    reward = whole.reward[whole.counts]
    grads = gradients(policy, (reward * minus_log_pi).sum() / reward.sum())
    expected = torch.cat([g.flatten() for g in grads.values()]).numpy()
    assert far(found, expected) < 4
    assert far(found, gradient(policy, [whole])) > 10


def test_diagnostics_are_of_the_policy_weights_and_of_both_together():
    sampled = batch()._replace(sample_weight=torch.tensor(
        [[9.0, 2, 0, 1], [0, 4, 9, 9], [1, 1, 0, 9]], dtype=torch.float64
    ))  # fmt: skip
    s = sampled.sample_weight[sampled.counts]
    found = make("LoggingPolicy").losses(sampled).diagnostics
    assert found["mean weight"] == 1
    assert found["effective fraction"] == pytest.approx(float(s.sum() ** 2 / (8 * (s**2).sum())))
