"""What holds of every objective. A new one joins by a row of ``plain_loops.WEIGHTS``, which says
what an event weighs, and a class of its own in a test module:

class TestMine(ObjectiveSuite):
    name, variants = "Mine", [{"weight_clip": 0.9}]
"""

from typing import Any, ClassVar

import pytest
import torch

from recbole_lpi.nn.catalogue import Factors, Table
from recbole_lpi.nn.heads import BilinearQHead, PropensityHead, ValueHead
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.policy import losses as policy_losses
from tests.support.plain_loops import check_against_loops, fixed_negatives, shipped_settings
from tests.support.tiny import learn_something

ITEMS_ALONE = {"inputs": ["item"], "repeat_head": False}  # the paper's


class ObjectiveSuite:
    """Checks of the objective ``name`` with the settings it is shipped with, and ``variants``."""

    name: str
    variants: ClassVar[list[dict[str, Any]]] = []
    weighs_alike: ClassVar[bool] = False  # whether every event's log π has one weight

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "settings" in metafunc.fixturenames:
            told = ("-".join(map(str, one.values())) for one in self.variants)
            more = (pytest.param(one, marks=pytest.mark.slow) for one in self.variants)
            names = ["shipped", "items alone", *told]
            metafunc.parametrize("settings", [{}, ITEMS_ALONE, *more], ids=names)

    @pytest.fixture(autouse=True)
    def same_negatives(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(policy_losses, "sample_negatives", fixed_negatives)

    def test_loss_and_gradient_equal_plain_loops(self, settings: dict[str, Any]) -> None:
        for seed in range(2):
            check_against_loops(self.name, settings, seed)

    def test_gradient_identity(self) -> None:
        check_gradient_identity(self.name, self.weighs_alike)


def losses_on_logits(name, logits, **changes):
    """``compute_losses`` of states that are logits: a unit per item, and the items' table is I."""
    s = shipped_settings(name, **changes)
    objective, (n, a) = OBJECTIVES[name], logits.shape
    torch.manual_seed(5)
    q = (BilinearQHead(a, a).double(), BilinearQHead(a, a).double())
    for head in q:
        learn_something(head)
    value = ValueHead(a).double()
    mu = PropensityHead(a, a, 1.0).double()
    needed = objective.heads(s)
    heads = policy_losses.Heads(
        q if "q" in needed else None, value if "value" in needed else None,
        mu if "propensity" in needed else None,
    )  # fmt: skip
    reward = torch.tensor([0.2, 1.0, 0.2, 0.5], dtype=torch.float64)
    discount = torch.tensor([1.0, 1.0, 0, 0], dtype=torch.float64) * s.gamma
    events = policy_losses.Events(
        logits, torch.arange(n), reward, discount, 2 * reward, reward * 0 + 1, reward * 0 + 1
    )
    policy = Factors(logits, Table(torch.eye(a, dtype=torch.float64)))
    return policy_losses.compute_losses(events, policy, objective, s, heads), (*q, value, mu)


def check_gradient_identity(name, weighs_alike=False):
    """∂loss/∂logits = w (π − onehot) / N, and nothing flows through the weight into a head."""
    torch.manual_seed(1)
    logits = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    step, heads = losses_on_logits(name, logits)
    weight = step.policy.weight
    assert not weight.requires_grad
    if not weighs_alike:
        assert weight.std() > 1e-3
    step.policy.loss.backward()
    onehot = torch.eye(6, dtype=torch.float64)[:4]
    expected = weight[:, None] * (logits.detach().softmax(-1) - onehot) / 4
    torch.testing.assert_close(logits.grad, expected)
    assert all(p.grad is None for head in heads for p in head.parameters())
