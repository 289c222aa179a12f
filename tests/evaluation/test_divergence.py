"""Divergences estimated on candidates against the exact ones over a small catalogue."""

import numpy as np
import pytest
import torch

from recbole_lpi.evaluation.divergence import DivergenceEstimator
from recbole_lpi.nn.catalogue import Factors, Table
from recbole_lpi.nn.ranking import ranking_of_logits

A, N = 300, 400


def policies(apart, seed=0):
    """Peaked logits of π, states and table of μ̂ near them, and how often items were logged."""
    torch.manual_seed(seed)
    popular = torch.linspace(4, 0, A)
    mu = 2 * torch.randn(N, A) + popular
    logits = mu + apart * torch.randn(N, A) + 0.3
    counts = (100 * popular.softmax(0)).round().numpy()
    return logits, mu, Table(torch.eye(A)), counts


def estimated(case, number, **seed):
    logits, state, table, counts = case
    return DivergenceEstimator(number, counts, torch.device("cpu"), **seed)(
        logits, Factors(state, table)
    )


def exact(case):
    logits, state, *_ = case
    found = ranking_of_logits(logits, torch.zeros(N, dtype=torch.int64), state)
    return found.js, found.kl


@pytest.mark.slow
@pytest.mark.parametrize(("apart", "number"), [(0.3, 128), (1.0, 128), (2.5, 1024)])
def test_within_their_standard_error_of_the_exact_divergences(apart, number):
    """On average over the events, and event by event: the errors in standard errors have size 1."""
    case = policies(apart)
    got, (js, kl) = estimated(case, number), exact(case)
    for value, stderr, true in ((got.js, got.js_stderr, js), (got.kl, got.kl_stderr, kl)):
        error = (value - true).double()
        of_mean = float(stderr.double().square().sum().sqrt()) / N
        assert abs(float(error.mean())) < 3 * of_mean
        assert 0.3 < float((error / stderr).square().mean().sqrt()) < 1.5
        assert of_mean < 0.05 * float(true.mean())


def test_the_error_falls_as_the_square_root_of_the_number_of_candidates():
    case = policies(1.0)
    few, many = estimated(case, 32), estimated(case, 512)
    for name, true in zip(("js", "kl"), exact(case), strict=True):
        size = [float((getattr(got, name) - true).square().mean().sqrt()) for got in (few, many)]
        assert size[1] < size[0] / 3  # 4 times smaller, as they are 16 times as many
        said = [float(getattr(got, f"{name}_stderr").mean()) for got in (few, many)]
        assert said[0] / said[1] == pytest.approx(4, rel=0.25)


def test_of_one_policy_from_itself_nothing():
    """Its logits up to a constant: 0 with standard error 0, whatever was drawn."""
    _, mu, table, counts = policies(0.0)
    got = estimated((mu + 3, mu, table, counts), 8)
    for value in got:
        assert float(value.abs().max()) < 1e-5


def test_what_the_policy_gave_up_is_found_by_popularity():
    """π on one item, μ̂ on another that was logged often: log 2, though π would never draw it."""
    logits, mu = torch.full((N, A), -30.0), torch.full((N, A), -30.0)
    logits[:, 7], mu[:, 3] = 30.0, 30.0
    counts = np.ones(A)
    counts[3] = 300
    got = estimated((logits, mu, Table(torch.eye(A)), counts), 64)
    assert float(got.js.min()) > 0.69 and float(got.js.max()) <= 0.6932


def test_the_same_candidates_each_time():
    case = policies(1.0)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second = estimated(case, 16), estimated(case, 16)
    assert torch.equal(first.js, second.js)
    assert not torch.equal(first.js, estimated(case, 16, seed=1).js)
    assert torch.equal(torch.get_rng_state(), before)  # training draws what it would have drawn
