"""What holds of every encoder. A new one joins by a class of its own in a test module:

class TestMine(EncoderSuite):
    def make(self):
        return Mine(hidden_size=self.size, max_length=self.length)
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn


class EncoderSuite:
    """Checks of an encoder of ``size`` features and ``length`` positions, without dropout."""

    size, length = 8, 7
    looks_back = True  # whether a state depends on more than the item at its position

    def make(self) -> nn.Module:
        """The encoder; the same weights every time."""
        raise NotImplementedError

    def items(self, sessions: int = 3) -> Tensor:
        """Embeddings of the items of some sessions."""
        return torch.randn(
            sessions, self.length, self.size, generator=torch.Generator().manual_seed(1)
        )

    @pytest.mark.parametrize("padded", ["not", "left", "right"])
    def test_a_later_item_changes_no_earlier_state(self, padded: str) -> None:
        net, items = self.make().eval(), self.items()
        if padded == "left":
            items[:, :2] = 0
        if padded == "right":
            items[:, -2:] = 0
        before = net(items)
        for changed in range(self.length):
            other = items.clone()
            other[:, changed] = torch.randn(3, self.size)
            after = net(other)
            torch.testing.assert_close(after[:, :changed], before[:, :changed])
            assert not torch.allclose(after[:, changed], before[:, changed])

    def test_what_follows_right_padding_never_came(self) -> None:
        net, items = self.make().eval(), self.items()
        for zeros in (1, 3):
            items[:, -zeros:] = 0
            alone = net(items[:, :-zeros])
            torch.testing.assert_close(net(items)[:, :-zeros], alone)

    def test_a_state_at_every_position_in_the_type_of_its_input(self) -> None:
        for dtype in (torch.float32, torch.float64):
            items = self.items().to(dtype)
            states = self.make().eval().to(dtype)(items)
            assert states.shape == items.shape and states.dtype == dtype
            assert states.isfinite().all()

    def test_a_session_alone_has_the_states_that_it_has_in_a_batch(self) -> None:
        net, items = self.make().eval(), self.items()
        together = net(items)
        for row in range(len(items)):
            torch.testing.assert_close(net(items[row : row + 1])[0], together[row])

    def test_a_state_depends_on_earlier_items(self) -> None:
        net, items = self.make().eval(), self.items()
        other = items.clone()
        other[:, 1] = torch.randn(3, self.size)
        moved = (net(other) - net(items)).abs().amax(-1) > 1e-6
        assert not moved[:, 0].any() and moved[:, 1].all()
        assert moved[:, 2:].all() if self.looks_back else not moved[:, 2:].any()

    def test_every_parameter_gets_a_gradient(self) -> None:
        """So none is dead, such as an item table that nothing looks into."""
        net, items = self.make(), self.items().requires_grad_()
        (net(items) * torch.randn(items.shape)).sum().backward()
        assert items.grad is not None and items.grad.abs().sum() > 0
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
        assert set(net.state_dict()) == set(dict(net.named_parameters()))
