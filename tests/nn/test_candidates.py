"""Sampled softmax in float64: exact with every item, unbiased sums, a bias that shrinks."""

import math
from collections import Counter
from typing import Any

import pytest
import torch

from recbole_lpi.nn.candidates import (
    Candidates,
    InBatchSampler,
    LoggedItems,
    StratifiedSampler,
    candidate_pass,
)
from recbole_lpi.nn.catalogue import Factors, Table, plain_pass
from tests.support.catalogue_loops import some_seen

A, D, N, DRAWS = 40, 5, 6, 1000


def random_case(seed=0):
    torch.manual_seed(seed)
    r = lambda *shape: torch.randn(*shape, dtype=torch.float64)  # noqa: E731
    table, logging = Table(r(A, D), r(A)), Factors(r(N, D), Table(r(A, D)))
    state, policy = r(N, D).requires_grad_(), Table(r(A, D).requires_grad_())
    return state, torch.randint(A, (N,)), policy, Factors(r(N, D), table), logging


def apart(action):
    """Logged items, each of a session of its own."""
    return LoggedItems(action, torch.arange(len(action)))


ONE = apart(torch.zeros(1, dtype=torch.int64))


def by_everything(part, seen):
    """A weight that moves with every statistic."""
    return (0.1 * (seen.log_pi - seen.log_mu + seen.expected_q - seen.logging_q + seen.max_q)).exp()


def by_one(part, seen):
    return torch.ones_like(seen.log_pi)


def gradient(result, state, policy):
    found = torch.autograd.grad(result.loss, (state, policy.weight))
    return torch.cat([g.flatten() for g in found])


def every_item():
    return StratifiedSampler(torch.ones(A, dtype=torch.float64))


@pytest.mark.parametrize("seen", [(), ("π",), ("μ",), ("π", "μ")], ids=str)
def test_with_every_item_it_is_the_full_softmax(seen):
    state, action, policy, q, logging = random_case()
    added = some_seen(N, A) if "π" in seen else None
    if added is not None:
        added.item[0, 0] = action[0]
    if "μ" in seen:
        also = some_seen(N, A, 3)
        if added is not None:
            also.item[1:, :2] = added.item[1:, :2]  # which both have
            also.item[1:, 2:] = -1
        logging = logging._replace(added=also)
    candidates = every_item().draw(apart(action))
    assert candidates.item.tolist() == list(range(A)) and not candidates.log_weight.any()
    candidates = candidates._replace(item=candidates.item.flip(0))
    given = state, action, policy, by_everything, q, logging, added
    got = candidate_pass(*given, candidates=candidates)
    full = plain_pass(*given)
    close: dict[str, Any] = {"atol": 1e-10, "rtol": 0}
    torch.testing.assert_close(got.loss, full.loss, **close)
    torch.testing.assert_close(got.weight, full.weight, **close)
    for name, value in full.statistics._asdict().items():
        torch.testing.assert_close(getattr(got.statistics, name), value, **close, msg=name)
    torch.testing.assert_close(
        gradient(got, state, policy), gradient(full, state, policy), **close
    )  # fmt: skip


