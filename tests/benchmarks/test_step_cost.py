"""What the benchmark of a step times is a step, and the same one in both forms."""

import pytest
import torch

from benchmarks import step_cost


@pytest.mark.parametrize("model", step_cost.MODELS)
def test_both_forms_take_the_same_steps(model, monkeypatch):
    monkeypatch.setattr(step_cost.estimation, "catalogue_pass", None)  # restored afterwards
    losses = {}
    for form in step_cost.FORMS:
        step = step_cost.training_step(model, form, 30, 12)
        torch.manual_seed(1)  # of which Q head chooses
        losses[form] = torch.stack([step() for _ in range(4)])
    assert len(losses["plain"].unique()) == 4  # each moves something
    torch.testing.assert_close(losses["chunks"], losses["plain"])
