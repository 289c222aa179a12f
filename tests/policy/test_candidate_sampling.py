"""Every policy under sampled softmax: the full one where every item is a candidate, in float64."""

from typing import Any

import numpy as np
import pytest
import torch

from recbole_lpi.nn.candidates import LoggedItems
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.policy import losses as estimation
from recbole_lpi.policy.candidate_sampling import make_sampler
from recbole_lpi.policy.settings import CandidateSettings
from recbole_lpi.settings import SettingError
from tests.support.tiny import N_ITEMS, Catalogue, batch, make

COUNTS = Catalogue.item_counts
EVERY = {"distribution": "uniform", "sample_num": N_ITEMS - 1}
SOME: dict[str, Any] = {"distribution": "popularity", "sample_num": 3, "alpha": 0.5}
ANALYTIC = {"advantage_estimator": "analytic"}
VARIANTS = [
    *((name, {}) for name in OBJECTIVES),
    *(("LPIRL", ANALYTIC | {"advantage_baseline": b})
      for b in ("policy", "logging", "max", "value")),
    *(("SQN", {"value_estimator": v}) for v in ("q_learning", "sarsa", "expected_sarsa")),
    *((name, {"propensity": "checkpoint"}) for name in ("IPS", "TopKIPS")),
    ("LPIRL", ANALYTIC | {"tie_weights": False}),
    ("LPIRL", {"evaluate_first_event": True}),
]  # fmt: skip


@pytest.fixture(autouse=True)
def same_negatives(monkeypatch):
    """The next items of the catalogue, so that what else is drawn does not matter."""
    monkeypatch.setattr(
        estimation, "sample_negatives",
        lambda action, n, number: (action[:, None] + 1 + torch.arange(number)) % n,
    )  # fmt: skip


def taught(name, seed=0, **settings):
    """Parts of the loss, diagnostics and gradients of a policy after one batch."""
    policy, mu = make(name, **settings), make("LoggingPolicy")
    with torch.no_grad():
        for parameter in mu.parameters():
            parameter.mul_(1.3)
    policy.compare_with(mu)
    torch.manual_seed(seed)
    losses = policy.losses(batch(policy.settings.objective.gamma))
    sum(losses.parts.values()).backward()
    grads = {n: p.grad for n, p in policy.named_parameters() if p.grad is not None}
    return losses, grads, policy


@pytest.mark.parametrize("learner", ["adam", "sparse_adam"])
@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_with_every_item_a_policy_learns_what_it_learns_from_the_full_softmax(
    name, settings, learner
):
    given = {"softmax": "sampled", "candidate_sampling": EVERY, "learner": learner}
    sampled, grads, policy = taught(name, **settings, **given)
    full, expected, _ = taught(name, **settings)
    close: dict[str, Any] = {"atol": 1e-10, "rtol": 0}
    for kind in ("parts", "diagnostics"):
        for part, value in getattr(full, kind).items():
            torch.testing.assert_close(getattr(sampled, kind)[part], value, **close, msg=part)
    assert grads.keys() == expected.keys()
    for parameter, grad in expected.items():
        found = grads[parameter].to_dense() if grads[parameter].is_sparse else grads[parameter]
        torch.testing.assert_close(found, grad, **close, msg=parameter)
    sparse = {
        n for n, p in policy.named_parameters() if any(p is t for t in policy.sparse_parameters)
    }
    assert {n for n, grad in grads.items() if grad.is_sparse} == sparse & grads.keys()
    assert ("item_embedding.weight" in sparse) == (learner == "sparse_adam")


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(
    "sampling", [SOME, {"distribution": "in_batch"}, {**EVERY, "sample_num": 2}]
)
def test_with_some_every_policy_learns_something_finite_and_else(name, sampling):
    given = {"softmax": "sampled", "candidate_sampling": sampling}
    sampled, grads, _ = taught(name, **given)
    full, *_ = taught(name)
    assert all(torch.isfinite(g).all() for g in grads.values())
    assert sampled.parts["policy loss"] != full.parts["policy loss"]
    again, *_ = taught(name, seed=1, **given)
    drawn = sampling["distribution"] != "in_batch"
    assert (again.parts["policy loss"] != sampled.parts["policy loss"]) or not drawn


def test_popularity_is_of_the_training_data_and_leaves_no_item_out():
    torch.manual_seed(0)
    share = np.sqrt(COUNTS + 1)
    expected = torch.tensor(3 * share / share.sum())
    sampler = make_sampler(CandidateSettings(**SOME), COUNTS)
    found = torch.zeros(6, dtype=torch.float64)
    for _ in range(8000):
        item, log_weight = sampler.draw(LoggedItems(*torch.zeros(2, 1, dtype=torch.int64)))
        found[item] += expected[item] * log_weight.exp() / 8000  # how often each was drawn
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0)


def test_more_candidates_than_items_are_refused():
    with pytest.raises(SettingError, match="sample_num is 7, and the catalogue has 6 items"):
        make_sampler(CandidateSettings("uniform", 7), COUNTS)
    with pytest.raises(SettingError, match="sample_num is 2048"):
        make_sampler(CandidateSettings(), COUNTS)
