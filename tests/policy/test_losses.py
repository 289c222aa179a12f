"""Loss and gradient of each policy against plain loops over sessions and items, in float64."""

import math
from typing import Any

import pytest
import torch

from recbole_lpi.data.batches import History
from recbole_lpi.nn.catalogue import CatalogueStatistics, PolicyLoss
from recbole_lpi.nn.heads import TableQHead
from recbole_lpi.objectives import (
    ADVANTAGE_ESTIMATORS,
    BASELINES,
    OBJECTIVES,
    VALUE_ESTIMATORS,
)
from recbole_lpi.policy import losses as policy_losses
from recbole_lpi.policy.losses import sample_negatives
from tests.support.objectives import ObjectiveSuite, check_gradient_identity
from tests.support.plain_loops import (
    ADVANTAGES,
    BASELINE_VALUES,
    STATE_VALUES,
    WEIGHTS,
    check_against_loops,
    fixed_negatives,
)
from tests.support.tiny import N_ITEMS, batch, gradients, make


@pytest.fixture(autouse=True)
def same_negatives(monkeypatch):
    monkeypatch.setattr(policy_losses, "sample_negatives", fixed_negatives)


ANALYTIC = {"advantage_estimator": "analytic"}
ESTIMATORS = [{"value_estimator": name} for name in VALUE_ESTIMATORS]
TABLE = {"q_head": "table"}
OF_IPS: list[dict[str, Any]] = [{"propensity": "checkpoint"}, {"propensity": "logged"}]
BASELINES_OF_Q = [
    ANALYTIC | {"advantage_baseline": b} for b in ("policy", "logging", "max", "value")
]


class TestLoggingPolicy(ObjectiveSuite):
    name, weighs_alike = "LoggingPolicy", True


class TestRewardWeighted(ObjectiveSuite):
    name = "RewardWeighted"
    variants = [{"weight_clip": 0.4, "weight_normalize": True}]


class TestLPI(ObjectiveSuite):
    name = "LPI"


class TestLPICB(ObjectiveSuite):
    name, variants = "LPICB", [ANALYTIC]


class TestLPIRL(ObjectiveSuite):
    name = "LPIRL"
    variants = [
        *BASELINES_OF_Q,
        ANALYTIC | {"advantage_baseline": "negatives", "negative_samples": 3},
        *({"advantage_estimator": a, "value_estimator": v}
          for a in ("td_residual", "gae") for v in (None, "sarsa", "monte_carlo")),
        ANALYTIC | {"value_estimator": "q_learning"},
        *(TABLE | settings for settings in BASELINES_OF_Q),
        {"weight_clip": 1.1, "weight_normalize": False},
    ]  # fmt: skip


class TestIQL(ObjectiveSuite):
    name, variants = "IQL", [*ESTIMATORS, TABLE, {"expectile": 0.2}]


class TestPG(ObjectiveSuite):
    name, variants = "PG", [{"weight_clip": 0.9}]


class TestIPS(ObjectiveSuite):
    name, variants = (
        "IPS",
        [*OF_IPS, {"propensity": "logged", "weight_clip": 0.9}, {"weight_clip": 0.9}],
    )


class TestIPSPG(ObjectiveSuite):
    name, variants = "IPSPG", OF_IPS


class TestTopKIPS(ObjectiveSuite):
    name, variants = "TopKIPS", OF_IPS


class TestSQN(ObjectiveSuite):
    name, weighs_alike, variants = "SQN", True, [*ESTIMATORS, TABLE]


class TestSNQN(ObjectiveSuite):
    name, weighs_alike, variants = "SNQN", True, [*ESTIMATORS, TABLE]


class TestSAC(ObjectiveSuite):
    name, variants = "SAC", [*ESTIMATORS, TABLE, {"weight_clip": 0.9}]


class TestSA2C(ObjectiveSuite):
    name, variants = "SA2C", [*ESTIMATORS, TABLE, {"weight_normalize": True}]


def test_every_objective_has_its_suite():
    suites = [suite.name for suite in ObjectiveSuite.__subclasses__()]
    assert sorted(suites) == sorted(OBJECTIVES)


def test_every_row_is_checked():
    assert set(WEIGHTS) == set(OBJECTIVES)
    assert set(STATE_VALUES) == set(VALUE_ESTIMATORS)
    assert set(BASELINE_VALUES) == set(BASELINES)
    assert set(ADVANTAGES) == set(ADVANTAGE_ESTIMATORS)


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
        ("td_errors", "SNQN", {"value_estimator": "expected_sarsa"}),
        ("td_errors", "IQL", {}),
        ("_propensity", "IPS", {}),
    ],
)
def test_a_gradient_through_targets_or_into_the_encoder_is_found(
    where, name, settings, monkeypatch
):
    fault = undetached(getattr(policy_losses, where))
    monkeypatch.setattr(policy_losses, where, fault)
    if where == "bootstrap_target":  # what it is given was cut once more, further out
        monkeypatch.setattr(policy_losses, "td_errors", undetached(policy_losses.td_errors))
    with pytest.raises(AssertionError):
        check_against_loops(name, settings, 0)


