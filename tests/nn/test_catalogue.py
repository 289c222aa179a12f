"""The catalogue pass against plain loops over events and items."""

import math

import torch

from recbole_lpi.nn.catalogue import Table, catalogue_pass, ranking_of_logits, ranking_pass


def random_tables(n=5, d=3, a=7):
    g = torch.Generator().manual_seed(1)
    r = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    action = torch.randint(a, (n,), generator=g)
    return r(n, d), action, Table(r(a, d)), Table(r(a, d), r(a)), (r(n, d), Table(r(a, d)))


def loop_softmax(logits):
    top = max(logits)
    z = sum(math.exp(x - top) for x in logits)
    return [math.exp(x - top) / z for x in logits]


def loop_kl(p, q):
    return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))


def test_statistics_equal_plain_loops():
    state, action, policy, q, logging = random_tables()
    got = catalogue_pass(state, action, policy, q, logging)
    for i in range(len(state)):
        pi = loop_softmax([float(state[i] @ w) for w in policy.weight])
        mu = loop_softmax([float(logging[0][i] @ w) for w in logging[1].weight])
        values = [float(state[i] @ w + b) for w, b in zip(q.weight, q.bias, strict=True)]
        assert math.isclose(got.log_pi[i], math.log(pi[action[i]]), abs_tol=1e-12)
        assert math.isclose(got.expected_q[i], sum(p * v for p, v in zip(pi, values, strict=True)))
        assert math.isclose(got.logging_q[i], sum(m * v for m, v in zip(mu, values, strict=True)))
        assert math.isclose(got.max_q[i], max(values))
        assert got.argmax_q[i] == values.index(max(values))


def test_only_log_pi_carries_a_gradient():
    state, action, policy, q, _ = random_tables()
    state.requires_grad_(), q.weight.requires_grad_()
    got = catalogue_pass(state, action, policy, q)
    assert got.log_pi.requires_grad
    assert not got.expected_q.requires_grad and not got.max_q.requires_grad


def test_rank_by_hand_with_ties():
    logits = torch.tensor([[0.3, 0.9, 0.3, 0.3], [2.0, 1.0, 0.0, -1.0]])
    got = ranking_of_logits(logits, torch.tensor([2, 0]))
    # one item is ahead and three tie: places 2, 3 and 4 with mean 3
    assert got.rank.tolist() == [3.0, 1.0]
    assert got.greedy_item.tolist() == [1, 0]
    assert got.js is None and got.kl is None


def test_divergence_equals_plain_loops():
    state, action, policy, _, logging = random_tables()
    got = ranking_pass(state, action, policy, logging)
    for i in range(len(state)):
        pi = loop_softmax([float(state[i] @ w) for w in policy.weight])
        mu = loop_softmax([float(logging[0][i] @ w) for w in logging[1].weight])
        mix = [(p + m) / 2 for p, m in zip(pi, mu, strict=True)]
        js = (loop_kl(pi, mix) + loop_kl(mu, mix)) / 2
        assert math.isclose(got.js[i], js, abs_tol=1e-12)
        assert math.isclose(got.kl[i], loop_kl(pi, mu), abs_tol=1e-12)
        assert math.isclose(got.log_mu[i], math.log(mu[action[i]]), abs_tol=1e-12)


def test_divergence_of_a_policy_from_itself_is_zero_and_of_strangers_log_2():
    logits = torch.tensor([[50.0, -50.0], [50.0, -50.0]])
    other = torch.tensor([[50.0, -50.0], [-50.0, 50.0]])
    got = ranking_of_logits(logits, torch.tensor([0, 0]), other)
    torch.testing.assert_close(got.js, torch.tensor([0.0, math.log(2)]))
    torch.testing.assert_close(got.kl, torch.tensor([0.0, 100.0]))