def test_every_number_is_what_plain_loops_over_the_candidates_give():
    """One item was drawn twice; the logged item of two events was drawn, that of the others not."""
    state, action, policy, q, logging = random_case(1)
    state_mu, table_mu, _ = logging
    action[0], action[1] = 7, 7
    item = torch.tensor([7, 11, 30])
    log_weight = torch.tensor([0.3, math.log(2 / 0.8), -1.0], dtype=torch.float64)
    got = candidate_pass(
        state, action, policy, by_one, q, logging,
        candidates=Candidates(item, log_weight),
    ).statistics  # fmt: skip
    state = state.detach()
    for n in range(N):
        a = int(action[n])
        others = [(int(j), float(w)) for j, w in zip(item, log_weight.exp(), strict=True) if j != a]
        chosen = [(a, 1.0), *others]

        def shares(s, table, chosen=chosen):
            size = [w * math.exp(float(s @ table.weight[j].detach())) for j, w in chosen]
            return [x / sum(size) for x in size]

        values = [float(q[0][n] @ q[1].weight[j] + q[1].bias[j]) for j, _ in chosen]
        statistics: Any = got
        p, mu = shares(state[n], policy), shares(state_mu[n], table_mu)
        assert got.log_pi[n].item() == pytest.approx(math.log(p[0]))
        assert statistics.log_mu[n].item() == pytest.approx(math.log(mu[0]))
        for found, share in ((statistics.expected_q, p), (statistics.logging_q, mu)):
            mean = sum(x * v for x, v in zip(share, values, strict=True))
            assert found[n].item() == pytest.approx(mean)
        assert statistics.max_q[n].item() == pytest.approx(max(values))
        assert int(statistics.argmax_q[n]) == chosen[values.index(max(values))][0]


def test_a_logged_item_that_was_drawn_counts_once():
    """Drawn or not, and however often: log π and the gradient do not know."""
    state, action, policy, *_ = random_case(2)
    state, action = state[:1], action[:1]
    other = (int(action) + 1) % A
    found = []
    for item in ([other], [other, int(action)]):
        candidates = Candidates(torch.tensor(item), torch.tensor([0.5, 1.7][: len(item)]))
        result = candidate_pass(state, action, policy, by_one, candidates=candidates)
        found.append((result.loss.item(), gradient(result, state, policy)))
    assert found[0][0] == found[1][0] and torch.equal(found[0][1], found[1][1])


def test_alone_with_its_logged_item_an_event_teaches_nothing():
    state, action, policy, *_ = random_case(3)
    alone = Candidates(action[:1], torch.zeros(1))
    result = candidate_pass(state[:1], action[:1], policy, by_one, candidates=alone)
    assert result.loss == 0 and not gradient(result, state, policy).any()


@pytest.mark.slow
def test_items_are_drawn_as_often_as_expected():
    torch.manual_seed(0)
    expected = torch.linspace(0.1, 0.9, A, dtype=torch.float64)
    expected[[3, 20, 21, 39]] = 1.0  # certain
    expected[expected < 1] *= 17 / expected[expected < 1].sum()
    sampler, draws = StratifiedSampler(expected), 20000
    counts = torch.zeros(draws, A)
    for row in counts:
        item, log_weight = sampler.draw(ONE)
        row[item] = (log_weight + expected[item].log()).exp().round().float()
        assert len(item.unique()) == len(item)
    assert (counts.sum(1) == 21).all()
    assert (counts[:, expected == 1] == 1).all() and counts.max() == 2
    stderr = counts.std(0) / math.sqrt(draws)
    assert ((counts.mean(0) - expected).abs() <= 4 * stderr + 1e-9).all()


def popularity(number):
    """Expected draws of a sampler that knows something of the policy, and not all."""
    weight = torch.linspace(1, 4, A, dtype=torch.float64)
    return number * weight / weight.sum()


def test_the_corrected_sum_is_unbiased_and_the_uncorrected_is_not():
    torch.manual_seed(0)
    logits = torch.randn(A, dtype=torch.float64) + torch.linspace(
        0, 3, A
    )  # it knows what is likely
    sampler = StratifiedSampler(popularity(8))
    drawn = []
    for _ in range(DRAWS):
        item, log_weight = sampler.draw(ONE)
        each = logits[item].exp()
        drawn.append([(each * log_weight.exp()).sum(), each.sum() * A / 8])
    sums = torch.tensor(drawn)
    far = (sums.mean(0) - logits.exp().sum()).abs() / (sums.std(0) / math.sqrt(len(sums)))
    assert far[0] < 4 and far[1] > 10


