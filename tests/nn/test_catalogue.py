"""Additions to the outputs of a few items, against the matrix that they are added to."""

import torch

from recbole_lpi.nn.catalogue import Factors, Table
from tests.support.catalogue_loops import some_seen

N, A, D = 9, 12, 3


def test_outputs_of_several_items_are_those_of_the_matrix_and_so_are_gradients():
    g = torch.Generator().manual_seed(0)
    state, rows = torch.randn(N, D, generator=g).double(), torch.randn(A, D, generator=g).double()
    item = torch.randint(A, (N, 5), generator=g)
    grads: list[torch.Tensor] = []
    factors = Factors(state, Table(rows), some_seen(N, A))
    assert factors.added is not None
    item[:, :2] = factors.added.item[:, :2].clamp_min(0)
    value = factors.added.value.requires_grad_()
    weight = torch.randn(N, 5, generator=g).double()
    for found in (factors.gather(item), factors.outputs().gather(1, item)):
        grads += torch.autograd.grad((weight * found).sum(), value)
    torch.testing.assert_close(factors.gather(item), factors.outputs().gather(1, item))
    torch.testing.assert_close(*grads)
    torch.testing.assert_close(factors.gather(item[:, 0]), factors.gather(item)[:, 0])