@pytest.mark.parametrize("name", ["IPS", "TopKIPS"])
def test_a_gradient_through_the_weight_is_found(name, monkeypatch):
    """The plain pass with its weight left in the graph: ∂w/∂logits log π comes in."""

    def leaking(state, action, policy, weigh, q=None, logging=None, added=None):
        log_pi = policy.outputs(state).log_softmax(-1).gather(1, action[:, None]).squeeze(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "detach", lambda tensor: tensor)
            weight = weigh(slice(0, len(state)), CatalogueStatistics(log_pi))
        return PolicyLoss(
            -(weight * log_pi).mean(), weight.detach(), CatalogueStatistics(log_pi.detach())
        )

    check_gradient_identity(name)
    monkeypatch.setattr(policy_losses, "catalogue_pass", leaking)
    with pytest.raises(AssertionError):
        check_gradient_identity(name)


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
    policy, b = make("SAC", warmup_epochs=2), batch()
    weights = []
    for epoch in range(4):
        policy.begin_epoch(epoch)
        torch.manual_seed(0)  # of two Q heads the same weighs
        weights.append(float(policy.losses(b).diagnostics["effective fraction"]))
    assert weights[:2] == [1, 1] and weights[2] == weights[3] < 1


def test_rewards_that_are_all_zero_teach_nothing_and_break_nothing():
    b = batch()
    for model in ("RewardWeighted", "PG"):
        policy = make(model, weight_normalize=True)
        losses = policy.losses(b._replace(reward=b.reward * 0, return_=b.return_ * 0))
        assert float(losses.parts["policy loss"]) == 0
        assert all(math.isfinite(float(v)) for v in losses.diagnostics.values())


def test_a_value_head_subtracts_itself_and_may_say_so():
    check_against_loops("LPIRL", {"advantage_baseline": "value"}, 0)


def test_both_heads_take_both_roles():
    policy, trained = make("SQN"), set()
    for seed in range(8):
        torch.manual_seed(seed)
        trained |= gradients(policy, sum(policy.losses(batch()).parts.values())).keys()
    assert {"heads.q.0.form.weight", "heads.q.1.form.weight"} <= trained


def test_the_logging_policy_is_frozen_and_no_part_of_the_checkpoint():
    policy, mu = make("LPIRL"), make("LoggingPolicy")
    policy.compare_with(mu)
    assert not any(p.requires_grad for p in mu.parameters())
    assert policy.state_dict().keys() == make("LPIRL").state_dict().keys()


def test_a_baseline_under_the_logging_policy_needs_one():
    with pytest.raises(ValueError, match="needs a logging policy"):
        make("LPIRL", **ANALYTIC, advantage_baseline="logging").losses(batch())


def test_logged_propensities_must_be_there():
    with pytest.raises(ValueError, match="needs events with propensities"):
        make("IPS", propensity="logged").losses(batch()._replace(propensity=None))


def test_beta_to_infinity_is_maximum_likelihood():
    policy, ml = make("LPIRL", beta=1e12), make("LoggingPolicy", fit_temperature=False)
    shared = ml.state_dict().keys()
    ml.load_state_dict({k: v for k, v in policy.state_dict().items() if k in shared})
    a = gradients(policy, policy.losses(batch()).parts["policy loss"])
    b = gradients(ml, ml.losses(batch()).parts["policy loss"])
    for name, grad in b.items():
        torch.testing.assert_close(a[name], grad, atol=1e-9, rtol=0)


def test_diagnostics_tell_weights_from_uniform_ones():
    assert make("LoggingPolicy").losses(batch()).diagnostics["effective fraction"] == 1
    assert make("LPIRL").losses(batch()).diagnostics["effective fraction"] < 1


def test_encoder_and_heads_can_be_ones_own():
    """An encoder that sees the last item alone, and one Q head that knows its values."""
    head: Any = TableQHead(N_ITEMS - 1, 4)
    with torch.no_grad():
        head.weight.zero_()
        head.value.net[2].weight.zero_()  # of a constant, no advantage knows
        head.bias.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))
    policy = make("LPIRL", torch.nn.Identity(), {"q": torch.nn.ModuleList([head])}, beta=1.0,
                  inputs=["item"], weight_normalize=False, **ANALYTIC,
                  advantage_baseline="max")  # fmt: skip
    a, b = (
        policy.forward(History(torch.tensor([[3, 1, 5, 2]]))),
        policy.item_embedding.weight[[3, 1, 5, 2]],
    )
    torch.testing.assert_close(a[0], b)
    one = batch()
    found = policy.losses(one)
    action = one.action[one.counts]
    weight = torch.where(action == 1, 1.0, math.exp(-1)).double()  # A = Q(a) − max Q = 0 or −1
    torch.testing.assert_close(found.diagnostics["mean weight"], weight.mean())
    value = make("LPIRL", None, {"value": torch.nn.Flatten(-2)}).heads["value"]
    assert isinstance(value, torch.nn.Flatten)
