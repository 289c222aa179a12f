"""TD targets against values worked by hand."""

import math

import pytest
import torch

from recbole_lpi.objectives import td


def test_bootstrap_target_stops_at_the_end_of_a_session():
    value = torch.tensor([0.8, math.nan], requires_grad=True)
    y = td.bootstrap_target(torch.tensor([0.2, 1.0]), torch.tensor([0.5, 0.0]), value)
    torch.testing.assert_close(y, torch.tensor([0.2 + 0.5 * 0.8, 1.0]))
    assert not y.requires_grad


def test_bootstrap_target_refuses_broadcasting():
    with pytest.raises(ValueError, match="must share one shape"):
        td.bootstrap_target(torch.zeros(2), torch.zeros(2), torch.zeros(2, 1))


def test_squared_error_moves_the_value_and_not_the_target():
    value = torch.tensor([0.5], requires_grad=True)
    target = torch.tensor([0.2], requires_grad=True)
    td.squared_error(value, target).sum().backward()
    torch.testing.assert_close(value.grad, torch.tensor([2 * (0.5 - 0.2)]))
    assert target.grad is None
