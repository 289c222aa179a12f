"""SASRec sees the past and nothing else."""

from typing import Any

import pytest
import torch

from recbole_lpi.nn.sasrec import SASRec
from tests.support.encoders import EncoderSuite


def encoder(**changed):
    settings: dict[str, Any] = {
        "hidden_size": 8, "n_layers": 2, "n_heads": 2, "inner_size": 16, "hidden_dropout_prob": 0.0,
        "attn_dropout_prob": 0.0, "hidden_act": "gelu", "layer_norm_eps": 1e-12, "max_length": 6,
    }  # fmt: skip
    torch.manual_seed(0)
    return SASRec(**(settings | changed))


class TestSASRec(EncoderSuite):
    length = 6

    def make(self):
        return encoder()


def test_order_matters():
    net, items = encoder(), torch.randn(1, 3, 8)
    assert not torch.allclose(net(items)[:, -1], net(items[:, [1, 0, 2]])[:, -1])


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"n_heads": 3}, "not a multiple of n_heads"),
        ({"hidden_act": "tanhh"}, "hidden_act must be"),
        ({"initializer": "xavier"}, "initializer must be one of normal, xavier_normal"),
    ],
)
def test_impossible_shapes_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        encoder(**wrong)


def test_weights_begin_with_the_spread_of_their_initializer():
    size = {"hidden_size": 128, "inner_size": 512, "initializer_range": 0.05}
    for name in ("normal", "xavier_normal"):
        for key, weight in encoder(initializer=name, **size).named_parameters():
            if weight.dim() == 1:
                continue
            spread = 0.05
            if name == "xavier_normal" and "position" not in key:
                spread = (2 / sum(weight.shape)) ** 0.5
            assert float(weight.detach().std()) == pytest.approx(spread, rel=0.1), (name, key)


def test_a_longer_input_than_promised_is_refused():
    with pytest.raises(ValueError, match="L <= 6"):
        encoder()(torch.zeros(1, 7, 8))
