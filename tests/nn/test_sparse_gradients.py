"""Sparse gradients of tables, and the optimiser that updates the rows they name."""

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

from recbole_lpi.nn.catalogue import Table
from recbole_lpi.nn.sparse_gradients import LazyAdam, clip_gradients, slice_rows


def table(sparse, a=7, d=3):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(a, d, dtype=torch.float64))
    bias = torch.nn.Parameter(torch.randn(a, dtype=torch.float64))
    return weight, bias, Table(weight, bias, sparse)


def test_rows_get_the_same_gradient_sparse_or_dense():
    found = {}
    for sparse in (True, False):
        weight, bias, rows = table(sparse)
        state = torch.ones(2, 3, dtype=torch.float64) * torch.tensor([[1.0], [2.0]])
        inner = slice_rows(weight, 1, 6)
        taken = Table(inner, sparse=sparse).at(torch.tensor([[0, 4], [4, 4]]))
        loss = rows.gather(state, torch.tensor([2, 2])).square().sum() + taken.weight.pow(3).sum()
        loss = loss + rows.at(torch.tensor([0, 2])).outputs(state).sum()
        loss.backward()
        assert weight.grad.is_sparse is bias.grad.is_sparse is sparse
        found[sparse] = [g.to_dense() if sparse else g for g in (weight.grad, bias.grad)]
    for lazy, dense in zip(found[True], found[False], strict=True):
        torch.testing.assert_close(lazy, dense)


def test_a_stretch_takes_a_dense_gradient_too():
    weight = torch.nn.Parameter(torch.randn(5, 2))
    slice_rows(weight, 1, 4).square().sum().backward()
    expected = 2 * weight.detach()
    expected[[0, 4]] = 0
    torch.testing.assert_close(weight.grad, expected)


def take_steps(optimiser, weight, other, batches, sparse):
    for item in batches:
        optimiser.zero_grad(set_to_none=True)
        loss = F.embedding(item, weight, sparse=sparse).pow(2).sum() + other.pow(2).sum()
        loss.backward()
        optimiser.step()


def parameters():
    torch.manual_seed(2)
    return torch.nn.Parameter(torch.randn(6, 3)), torch.nn.Parameter(torch.randn(4))


def test_where_every_step_touches_every_row_it_is_adam():
    batches = [torch.arange(6)] * 5
    weight, other = parameters()
    take_steps(LazyAdam([weight, other], [weight], 0.1), weight, other, batches, True)
    dense, rest = parameters()
    take_steps(torch.optim.Adam([dense, rest], 0.1), dense, rest, batches, False)
    torch.testing.assert_close(weight, dense)
    torch.testing.assert_close(other, rest)


def test_rows_that_a_step_does_not_touch_stay_where_adam_moves_them():
    batches = [torch.arange(6), torch.tensor([1, 1, 4])]
    weight, other = parameters()
    optimiser = LazyAdam([weight, other], [weight], 0.1)
    take_steps(optimiser, weight, other, batches[:1], True)
    before = weight.detach().clone()
    take_steps(optimiser, weight, other, batches[1:], True)
    moved = (weight != before).any(1)
    assert moved.tolist() == [False, True, False, False, True, False]
    dense, rest = parameters()
    take_steps(torch.optim.Adam([dense, rest], 0.1), dense, rest, batches, False)
    assert (dense != before).any(1).all()


def test_its_state_goes_on_to_the_same_bits(tmp_path):
    batches = [torch.tensor([0, 3, 3]), torch.tensor([3, 5]), torch.tensor([0, 1])]
    weight, other = parameters()
    whole = LazyAdam([weight, other], [weight], 0.1)
    take_steps(whole, weight, other, batches, True)
    begun, rest = parameters()
    first = LazyAdam([begun, rest], [begun], 0.1)
    take_steps(first, begun, rest, batches[:2], True)
    torch.save(first.state_dict(), tmp_path / "state")
    second = LazyAdam([begun, rest], [begun], 0.7)
    second.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    take_steps(second, begun, rest, batches[2:], True)
    assert torch.equal(begun, weight) and torch.equal(rest, other)


@pytest.mark.parametrize("norm_type", [2.0, float("inf")])
@pytest.mark.parametrize("max_norm", [0.1, 1e6])
def test_clipping_is_that_of_dense_gradients(max_norm, norm_type):
    """A row touched twice has the sum of both as its gradient."""
    item, found = torch.tensor([1, 4, 4]), []
    for sparse in (True, False):
        weight, other = parameters()
        loss = F.embedding(item, weight, sparse=sparse).pow(2).sum() + other.pow(2).sum()
        loss.backward()
        clip = clip_gradients if sparse else clip_grad_norm_
        clip([weight, other], max_norm, norm_type)
        found.append((weight.grad.to_dense() if sparse else weight.grad, other.grad))
    for lazy, dense in zip(*found, strict=True):
        torch.testing.assert_close(lazy, dense)


def test_without_a_sparse_gradient_clipping_is_torchs():
    first, second = parameters(), parameters()
    for weight, other in (first, second):
        (weight.pow(2).sum() + other.pow(2).sum()).backward()
    clip_gradients(first, 0.3)
    clip_grad_norm_(second, 0.3)
    for ours, theirs in zip(first, second, strict=True):
        assert torch.equal(ours.grad, theirs.grad)


def test_a_closure_is_refused():
    weight, other = parameters()
    with pytest.raises(ValueError, match="closure"):
        LazyAdam([weight, other], [weight], 0.1).step(lambda: 0.0)
