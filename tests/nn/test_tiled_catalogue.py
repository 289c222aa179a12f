"""The tiled form of the catalogue pass against the plain one, both against loops over items."""

import math
from typing import Any

import pytest
import torch

from recbole_lpi.nn.catalogue import Factors, Table, plain_pass
from recbole_lpi.nn.tiled_catalogue import catalogue_pass
from tests.support.catalogue_loops import loop_softmax, random_tables, some_seen


def one(part, statistics):
    return torch.ones_like(statistics.log_pi)


def lpi(q, action):
    """Weight exp(Q(x, a) − E_π[Q]), which only the pass itself can tell."""
    logged = q[1].gather(q[0], action).detach()
    return lambda part, statistics: (logged[part] - statistics.expected_q).exp()


def test_statistics_equal_plain_loops():
    state, action, policy, q, logging = random_tables()
    for found in (
        plain_pass(state, action, policy, one, q, logging),
        catalogue_pass(state, action, policy, one, q, logging, chunk=2, tile=3),
    ):
        got: Any = found.statistics
        for i in range(len(state)):
            pi = loop_softmax([float(state[i] @ w) for w in policy.weight])
            mu = loop_softmax([float(logging[0][i] @ w) for w in logging[1].weight])
            rows = zip(q[1].weight, q[1].bias, strict=True)
            values = [float(q[0][i] @ w + b) for w, b in rows]
            assert math.isclose(got.log_pi[i], math.log(pi[action[i]]), abs_tol=1e-12)
            assert math.isclose(
                got.expected_q[i], sum(p * v for p, v in zip(pi, values, strict=True))
            )
            assert math.isclose(
                got.logging_q[i], sum(m * v for m, v in zip(mu, values, strict=True))
            )
            assert math.isclose(got.max_q[i], max(values))
            assert got.argmax_q[i] == values.index(max(values))
        mean = sum(math.log(loop_softmax([float(s @ w) for w in policy.weight])[a])
                   for s, a in zip(state, action, strict=True)) / len(state)  # fmt: skip
        assert math.isclose(found.loss, -mean)


@pytest.mark.parametrize(
    ("chunk", "tile"), [(1, 1), (1, None), (2, 3), (5, 2), (100, 100), (None, None)]
)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("seen", [False, True])
def test_the_tiled_form_is_the_plain_form(chunk, tile, tied, seen):
    got = {}
    for name in ("plain", "chunks"):
        state, action, policy, q, logging = random_tables()
        if tied:  # the policy's rows also feed the states, as an item embedding does
            leaf = policy.weight.requires_grad_()
            state = state + leaf[action].cumsum(0)
        else:
            leaf = state.requires_grad_()
            policy.weight.requires_grad_()
        added = some_seen(len(state), len(policy.weight)) if seen else None
        if added is not None:
            added.item[0, 0] = action[0]  # the logged item is one of them
            added.value.requires_grad_()
            logging = logging._replace(added=some_seen(len(state), len(policy.weight), 3))
        arguments = state, action, policy, lpi(q, action), q, logging, added
        found = (
            plain_pass(*arguments)
            if name == "plain"
            else catalogue_pass(*arguments, chunk=chunk, tile=tile)
        )
        (3 * found.loss).backward()
        got[name] = [found.loss, found.weight, *found.statistics, leaf.grad, policy.weight.grad]
        got[name] += [] if added is None else [added.value.grad]
    for plain, chunks in zip(*got.values(), strict=True):
        torch.testing.assert_close(chunks, plain, rtol=1e-10, atol=1e-12)


def test_gradient_by_the_logits_is_w_times_pi_minus_onehot():
    state, action, policy, q, _ = random_tables()
    # States that are unit vectors make the table's gradient the logits' gradient, transposed.
    state = torch.eye(3, dtype=torch.float64)
    action, q = action[:3], q.at(slice(0, 3))
    policy.weight.requires_grad_()
    found = catalogue_pass(state, action, policy, lpi(q, action), q)
    found.loss.backward()
    pi = policy.weight.detach().T.softmax(-1)
    onehot = torch.nn.functional.one_hot(action, 7)
    torch.testing.assert_close(policy.weight.grad.T, found.weight[:, None] * (pi - onehot) / 3)


def test_the_weight_and_the_statistics_carry_no_gradient():
    state, action, policy, q, logging = random_tables()
    state.requires_grad_(), q[1].weight.requires_grad_(), policy.weight.requires_grad_()
    found = catalogue_pass(state, action, policy, lpi(q, action), q, logging)
    assert found.loss.requires_grad and not found.weight.requires_grad
    assert not any(value is not None and value.requires_grad for value in found.statistics)
    found.loss.backward()
    assert q[1].weight.grad is None


