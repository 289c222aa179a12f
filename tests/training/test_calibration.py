"""The temperature is that of the weights that are kept, and is kept with them."""

import copy

import pytest
import torch
from torch import nn

from recbole_lpi.training.calibration import fit_temperature


class Scaled(nn.Module):
    """Its least nll is at the temperature ``weight``."""

    temperature: torch.Tensor

    def __init__(self, weight: float, fitted: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.register_buffer("temperature", torch.tensor(3.0) if fitted else None)

    def nll(self) -> float:
        return float((self.temperature / self.weight.detach()).log().square()) + 1.0


def test_it_is_fitted_to_the_weights_that_are_kept_and_not_to_the_last(caplog):
    best, module = copy.deepcopy(Scaled(2.0).state_dict()), Scaled(0.5)
    with caplog.at_level("INFO"):
        assert fit_temperature(module, best, module.nll)
    assert module.weight == 2 and best["weight"] == 2
    assert float(best["temperature"]) == pytest.approx(2, rel=0.01)
    assert module.temperature == best["temperature"]
    module.temperature.fill_(1.0)
    assert float(best["temperature"]) == pytest.approx(2, rel=0.01)  # a copy
    before = 1 + torch.tensor(2.0).log().square()
    assert f"nll {before:.4f} -> 1.0000" in caplog.text


def test_where_there_is_none_nothing_is_measured():
    module = Scaled(2.0, fitted=False)
    assert not fit_temperature(module, module.state_dict(), lambda: pytest.fail("measured"))
    assert not fit_temperature(Scaled(2.0), None, lambda: pytest.fail("measured"))
