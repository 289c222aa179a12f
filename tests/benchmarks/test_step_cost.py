"""What the benchmark of a step times is a step, and the same one in every form."""

import pytest
import torch

from benchmarks import step_cost
from recbole_lpi.policy import losses as policy_losses


@pytest.mark.parametrize("model", step_cost.MODELS)
def test_all_forms_take_the_same_steps(model, monkeypatch):
    monkeypatch.setattr(policy_losses, "catalogue_pass", None)  # restored afterwards
    losses = {}
    forms = ["tiles", "plain", "native 5"][: 3 if model == "LoggingPolicy" else 2]
    for form in forms:
        step = step_cost.training_step(model, form, 30, 12)
        torch.manual_seed(1)  # of which Q head chooses
        losses[form] = torch.stack([step() for _ in range(4)])
    assert len(losses["plain"].unique()) == 4  # each moves something
    for form in forms:
        torch.testing.assert_close(losses[form], losses["plain"])
