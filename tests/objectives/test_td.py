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


def test_expectile_error_weighs_what_lies_above_and_below():
    value, target = torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0])
    torch.testing.assert_close(
        td.expectile_error(value, target, 0.7),
        torch.tensor([2 * 0.7 * 0.25, 2 * 0.3 * 0.25]),
    )
    torch.testing.assert_close(
        td.expectile_error(value, target, 0.5), td.squared_error(value, target)
    )


def test_the_minimum_of_the_expectile_error_is_the_expectile():
    """Of {0, 1} with equal chance the τ-expectile is τ: τ (1 − v) = (1 − τ) v."""
    value = torch.linspace(0, 1, 1001)[:, None].expand(-1, 2)
    error = td.expectile_error(value, torch.tensor([0.0, 1.0]).expand_as(value), 0.8).sum(1)
    assert float(value[error.argmin(), 0]) == pytest.approx(0.8, abs=1e-3)


def test_discounted_sum_stops_at_the_end_of_each_session():
    value = torch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    decay = torch.tensor([0.5, 0.5, 0.0, 0.5, 0.0])
    got = td.discounted_sum(value, decay)
    torch.testing.assert_close(got, torch.tensor([1 + 0.5 * (2 + 0.5 * 4), 4.0, 4.0, 16.0, 16.0]))


@pytest.mark.parametrize("length", [1, 2, 7, 64, 65])
def test_discounted_sum_equals_the_recursion(length):
    torch.manual_seed(length)
    value = torch.randn(length, dtype=torch.float64)
    decay = torch.rand(length, dtype=torch.float64) * (torch.rand(length) > 0.2)
    decay[-1] = 0
    expected, total = [], 0.0
    for v, d in zip(value.tolist()[::-1], decay.tolist()[::-1], strict=True):
        total = v + d * total
        expected.append(total)
    torch.testing.assert_close(
        td.discounted_sum(value, decay), torch.tensor(expected[::-1], dtype=torch.float64)
    )
