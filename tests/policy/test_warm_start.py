"""A warm start: rows by name, all else as it is, other shapes refused."""

from __future__ import annotations

import pytest
import torch

from recbole_lpi.data.batches import History
from recbole_lpi.data.identity import catalogue_hash
from recbole_lpi.data.tokens import PADDING, Tokens
from recbole_lpi.policy.checkpoint import policy_values, vocabulary_tensors
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import PolicySettings
from recbole_lpi.policy.warm_start import begin_from, source_of
from recbole_lpi.settings import SettingError, Values

OLD, NEW = ["a", "b", "c", "d", "e", "f"], ["f", "x", "c", "a", "y", "z", "e"]
KINDS, NEW_KINDS = ("click", "purchase"), ("purchase", "ignored", "click")


def made(name, items=OLD, kinds=KINDS, seed=0, **given):
    """A policy in which every weight says something."""
    torch.manual_seed(seed)
    gamma = {"gamma": 0.0} if name == "LPICB" else {"gamma": 0.5}
    settings = PolicySettings.of(
        Values({"MAX_ITEM_LIST_LENGTH": 4, "hidden_size": 6, "inner_size": 8, **gamma, **given})
    )
    network = PolicyNetwork(name, settings, len(items), 1.0, event_names=kinds)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network.eval()


def source(network, items=OLD):
    tokens = Tokens([PADDING, *items])
    return source_of(
        {
            "schema": 2, "model": network.name, "policy": policy_values(network),
            "n_items": len(tokens), "items": vocabulary_tensors(tokens),
            "catalogue": catalogue_hash(tokens),
            "state_dict": network.state_dict(),
        },
        "runs/old",
    )  # fmt: skip


def begin(network, other, items=NEW):
    return begin_from(network, Tokens([PADDING, *items]), source(other))


def history(items, kinds, of):
    """Items f, c, a, c, that were bought, clicked, clicked and bought, by their numbers."""
    names, events = "fcac", ("purchase", "click", "click", "purchase")
    return History(
        torch.tensor([[items.index(name) + 1 for name in names]]),
        torch.tensor([[kinds.index(event) + 1 for event in events]]),
        torch.tensor([[0, 3, 9, 1]]),
    )


def scores(network, items, kinds):
    """What it gives to the items that both catalogues have: logits, and outputs of its heads."""
    read = history(items, kinds, network)
    at = torch.tensor([[False, False, True, True]])
    state, seen = network.forward(read)[at], network.seen(read, at)
    both = [items.index(name) for name in NEW if name in OLD]
    found = {"logits": network.factors_of(state, seen).outputs()[:, both]}
    for name, head in network.heads.items():
        if name == "value":
            found[name] = head(state)
        elif name == "propensity":
            found[name] = head(state, seen).outputs()[:, both]
        else:
            for number, one in enumerate(head):
                q = one(state, network.policy_table)
                found[f"q {number}"] = q.value[:, None] + q.factors.outputs()[:, both]
    return found


@pytest.mark.parametrize("name", ["LoggingPolicy", "IPS", "LPIRL", "IQL"])  # all heads among them
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"q_head": "table", "tie_weights": False, "evaluate_first_event": True},
        {"q_head": "table", "encoder": "gru4rec", "inputs": ["item"]},
    ],
)
@torch.no_grad()
def test_items_and_kinds_that_both_have_are_scored_as_before(name, given):
    """Whatever has a row for each: a head that keeps one, and is not matched, would fail here."""
    old, network = made(name, **given), made(name, NEW, NEW_KINDS, seed=1, **given)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    found = begin(network, old)
    assert (found.kept, found.new, found.dropped) == (4, 3, 2)
    assert found.taken_heads == tuple(network.heads) and not found.fresh_heads
    theirs = scores(old, OLD, KINDS)
    for key, value in scores(network, NEW, NEW_KINDS).items():
        torch.testing.assert_close(value, theirs[key], msg=key)
    rows = network.item_embedding.weight
    for number, item in enumerate(NEW, 1):  # those of new items are as they were made
        assert torch.equal(rows[number], before["item_embedding.weight"][number]) == (
            item not in OLD
        )
    if network.reads_events:
        assert found.new_kinds == ("ignored",) and not found.dropped_kinds
        of_kinds = network.event_embedding.tables["event"].weight
        assert torch.equal(of_kinds[2], before["event_embedding.tables.event.weight"][2])
    if "evaluate_first_event" in given:
        assert torch.equal(rows[-1], old.item_embedding.weight[-1])


def test_a_catalogue_as_wide_as_the_states_is_told_from_them():
    """Six items and six units: linear layers have the shape of a table, and are none."""
    network = made("LPIRL", OLD[::-1], seed=1)
    old = made("LPIRL")
    begin(network, old, OLD[::-1])
    assert torch.equal(
        network.encoder.layers[0].output.weight, old.encoder.layers[0].output.weight
    ) and torch.equal(network.item_embedding.weight[1], old.item_embedding.weight[6])


def test_heads_that_the_other_policy_lacks_begin_fresh():
    network = made("LPIRL", seed=1)
    before = {name: value.clone() for name, value in network.heads.state_dict().items()}
    found = begin_from(network, Tokens([PADDING, *OLD]), source(made("LoggingPolicy")))
    assert found.fresh_heads and not found.taken_heads
    for name, value in network.heads.state_dict().items():
        assert torch.equal(value, before[name])
    assert "begin fresh: q" in str(found)
    back = begin_from(made("LoggingPolicy"), Tokens([PADDING, *OLD]), source(network))
    assert back.dropped_heads == ("q",) and "heads dropped: q" in str(back)


def test_what_a_training_fits_to_itself_is_not_taken():
    other = made("LoggingPolicy", fit_temperature=True)
    other.temperature.fill_(3.0)
    network = made("LoggingPolicy", fit_temperature=True, seed=1)
    begin(network, other, OLD)
    assert float(network.temperature) == 1.0


@pytest.mark.parametrize(
    "given, said",
    [
        ({"hidden_size": 8}, r"of shape \[7, 6\], and \[7, 8\] is needed: hidden_size 6 there and"),
        ({"MAX_ITEM_LIST_LENGTH": 9}, "MAX_ITEM_LIST_LENGTH 4 there and 9 here"),
        ({"evaluate_first_event": True}, "evaluate_first_event False there and True here"),
        ({"n_layers": 2}, "lacks the weights .*: n_layers 1 there and 2 here"),
        ({"repeat_head": False}, "has, and this run has not, .*: repeat_head True there and False"),
        ({"inputs": ["item"]}, "inputs .* there and .* here"),
    ],
)
def test_other_shapes_are_refused_and_nothing_is_taken(given, said):
    network = made("LPIRL", seed=1, **given)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(SettingError, match=f"init_from: runs/old .*{said}"):
        begin(network, made("LPIRL"), OLD)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_another_catalogue_and_weights_that_are_no_numbers_are_refused():
    with pytest.raises(SettingError, match="none of the items"):
        begin(made("LPI", ["p", "q"]), made("LPI"), ["p", "q"])
    other = made("LPI")
    with torch.no_grad():
        other.item_embedding.weight[2, 0] = float("nan")
    with pytest.raises(SettingError, match=r"runs/old.*not finite"):
        begin(made("LPI"), other, OLD)
