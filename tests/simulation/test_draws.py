"""Drawing by inverse CDF against the cumulative sum of a whole row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recbole_lpi.simulation import Histories, draw, draw_items


@pytest.mark.parametrize("items", [1, 2, 7, 100, 331])
def test_a_draw_is_the_first_item_above_the_number(items):
    draws = torch.Generator().manual_seed(items)
    weight = torch.rand(200, items, generator=draws) ** 3
    weight[:, ::3] *= torch.rand(200, 1, generator=draws) < 0.5
    weight[:, -1] += 1e-3 * (weight.sum(-1) == 0)
    uniform = torch.rand(200, generator=draws, dtype=torch.float64)
    column, log_p = draw(weight, uniform)
    p = weight.double() / weight.double().sum(-1, keepdim=True)
    expected = (p.cumsum(-1) > uniform[:, None]).double().argmax(-1)
    assert torch.equal(column, expected)
    found = p.gather(1, column[:, None]).squeeze(1).log()
    assert log_p.numpy() == pytest.approx(found.numpy(), abs=1e-6)


@pytest.mark.parametrize("number", [0.0, 0.3, 1 - 2**-53])
def test_what_has_no_weight_is_never_drawn(number):
    weight = torch.zeros(50, 40)
    weight[torch.arange(50), torch.arange(50) % 40] = 1e-30
    weight[:, 20] += 1e-30 * (torch.arange(50) % 2)
    column, log_p = draw(weight, torch.full((50,), number, dtype=torch.float64))
    assert (weight[torch.arange(50), column] > 0).all() and torch.isfinite(log_p).all()


def test_draws_have_their_probabilities():
    logits = torch.tensor([[1.0, -torch.inf, 0.0, 2.0, -1.0]])
    draws = torch.Generator().manual_seed(0)
    uniform = torch.rand(40_000, generator=draws, dtype=torch.float64)
    empty = torch.zeros(40_000, 0, dtype=torch.int64)
    nothing = Histories(empty, empty, empty.double(), empty.sum(1))
    item, log_p = draw_items(lambda h: logits.expand(len(h.items), -1), nothing, uniform)
    counts = np.bincount(item.numpy(), minlength=6)[1:]
    expected = 40_000 * logits.softmax(-1)[0].numpy()
    there = expected > 0
    assert counts[1] == 0
    assert ((counts[there] - expected[there]) ** 2 / expected[there]).sum() < 21.1  # χ² of 3, 1e-4
    assert log_p.exp().numpy() == pytest.approx(logits.softmax(-1)[0][item - 1].numpy(), rel=1e-5)
