"""A step of training against the same one by hand."""

import pytest
import torch

from recbole_lpi.policy.loss_parts import LossParts
from recbole_lpi.training import TrainingStep
from recbole_lpi.training.settings import Clipping

RATE = 0.5


def line(**parts):
    """A line through the origin, and a step on squared errors of it."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, 2.0)

    def losses(batch):
        x, y = batch
        error = (module(x) - y).square().mean()
        return LossParts(
            {"fit": error, "size": 0.1 * module.weight.square().sum()}, {"of": x.sum()}
        )

    optimizer = torch.optim.SGD(module.parameters(), RATE)
    return module, TrainingStep(module, losses, optimizer, **parts)


BATCH = torch.tensor([[1.0], [2.0]]), torch.tensor([[1.0], [3.0]])


def test_it_steps_down_the_sum_of_the_parts_and_tells_all():
    module, step = line()
    told = step(BATCH)
    gradient = (2 * 1 * (2 - 1) + 2 * 2 * (4 - 3)) / 2 + 0.2 * 2
    assert module.weight.item() == pytest.approx(2 - RATE * gradient)
    assert {name: value.item() for name, value in told.items()} == pytest.approx(
        {"fit": 1.0, "size": 0.4, "of": 3.0}
    )
    assert not any(value.requires_grad for value in told.values())


def test_a_clipped_gradient_has_the_largest_norm_allowed():
    module, step = line(clip=Clipping(max_norm=0.1))
    step(BATCH)
    assert module.weight.item() == pytest.approx(2 - RATE * 0.1, abs=1e-5)


def test_a_loss_that_is_not_finite_names_step_and_cure():
    module, step = line(cure="take a smaller step")
    with pytest.raises(FloatingPointError, match=r"epoch 3, step 7: take a smaller step"):
        step((BATCH[0] * float("inf"), BATCH[1]), 3, 7)
    assert module.weight.item() == 2.0


def test_its_state_goes_on_where_it_was():
    ours, theirs = line(), line()
    for _ in range(2):
        ours[1](BATCH)
    theirs[0].load_state_dict(ours[0].state_dict())
    theirs[1].load_state(ours[1].state(), "resume.pth")
    for _, step in (ours, theirs):
        step(BATCH)
    assert torch.equal(ours[0].weight, theirs[0].weight)
