import math

import pytest
import torch

from recbole_lpi.nn.divergences import jensen_shannon


def by_loops(p, q):
    total = 0.0
    for a, b in zip(p, q, strict=True):
        middle = (a + b) / 2
        total += sum(x * math.log(x / middle) / 2 for x in (a, b) if x > 0)
    return total


@pytest.mark.parametrize(
    ("p", "q"),
    [([0.2, 0.8], [0.5, 0.5]), ([0.0, 0.3, 0.7], [0.4, 0.0, 0.6]), ([1.0, 0.0], [0.0, 1.0])],
)
def test_rows_equal_plain_loops(p, q):
    rows = torch.tensor([p, q], dtype=torch.float64).log()
    found = jensen_shannon(rows, rows.flip(0))
    torch.testing.assert_close(found, torch.full((2,), by_loops(p, q), dtype=torch.float64))


def test_nothing_differs_from_itself_and_nothing_by_more_than_log_2():
    row = torch.tensor([[0.1, 0.9, 0.0]]).log()
    assert jensen_shannon(row, row).item() == pytest.approx(0, abs=1e-7)
    other = torch.tensor([[0.0, 0.0, 1.0]]).log()
    assert jensen_shannon(row, other).item() == pytest.approx(math.log(2), abs=1e-6)
