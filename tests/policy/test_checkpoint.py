"""A policy's file: what it carries is what it was, for every policy and every name of an item."""

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
import torch

from recbole_lpi.data.batches import History
from recbole_lpi.data.identity import catalogue_hash
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.policy import load_policy
from recbole_lpi.policy.checkpoint import (
    check_catalogue,
    policy_values,
    read_checkpoint,
    vocabulary,
    vocabulary_tensors,
)
from recbole_lpi.settings import SettingError
from recbole_lpi.training.learner import PolicyLearner
from tests.support.tiny import N_ITEMS, make

NAMES = ["[PAD]", "a", "", "é", "naïve\nline", "日本", " spaced "]


def written(policy: Any, path: Any) -> Any:
    tokens = Tokens(NAMES)
    state = {
        "format": "recbole_lpi", "schema": 2, "model": policy.name, "config": {"dataset": "shop"},
        "policy": policy_values(policy), "items": vocabulary_tensors(tokens),
        "catalogue": catalogue_hash(tokens), "data": "", "validation": None, "n_items": N_ITEMS,
        "epoch": 0, "valid_score": 0.5, "state_dict": policy.state_dict(),
    }  # fmt: skip
    torch.save(state, path)
    return path


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_policy_is_built_again_from_its_file(name, tmp_path):
    policy = make(name).float()
    network, items = load_policy(written(policy, tmp_path / "model.pth"))
    assert (network.name, network.settings) == (name, policy.settings)
    assert network.max_reward == policy.max_reward and not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())
    for key, value in policy.state_dict().items():
        assert torch.equal(network.state_dict()[key], value), key
    assert items is not None and items.tolist() == NAMES


@pytest.mark.parametrize(
    "settings",
    [{"tie_weights": False}, {"evaluate_first_event": True}, {"encoder": "gru4rec"},
     {"encoder": "nextitnet", "encoder_args": {"block_num": 1, "dilations": [1, 2]}},
     {"softmax": "sampled", "candidate_sampling": {"sample_num": 3}, "learner": "sparse_adam"}],
    ids=str,
)  # fmt: skip
def test_so_is_one_of_other_settings_and_it_ranks_alike(settings, tmp_path):
    policy = make("LPIRL", **settings).float().eval()
    network, _ = load_policy(written(policy, tmp_path / "model.pth"))
    items = torch.tensor([[3, 1, 5, 0], [2, 0, 0, 0]])
    history = History(items, (items > 0).long(), 0 * items), torch.tensor([3, 1])
    with torch.no_grad():
        ours, theirs = (p.last_factors(*history).outputs() for p in (policy, network))
    torch.testing.assert_close(ours, theirs)  # a GRU rounds otherwise where nothing is trained


@pytest.mark.parametrize("text", [NAMES, [*NAMES, "x" * 100_000], ["[PAD]"]], ids=len)
def test_names_of_items_are_kept_of_a_slice_of_a_column_too(text):
    whole = pa.array(["before", *text, "after"], pa.large_string())
    for tokens in (Tokens(text), Tokens(whole.slice(1, len(text)))):
        state = {
            "schema": 2, "n_items": len(text), "items": vocabulary_tensors(tokens),
            "catalogue": catalogue_hash(text),
        }  # fmt: skip
        found = vocabulary(state, "model.pth")
        assert found is not None and found.tolist() == text


def test_a_policy_that_reads_kinds_is_refused_where_they_are_numbered_otherwise(tmp_path):
    def data(*kinds: str) -> Any:
        return SimpleNamespace(
            item_tokens=NAMES, item_num=N_ITEMS, dataset_name="shop",
            sessions=SimpleNamespace(event_names=kinds),
        )  # fmt: skip

    reads = {"inputs": ["item", "event"]}
    state = read_checkpoint(written(make("LPI", **reads), tmp_path / "model.pth"))
    check_catalogue(state, data("click", "purchase"), "model.pth")
    for other in (("purchase", "click"), ("click", "purchase", "cart"), ("click",)):
        with pytest.raises(SettingError, match="kinds of event click, purchase"):
            check_catalogue(state, data(*other), "model.pth")
    blind = read_checkpoint(written(make("LPI", inputs=["item"]), tmp_path / "model.pth"))
    check_catalogue(blind, data("purchase", "click"), "model.pth")
    policy, mu = make("LPI", **reads), make("LoggingPolicy", **reads)
    policy.compare_with(mu)
    mu.event_names = ("purchase", "click")
    with pytest.raises(ValueError, match="the logging policy reads the kinds of event purchase"):
        policy.compare_with(mu)
    with pytest.raises(SettingError, match="give it event_names of this data"):
        PolicyLearner(policy).epochs(data("view"), None, torch.device("cpu"), None)  # type: ignore
