"""A policy from its file in a world: its own numbers of items and kinds, what it cannot show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from recbole_lpi.data import Tokens
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.policy.checkpoint import LoadedPolicy
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation import (
    Histories,
    ShopSettings,
    WorldDescription,
    compare_policies,
    make_world,
    policy_of,
    roll_out,
    saved_policies,
    saved_policy,
)

SHOP = ShopSettings(n_items=9, dimension=2, max_events=6)
HOW = WorldDescription("shop", settings=SHOP)
ORDER = [4, 0, 8, 2, 6, 1, 3, 7, 5]  # the world's items as the policy numbers them
NAMES = ("purchase", "ignored", "click")


@pytest.fixture
def saved(tmp_path):
    return make_world(HOW, tmp_path)


def network(n_items=9, names=NAMES, first=True, inputs=("item", "event", "time_gap")):
    torch.manual_seed(0)
    of_network = NetworkSettings(hidden_size=8, inner_size=16, initializer_range=0.5, inputs=inputs)
    settings = PolicySettings(of_network, max_length=6, evaluate_first_event=first)
    return PolicyNetwork("LPI", settings, n_items, event_names=names).eval()


def loaded(monkeypatch, saved, mine, order):
    tokens = Tokens(["[PAD]", *(saved.tokens[number] for number in order)])
    monkeypatch.setattr(saved_policies, "load_policy", lambda path: LoadedPolicy(mine, tokens))
    return saved_policy("run", saved)


def histories():
    items, kinds = torch.tensor([[3, 9, 0], [1, 5, 2]]), torch.tensor([[1, 2, 0], [3, 1, 2]])
    times = torch.tensor([[0.0, 9.0, 0.0], [0.0, 70.0, 71.0]], dtype=torch.float64)
    return Histories(items, kinds, times, torch.tensor([2, 3]))


def test_items_and_kinds_are_read_and_shown_by_the_policys_own_numbers(monkeypatch, saved):
    mine, seen = network(), histories()
    found = loaded(monkeypatch, saved, mine, ORDER)(seen)
    own = {item + 1: number for number, item in enumerate(ORDER, 1)}
    kinds = {1: 2, 2: 3, 3: 1}  # ignored, click, purchase of the world, plus 1
    theirs = seen._replace(
        items=seen.items.clone().apply_(lambda item: own.get(item, 0)),
        kinds=seen.kinds.clone().apply_(lambda kind: kinds.get(kind, 0)),
    )
    expected = policy_of(mine)(theirs)
    for item in range(1, 10):
        torch.testing.assert_close(found[:, item - 1], expected[:, own[item] - 1])
    assert not torch.allclose(found, expected)


def test_what_it_does_not_know_it_neither_reads_nor_shows(monkeypatch, saved):
    mine = network(n_items=8)
    policy = loaded(monkeypatch, saved, mine, ORDER[1:])  # without the world's item 5
    found = policy(histories())
    assert (found[:, 4] == -torch.inf).all() and torch.isfinite(found).sum() == 16
    without = histories().take(torch.tensor([1]))
    without = without.keep(without.items != 5)
    torch.testing.assert_close(policy(without)[0], found[1])
    rolled = roll_out(saved.world, policy, 200, 0)
    assert 5 not in rolled.sessions.items and np.isfinite(rolled.log_probabilities).all()


def test_the_logging_policy_opens_for_one_without_a_start_token(monkeypatch, saved):
    policy = loaded(monkeypatch, saved, network(first=False), ORDER)
    assert not policy.opens
    both = histories()._replace(lengths=torch.tensor([0, 3]))
    both = both.keep(both.real)
    found, log_mu = policy(both), saved.world.logging_policy(both)
    torch.testing.assert_close(found[0], log_mu[0])
    assert not torch.allclose(found[1].log_softmax(-1), log_mu[1], atol=0.01)
    nothing = both.first(0)
    torch.testing.assert_close(policy(nothing), saved.world.logging_policy(nothing))


def test_in_an_engaged_world_it_reads_engaged_events_alone(monkeypatch, tmp_path):
    engaged = replace(HOW, settings=replace(SHOP, exposures="engaged"))
    saved = make_world(engaged, tmp_path)
    policy = loaded(monkeypatch, saved, network(names=("purchase", "click")), ORDER)
    assert policy.kind.tolist() == [0, 2, 1]
    assert len(roll_out(saved.world, policy, 100, 0).rewards) == 100


def test_one_of_another_data_set_is_refused(monkeypatch, saved, tmp_path):
    other = make_world(replace(HOW, seed=1), tmp_path)
    tokens = Tokens(["[PAD]", *other.tokens])
    monkeypatch.setattr(saved_policies, "load_policy", lambda path: LoadedPolicy(network(), tokens))
    with pytest.raises(SettingError, match=r"run ranks the item '.*-1', which the world in .* not"):
        saved_policy("run", saved)
    with pytest.raises(SettingError, match="reads the kinds of event click, ignored, and not pur"):
        loaded(monkeypatch, saved, network(names=("click", "ignored")), ORDER)
    blind = network(names=(), inputs=("item",))
    assert loaded(monkeypatch, saved, blind, ORDER).kind.tolist() == [0, 1, 2, 3]
    monkeypatch.setattr(saved_policies, "load_policy", lambda path: LoadedPolicy(blind, None))
    with pytest.raises(SettingError, match="earlier version"):
        saved_policy("run", saved)


def test_policies_are_compared_before_the_same_users(saved):
    world = saved.world
    told: list[int] = []

    def uniform(histories):
        return torch.zeros(len(histories.items), 9)

    found = compare_policies(
        world, {"u": uniform, "μ": world.logging_policy}, 500, 7, progress=told.append
    )
    same, other = found.policies["μ"], found.policies["u"]
    assert same.value == found.logging and same.difference.mean == same.difference.stderr == 0
    rewards = [roll_out(world, p, 500, 7).rewards for p in (world.logging_policy, uniform)]
    assert found.logging.mean == pytest.approx(rewards[0].mean())
    assert other.value.mean == pytest.approx(rewards[1].mean())
    difference = rewards[1] - rewards[0]
    assert other.difference.mean == pytest.approx(difference.mean())
    assert other.difference.stderr == pytest.approx(difference.std(ddof=1) / 500**0.5)
    assert other.difference.stderr < np.hypot(other.value.stderr, found.logging.stderr)
    assert sum(told) == 1500