def in_batch_sums(counts, logits, own, seed=0):
    """Estimates of Σ exp(logit) over all items but the logged one, for the first event of ``own``.

    Its session comes with eleven events of others, drawn from the training data.
    """
    torch.manual_seed(seed)
    sampler, sums = InBatchSampler(counts), []
    for _ in range(DRAWS):
        others = torch.multinomial(counts.double(), 11, replacement=True)
        session = torch.tensor([7] * len(own) + [3, 3, 9, 9, 9, 1, 2, 2, 4, 5, 8])
        batch = LoggedItems(torch.cat([torch.tensor(own), others]), session)
        item, log_weight = sampler.draw(batch, torch.tensor([7, 9]))
        assert log_weight.shape == (2, len(item))
        sums.append((torch.exp(logits[item] + log_weight[0]) * (item != own[0])).sum())
    return torch.stack(sums)


def test_in_batch_the_events_of_other_sessions_are_draws_from_the_training_data():
    """Whatever the event's own session returned to: a rare item here, four times."""
    counts = torch.arange(1, 9)
    torch.manual_seed(0)
    logits = torch.randn(8, dtype=torch.float64)
    for own in ([5], [5, 0, 0, 0, 0]):
        sums = in_batch_sums(counts, logits, own)
        exact = logits.exp().sum() - logits[5].exp()
        assert abs(sums.mean() - exact) < 4 * sums.std() / math.sqrt(len(sums))


def test_in_batch_weights_are_what_loops_over_the_events_count():
    counts = torch.tensor([4, 3, 2, 1])
    batch = LoggedItems(torch.tensor([0, 1, 1, 3, 0]), torch.tensor([5, 5, 2, 2, 8]))
    item, log_weight = InBatchSampler(counts).draw(batch)
    assert item.tolist() == [0, 1, 3]
    for row, session in zip(log_weight.double().exp(), batch.session.tolist(), strict=True):
        others = [int(a) for a, s in zip(*batch, strict=True) if s != session]
        for weight, j in zip(row.tolist(), item.tolist(), strict=True):
            expected = others.count(j) / (len(others) * float(counts[j]) / 10)
            assert weight == pytest.approx(expected, rel=1e-6)


def test_a_session_alone_in_its_batch_has_no_candidates():
    batch = LoggedItems(torch.tensor([0, 1]), torch.tensor([5, 5]))
    assert InBatchSampler(torch.ones(3)).draw(batch).log_weight.eq(-math.inf).all()


@pytest.mark.slow
@pytest.mark.parametrize("expected", [popularity, lambda n: torch.full((A,), n / A).double()])
def test_the_bias_of_the_gradient_shrinks_with_the_number_of_candidates(expected):
    """To less than half with four times as many."""
    state, action, policy, q, logging = random_case(4)
    state = (0.5 * state).detach().requires_grad_()
    case = state, action, policy, by_everything, q._replace(state=state.detach()), logging
    full, away = gradient(plain_pass(*case), state, policy), []
    for number in (3, 12):
        sampler, mean = StratifiedSampler(expected(number)), torch.zeros_like(full)
        for _ in range(DRAWS):
            result = candidate_pass(*case, candidates=sampler.draw(apart(action)))
            mean += gradient(result, state, policy) / DRAWS
        away.append(float((mean - full).norm() / full.norm()))
    assert away[1] < away[0] / 2


def test_draws_differ_from_step_to_step_and_repeat_with_the_seed():
    sampler, action = StratifiedSampler(popularity(8)), torch.zeros(1, dtype=torch.int64)
    torch.manual_seed(1)
    first, second = (tuple(sampler.draw(apart(action)).item.tolist()) for _ in range(2))
    torch.manual_seed(1)
    again = tuple(StratifiedSampler(popularity(8)).draw(apart(action)).item.tolist())
    assert first == again != second
    assert len(Counter(first)) == len(first)


def test_shapes_are_checked():
    state, action, policy, *_ = random_case()
    with pytest.raises(ValueError, match="action"):
        every = every_item().draw(apart(action))
        candidate_pass(state, action[:2], policy, by_one, candidates=every)
