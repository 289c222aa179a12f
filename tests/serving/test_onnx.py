"""A policy in ONNX gives the lists of its network, on batches and lengths of every kind."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from recbole_lpi.data.batches import History
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.policy.checkpoint import policy_values, vocabulary_tensors
from recbole_lpi.data.identity import catalogue_hash
from recbole_lpi.serving import load_policy
from recbole_lpi.serving.encoding import Encoded
from recbole_lpi.serving.onnx_export import Differs, check, export_onnx
from recbole_lpi.serving.onnx_graph import write_graph
from recbole_lpi.serving.onnx_policy import load_onnx
from recbole_lpi.settings import SettingError

ITEMS, LENGTH, KINDS = 40, 6, ("click", "purchase")
TOKENS = Tokens(["[PAD]", *(f"item {n}" for n in range(1, ITEMS + 1))])


def network(first=False, encoder=None, **given):
    torch.manual_seed(3)
    settings = PolicySettings(
        NetworkSettings(hidden_size=8, **given), max_length=LENGTH, evaluate_first_event=first
    )
    made = PolicyNetwork("LPI", settings, ITEMS, event_names=KINDS, encoder=encoder)
    with torch.no_grad():
        for weights in made.parameters():
            weights.add_(torch.randn_like(weights) * 0.3)
        made.item_embedding.weight[0] = 0
        if made.temperature is not None:
            made.temperature.fill_(1.7)
    return made.eval()


def kept(made, folder):
    """The network as the checkpoint of a run."""
    folder.mkdir(exist_ok=True)
    state = {
        "format": "recbole_lpi", "schema": 2, "model": "LPI", "config": {"dataset": "shop"},
        "policy": policy_values(made), "items": vocabulary_tensors(TOKENS),
        "catalogue": catalogue_hash(TOKENS), "data": "", "n_items": ITEMS + 1, "epoch": 0,
        "valid_score": 0.0, "state_dict": made.state_dict(),
    }  # fmt: skip
    torch.save(state, folder / "model.pth")
    return folder


def histories(number=60, seed=1):
    """Short ones, with repeats, and long ones, of which the last events are read."""
    draws = np.random.default_rng(seed)
    return [
        [
            (f"item {draws.integers(1, 12)}", KINDS[draws.integers(2)], 1.6e9 + 40.0 * i * i)
            for i in range(draws.integers(1, LENGTH + 3))
        ]
        for _ in range(number)
    ]


POLICIES = {
    "as it is": {},
    "opens sessions": {"first": True},
    "items alone": {"inputs": ("item",), "repeat_head": False},
    "repeats without kinds": {"inputs": ("item", "time_gap")},
    "own rows, tempered": {"tie_weights": False, "fit_temperature": True, "first": True},
    "two layers": {"n_layers": 2, "n_heads": 2, "hidden_act": "relu"},
    "gru4rec": {"encoder_name": "gru4rec", "n_layers": 2, "encoder_args": {"hidden_size": 5}},
    "nextitnet": {"encoder_name": "nextitnet", "first": True, "encoder_args": {"block_num": 2}},
}


@pytest.mark.parametrize("given", POLICIES.values(), ids=POLICIES)
def test_the_graph_gives_the_lists_of_the_network(given, tmp_path):
    given = dict(given)
    if "encoder_name" in given:
        given |= {"encoder": None, "network_encoder": given.pop("encoder_name")}
        name = given.pop("network_encoder")
        given.pop("encoder")
        torch.manual_seed(3)
        first = given.pop("first", False)
        settings = PolicySettings(
            NetworkSettings(hidden_size=8, encoder=name, **given), max_length=LENGTH,
            evaluate_first_event=first,
        )  # fmt: skip
        made = PolicyNetwork("LPI", settings, ITEMS, event_names=KINDS).eval()
    else:
        made = network(**given)
    run = kept(made, tmp_path / "run")
    found = export_onnx(run, tmp_path / "policy.onnx", histories(), k=7)
    assert found.sessions == 60 and found.same > 50 and found.largest < 1e-4