def test_a_policy_bias_is_refused_rather_than_left_without_gradient():
    state, action, policy, _, _ = random_tables()
    with pytest.raises(ValueError, match="bias"):
        catalogue_pass(state, action, Table(policy.weight, torch.zeros(7)), one)


def test_logits_far_apart_do_not_overflow():
    policy = Table(torch.tensor([[900.0], [-900.0]]))
    for tile in (1, 2):
        found = catalogue_pass(torch.ones(1, 1), torch.tensor([0]), policy, one, tile=tile)
        assert found.loss == 0
        other = catalogue_pass(torch.ones(1, 1), torch.tensor([1]), policy, one, tile=tile)
        assert math.isclose(other.loss, 1800, rel_tol=1e-6)


def test_means_of_q_stay_in_full_precision_under_autocast():
    state, action, policy, q, logging = random_tables(n=40, d=8, a=500)
    f = lambda t: t.float()  # noqa: E731
    tables: list[Any] = [
        Table(f(policy.weight)),
        Factors(f(q[0]), Table(f(q[1].weight), f(q[1].bias))),
        Factors(f(logging[0]), Table(f(logging[1].weight))),
    ]
    exact = catalogue_pass(f(state), action, tables[0], one, *tables[1:]).statistics
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = catalogue_pass(f(state), action, tables[0], one, *tables[1:]).statistics
    for name in ("log_pi", "expected_q", "logging_q", "max_q"):
        got, wanted = getattr(rough, name), getattr(exact, name)
        assert got.dtype == torch.float32, name
        torch.testing.assert_close(got, wanted, atol=0.1, rtol=0.05)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_under_autocast_are_those_of_full_precision_as_far_as_it_goes(dtype):
    state, action, policy, q, logging = random_tables(n=40, d=8, a=500)
    f = lambda t: t.float()  # noqa: E731
    gradients = []
    for enabled in (False, True):
        s, w = f(state).requires_grad_(), f(policy.weight).requires_grad_()
        with torch.autocast("cpu", dtype=dtype, enabled=enabled):
            found = catalogue_pass(
                s, action, Table(w), one, Factors(f(q[0]), Table(f(q[1].weight), f(q[1].bias))),
                Factors(f(logging[0]), Table(f(logging[1].weight))), chunk=7, tile=90,
            )  # fmt: skip
        found.loss.backward()
        gradients.append((s.grad, w.grad))
    for exact, rough in zip(*gradients, strict=True):
        assert rough.dtype == torch.float32
        assert (rough - exact).norm() < 0.02 * exact.norm()
        assert (rough != exact).any()


def test_a_logged_item_that_is_certain_has_no_loss_under_autocast():
    """Its logit is rounded as all logits are, or log π would be that rounding."""
    state, table = torch.tensor([[3.3, 1.7]]), torch.tensor([[10.1, 10.3], [0.0, 0.0]])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = catalogue_pass(state, torch.tensor([0]), Table(table), one)
    assert found.statistics.log_pi == 0


def test_a_state_that_learns_nothing_costs_no_gradient():
    state, action, policy, _, _ = random_tables()
    policy.weight.requires_grad_()
    catalogue_pass(state, action, policy, one).loss.backward()
    alone = policy.weight.grad.clone()
    policy.weight.grad = None
    state.requires_grad_()
    catalogue_pass(state, action, policy, one).loss.backward()
    assert state.grad is not None and torch.equal(policy.weight.grad, alone)


def test_the_first_of_equal_maxima_is_the_argmax_and_nan_is_not_passed_over():
    state, action = torch.ones(2, 1), torch.tensor([0, 1])
    q = Factors(state, Table(torch.tensor([1.0, 3.0, 2.0, 3.0, 0.0])[:, None]))
    for tile in (1, 2, 5):
        found = catalogue_pass(state, action, Table(torch.ones(5, 1)), one, q, tile=tile)
        statistics: Any = found.statistics
        assert statistics.argmax_q.tolist() == [1, 1]
        assert statistics.max_q.tolist() == [3, 3]
    q[1].weight[4] = math.nan
    found = catalogue_pass(state, action, Table(torch.ones(5, 1)), one, q, tile=2)
    statistics = found.statistics
    assert statistics.max_q.isnan().all()
