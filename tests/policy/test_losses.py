"""Loss and gradient of each policy against plain loops over sessions and items, in float64."""

import math

import pytest
import torch

from recbole_lpi.nn.catalogue import CatalogueStatistics, PolicyLoss
from recbole_lpi.nn.heads import BilinearQHead
from recbole_lpi.objectives import (
    ADVANTAGE_ESTIMATORS,
    BASELINES,
    OBJECTIVES,
    VALUE_ESTIMATORS,
)
from recbole_lpi.plugin.models import LPIRL, MODELS, PG, SAC, SQN, LoggingPolicy, RewardWeighted
from recbole_lpi.policy import losses as policy_losses
from recbole_lpi.policy.losses import sample_negatives
from tests.support.plain_loops import (
    ADVANTAGES,
    BASELINE_VALUES,
    STATE_VALUES,
    WEIGHTS,
    check_against_loops,
    fixed_negatives,
    shipped_settings,
)
from tests.support.tiny import batch, gradients, learn_something, make


@pytest.fixture(autouse=True)
def same_negatives(monkeypatch):
    monkeypatch.setattr(policy_losses, "sample_negatives", fixed_negatives)


ANALYTIC = {"advantage_estimator": "analytic"}
VARIANTS = [
    *((name, {}) for name in MODELS),  # as their properties files have them
    *(("LPIRL", ANALYTIC | {"advantage_baseline": b})
      for b in ("policy", "logging", "max", "value")),
    ("LPIRL", ANALYTIC | {"advantage_baseline": "negatives", "negative_samples": 3}),
    *((name, {"value_estimator": v}) for name in ("SQN", "SAC", "SNQN", "SA2C", "IQL")
      for v in VALUE_ESTIMATORS),
    *(("LPIRL", {"advantage_estimator": a, "value_estimator": v})
      for a in ("td_residual", "gae") for v in (None, "sarsa", "monte_carlo")),
    ("LPIRL", ANALYTIC | {"value_estimator": "q_learning"}),
    *((name, {"q_head": "table"}) for name in ("SQN", "SAC", "SNQN", "SA2C", "IQL")),
    *(("LPIRL", ANALYTIC | {"q_head": "table", "advantage_baseline": b})
      for b in ("policy", "logging", "max", "value")),
    ("LPIRL", {"weight_clip": 1.1, "weight_normalize": False}),
    ("LPICB", ANALYTIC),
    ("IQL", {"expectile": 0.2}),
    ("RewardWeighted", {"weight_clip": 0.4, "weight_normalize": True}),
    ("SA2C", {"weight_normalize": True}),
    *((name, {"propensity": "checkpoint"}) for name in ("IPS", "IPSPG", "TopKIPS")),
    *((name, {"weight_clip": 0.9}) for name in ("IPS", "PG", "SAC")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_loss_and_gradient_equal_plain_loops(name, settings):
    for seed in range(2):
        check_against_loops(name, settings, seed)


def test_every_row_is_checked():
    assert set(WEIGHTS) == set(OBJECTIVES) == set(MODELS)
    assert set(STATE_VALUES) == set(VALUE_ESTIMATORS)
    assert set(BASELINE_VALUES) == set(BASELINES)
    assert set(ADVANTAGES) == set(ADVANTAGE_ESTIMATORS)


# ------------------------------------------------------------------ the gradient identity


def losses_on_logits(name, logits, **changes):
    """``compute_losses`` of states that are logits: a unit per item, and the items' table is I."""
    s = shipped_settings(name, **changes)
    objective, (n, a) = OBJECTIVES[name], logits.shape
    torch.manual_seed(5)
    q = [BilinearQHead(a, a).double() for _ in range(2)]
    learn_something(q)
    value = policy_losses.ValueHead(a).double()
    mu = policy_losses.PropensityHead(a, a, 1.0).double()
    needed = objective.heads(s)
    heads = policy_losses.Heads(
        tuple(q) if "q" in needed else None, value if "value" in needed else None,
        mu if "propensity" in needed else None,
    )  # fmt: skip
    reward = torch.tensor([0.2, 1.0, 0.2, 0.5], dtype=torch.float64)
    discount = torch.tensor([1.0, 1.0, 0, 0], dtype=torch.float64) * s.gamma
    events = policy_losses.Events(
        logits, torch.arange(n), reward, discount, 2 * reward, reward * 0 + 1, reward * 0 + 1
    )
    table = policy_losses.Table(torch.eye(a, dtype=torch.float64))
    return policy_losses.compute_losses(events, table, objective, s, heads), (*q, value, mu)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_identity(name):
    """∂loss/∂logits = w (π − onehot) / N, and nothing flows through the weight into a head."""
    torch.manual_seed(1)
    logits = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    step, heads = losses_on_logits(name, logits)
    weight = step.policy.weight
    assert not weight.requires_grad
    if name not in ("LoggingPolicy", "SQN", "SNQN"):
        assert weight.std() > 1e-3
    step.policy.loss.backward()
    onehot = torch.eye(6, dtype=torch.float64)[:4]
    expected = weight[:, None] * (logits.detach().softmax(-1) - onehot) / 4
    torch.testing.assert_close(logits.grad, expected)
    assert all(p.grad is None for head in heads for p in head.parameters())


def undetached(function):
    """The same function, its result still part of the graph of what it was given."""

    def fault(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "detach", lambda tensor: tensor)
            return function(*arguments)

    return fault


@pytest.mark.parametrize(
    ("where", "name", "settings"),
    [
        ("bootstrap_target", "SQN", {"value_estimator": "expected_sarsa"}),
        ("bootstrap_target", "LPIRL", {}),
        ("bootstrap_target", "IQL", {}),
        ("_td_errors", "SNQN", {"value_estimator": "expected_sarsa"}),
        ("_td_errors", "IQL", {}),
        ("_propensity", "IPS", {}),
    ],
)
def test_a_gradient_through_targets_or_into_the_encoder_is_found(
    where, name, settings, monkeypatch
):
    fault = undetached(getattr(policy_losses, where))
    monkeypatch.setattr(policy_losses, where, fault)
    if where == "bootstrap_target":  # what it is given was cut once more, further out
        monkeypatch.setattr(policy_losses, "_td_errors", undetached(policy_losses._td_errors))
    with pytest.raises(AssertionError):
        check_against_loops(name, settings, 0)


@pytest.mark.parametrize("name", ["IPS", "TopKIPS"])
def test_a_gradient_through_the_weight_is_found(name, monkeypatch):
    """The plain pass with its weight left in the graph: ∂w/∂logits log π comes in."""

    def leaking(state, action, policy, weigh, q=None, logging=None):
        log_pi = policy.outputs(state).log_softmax(-1).gather(1, action[:, None]).squeeze(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "detach", lambda tensor: tensor)
            weight = weigh(slice(0, len(state)), CatalogueStatistics(log_pi))
        return PolicyLoss(
            -(weight * log_pi).mean(), weight.detach(), CatalogueStatistics(log_pi.detach())
        )

    test_gradient_identity(name)
    monkeypatch.setattr(policy_losses, "catalogue_pass", leaking)
    with pytest.raises(AssertionError):
        test_gradient_identity(name)


def test_negatives_are_any_items_but_the_logged_one():
    torch.manual_seed(0)
    action = torch.tensor([0, 3, 5])
    drawn = sample_negatives(action, 6, 4000)
    assert drawn.shape == (3, 4000)
    for row, item in zip(drawn, action.tolist(), strict=True):
        share = torch.bincount(row, minlength=6) / 4000
        assert share[item] == 0
        others = torch.cat([share[:item], share[item + 1 :]])
        torch.testing.assert_close(others, torch.full((5,), 0.2), atol=0.03, rtol=0)


def test_warm_up_is_plain_cross_entropy_for_so_many_epochs():
    policy, b = make(SAC, warmup_epochs=2), batch()
    weights = []
    for epoch in range(4):
        policy.begin_epoch(epoch)
        torch.manual_seed(0)  # of two Q heads the same weighs
        weights.append(float(policy.losses(b).diagnostics["effective fraction"]))
    assert weights[:2] == [1, 1] and weights[2] == weights[3] < 1


def test_rewards_that_are_all_zero_teach_nothing_and_break_nothing():
    b = batch()
    for model in (RewardWeighted, PG):
        policy = make(model, weight_normalize=True)
        losses = policy.losses(b._replace(reward=b.reward * 0, return_=b.return_ * 0))
        assert float(losses.parts["policy loss"]) == 0
        assert all(math.isfinite(float(v)) for v in losses.diagnostics.values())


def test_a_value_head_subtracts_itself_and_may_say_so():
    check_against_loops("LPIRL", {"advantage_baseline": "value"}, 0)


def test_both_heads_take_both_roles():
    policy, trained = make(SQN), set()
    for seed in range(8):
        torch.manual_seed(seed)
        trained |= gradients(policy, sum(policy.losses(batch()).parts.values())).keys()
    assert {"heads.q.0.form.weight", "heads.q.1.form.weight"} <= trained


def test_the_logging_policy_is_frozen_and_no_part_of_the_checkpoint():
    policy, mu = make(LPIRL), make(LoggingPolicy)
    policy.compare_with(mu)
    assert not any(p.requires_grad for p in mu.parameters())
    assert policy.state_dict().keys() == make(LPIRL).state_dict().keys()


def test_a_baseline_under_the_logging_policy_needs_one():
    with pytest.raises(ValueError, match="needs a logging policy"):
        make(LPIRL, **ANALYTIC, advantage_baseline="logging").losses(batch())


def test_beta_to_infinity_is_maximum_likelihood():
    policy, ml = make(LPIRL, beta=1e12), make(LoggingPolicy)
    shared = ml.state_dict().keys()
    ml.load_state_dict({k: v for k, v in policy.state_dict().items() if k in shared})
    a = gradients(policy, policy.losses(batch()).parts["policy loss"])
    b = gradients(ml, ml.losses(batch()).parts["policy loss"])
    for name, grad in b.items():
        torch.testing.assert_close(a[name], grad, atol=1e-9, rtol=0)


def test_diagnostics_tell_weights_from_uniform_ones():
    assert make(LoggingPolicy).losses(batch()).diagnostics["effective fraction"] == 1
    assert make(LPIRL).losses(batch()).diagnostics["effective fraction"] < 1
