"""Weighted factorisation against the full weighted least-squares problem, written down densely."""

from itertools import islice, pairwise

import pytest
import torch

from recbole_lpi.nn import factorization
from recbole_lpi.nn.factorization import Ratings, Weighting, half_step, objective, sweeps
from recbole_lpi.settings import SettingError

U, A, K, R_M = 9, 6, 3, 2.0
F64 = torch.float64


@pytest.fixture(params=[2**23, 20])
def dense(request, monkeypatch):
    """Ratings [U, A], which of them are observed, and some factors; in one chunk and in many."""
    monkeypatch.setattr(factorization, "CHUNK_ELEMENTS", request.param)
    torch.manual_seed(0)
    observed = torch.rand(U, A) < 0.5
    observed[3] = False  # a user without a rating
    return torch.randint(1, 6, (U, A)).to(F64), observed, torch.randn(A, K, dtype=F64)


def sparse(ratings, observed):
    offsets = torch.cat([torch.zeros(1, dtype=torch.int64), observed.sum(1).cumsum(0)])
    return Ratings(offsets, observed.nonzero()[:, 1], (ratings - R_M)[observed], ratings.shape[1])


def weights_and_targets(ratings, observed, missing):
    weight = torch.where(observed, torch.tensor(1.0, dtype=F64), torch.tensor(missing, dtype=F64))
    return weight, torch.where(observed, ratings - R_M, torch.tensor(0.0, dtype=F64))


def plain_objective(ratings, observed, p, q, missing, regularization):
    weight, target = weights_and_targets(ratings, observed, missing)
    norms = p.square().sum(1)[:, None] + q.square().sum(1)
    return float((weight * ((target - p @ q.T).square() + regularization * norms)).sum())


@pytest.mark.parametrize("missing", [0.0, 0.01, 0.3, 1.0])
def test_half_step_is_the_direct_solution_of_the_full_problem(dense, missing):
    ratings, observed, q = dense
    weight, target = weights_and_targets(ratings, observed, missing)
    got = half_step(sparse(ratings, observed), q, Weighting(missing, 0.07))
    for u in range(U):
        root = weight[u].sqrt()[:, None]
        ridge = (0.07 * weight[u].sum()).sqrt() * torch.eye(K, dtype=F64)
        left = torch.cat([root * q, ridge])
        right = torch.cat([root * target[u, :, None], torch.zeros(K, 1, dtype=F64)])
        expected = torch.linalg.pinv(left) @ right  # also of the user without weight: zeros
        assert (got[u] - expected.squeeze(1)).abs().max() < 1e-8


@pytest.mark.parametrize("missing", [0.0, 0.05])
def test_objective_is_the_double_sum_and_falls_at_every_half_step(dense, missing):
    ratings, observed, q = dense
    matrix, weighting = sparse(ratings, observed), Weighting(missing, 0.07)
    values = []
    for _ in range(4):
        p = half_step(matrix, q, weighting)
        values.append(objective(matrix, p, q, weighting))
        assert values[-1] == pytest.approx(plain_objective(ratings, observed, p, q, missing, 0.07))
        q = half_step(matrix.transposed(), p, weighting)
        values.append(objective(matrix, p, q, weighting))
        assert values[-1] == pytest.approx(plain_objective(ratings, observed, p, q, missing, 0.07))
    assert all(after < before for before, after in pairwise(values))


def test_without_weight_on_missing_entries_it_is_factorisation_of_the_observed(dense):
    """Zhou et al. (2008): (Q_uᵀQ_u + λ n_u I) p = Q_uᵀ r_u over the n_u observed entries."""
    ratings, observed, q = dense
    p = half_step(sparse(ratings, observed), q, Weighting(0.0, 0.07))
    for u in range(U):
        own, r = q[observed[u]], (ratings[u] - R_M)[observed[u]]
        if len(own):
            left = own.T @ own + 0.07 * len(own) * torch.eye(K, dtype=F64)
            torch.testing.assert_close(p[u], torch.linalg.solve(left, own.T @ r))
        else:
            assert not p[u].any()


@pytest.mark.slow
def test_sweeps_end_at_a_stationary_point_of_the_double_sum(dense):
    ratings, observed, q = dense
    matrix, weighting = sparse(ratings, observed), Weighting(0.05, 0.07)
    *_, (p, q) = islice(sweeps(matrix, q, weighting), 1000)
    p, q = p.clone().requires_grad_(), q.clone().requires_grad_()
    weight, target = weights_and_targets(ratings, observed, 0.05)
    norms = p.square().sum(1)[:, None] + q.square().sum(1)
    (weight * ((target - p @ q.T).square() + 0.07 * norms)).sum().backward()
    assert p.grad is not None and q.grad is not None
    assert p.grad.abs().max() < 1e-4 and q.grad.abs().max() < 1e-4


@pytest.mark.parametrize(("rank", "chunks"), [(2, [40] * 3), (20, [2] * 60)])
def test_a_chunk_is_bounded_by_the_larger_of_its_two_blocks(rank, chunks, monkeypatch):
    """[rows, 10 ratings, rank], or the matrices [rows, rank, rank] to be solved."""
    monkeypatch.setattr(factorization, "CHUNK_ELEMENTS", 800)
    sizes, solve = [], torch.linalg.cholesky_ex
    monkeypatch.setattr(
        torch.linalg, "cholesky_ex", lambda left: (sizes.append(len(left)), solve(left))[1]
    )
    observed = torch.arange(50).expand(120, 50) < 10
    matrix = sparse(torch.full((120, 50), 4.0, dtype=F64), observed)
    half_step(matrix, torch.randn(50, rank, dtype=F64), Weighting(0.1, 0.07))
    assert sizes == chunks


def test_a_regularization_lost_in_rounding_is_refused():
    matrix = sparse(torch.full((2, 5), 4.0, dtype=F64), torch.ones(2, 5, dtype=torch.bool))
    factors, weighting = torch.ones(5, 3, dtype=F64), Weighting(0.0, 1e-9)
    assert half_step(matrix, factors, weighting).isfinite().all()
    with pytest.raises(SettingError, match=r"1e-09 is too small for rank 3 in float32; raise it"):
        half_step(matrix._replace(value=matrix.value.float()), factors.float(), weighting)


def test_transposed_twice_is_the_same(dense):
    ratings, observed, _ = dense
    matrix = sparse(ratings, observed)
    for one, other in zip(matrix, matrix.transposed().transposed(), strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


@pytest.mark.parametrize(
    ("missing", "regularization", "words"),
    [(-0.1, 1, "missing_weight must be in"), (2, 1, "missing_weight"), (0, 0, "regularization")],
)
def test_weightings_that_are_none(missing, regularization, words):
    with pytest.raises(ValueError, match=words):
        Weighting(missing, regularization)
