"""Whether Q heads learn from a log, at the learning rate and width that policies ship with."""

import numpy as np
import pytest
import torch

from recbole_lpi.data.batches import collate
from recbole_lpi.data.sessions import Part, flat_sessions, whole_of
from recbole_lpi.data.windows import training_windows
from recbole_lpi.nn.catalogue import Table
from recbole_lpi.nn.heads import BilinearQHead, TableQHead
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import PolicySettings
from tests.support.tiny import Config

ITEMS, SESSIONS, LENGTH, BATCH, RATE = 3000, 1500, 8, 64, 0.003


def shop(seed=0):
    """Sessions of random items, of which two fifths are returned to, and half of those bought."""
    rng = np.random.default_rng(seed)
    items = rng.integers(1, ITEMS + 1, (SESSIONS, LENGTH))
    again = np.zeros(items.shape, bool)
    for t in range(1, LENGTH):
        again[:, t] = rng.random(SESSIONS) < 0.4
        items[again[:, t], t] = items[again[:, t], rng.integers(0, t)]
    reward = np.where(again & (rng.random(items.shape) < 0.5), 1.0, 0.2)
    session = np.repeat(np.arange(SESSIONS), LENGTH)
    time = np.tile(np.arange(LENGTH), SESSIONS)
    event = np.zeros(items.size, np.int8)
    return flat_sessions(session, items.ravel(), time, reward.ravel(), event, ("click",))


def policy(**settings):
    config = Config(MAX_ITEM_LIST_LENGTH=20, advantage_estimator="analytic", **settings)
    torch.manual_seed(1)
    given = PolicySettings.of(config)
    return PolicyNetwork("LPIRL", given, ITEMS, max_reward=1.0, event_names=("click",))


def trained(model, epochs):
    """Mean TD loss of the last epoch, and the variance of what was rewarded in it."""
    store = shop()
    part = whole_of(store)
    windows = training_windows(store, part, 20, None, False)
    optimiser = torch.optim.Adam(model.parameters(), RATE, fused=True)
    for epoch in range(epochs):
        model.begin_epoch(epoch)
        losses, rewards = [], []
        order = np.random.default_rng(epoch).permutation(SESSIONS)
        for index in np.array_split(order, SESSIONS // BATCH):
            batch = collate(store, windows.take(index), model.settings.objective.gamma)
            parts = model.losses(batch).parts
            optimiser.zero_grad()
            sum(parts.values()).backward()
            optimiser.step()
            losses.append(float(parts["td loss"].detach()))
            rewards.append(batch.reward[batch.counts])
    return float(np.mean(losses)), float(torch.cat(rewards).var())


@torch.no_grad()
def advantages(model):
    """Q(x, a) − E_π[Q] of logged items in sessions not trained on, by head."""
    model.eval()
    store = shop(seed=1)
    part = Part(np.arange(200), store.offsets[:200], store.offsets[1:201])
    batch = collate(store, training_windows(store, part, 20, None, False), 0.0)
    state, action = model.forward(batch.history)[batch.counts], batch.action[batch.counts] - 1
    pi = model.policy_table.outputs(state).softmax(-1)
    found = []
    for head in model.heads["q"]:
        own = head(state, model.policy_table)
        every = own.value[:, None] + own.factors.outputs()
        found.append(every.gather(1, action[:, None]).squeeze(1) - (pi * every).sum(-1))
    return torch.stack(found)


@pytest.mark.parametrize("q_head", ["bilinear", "table"])
def test_without_a_look_ahead_q_is_closer_to_rewards_than_any_constant(q_head):
    loss, variance = trained(policy(gamma=0.0, q_head=q_head), epochs=8)
    assert loss < variance


def test_two_heads_agree_on_what_is_better_than_expected():
    model = policy(gamma=0.0)
    trained(model, epochs=16)
    assert torch.corrcoef(advantages(model))[0, 1] > 0.8


@pytest.mark.parametrize("kind", [BilinearQHead, TableQHead])
@pytest.mark.parametrize("size", [16, 64, 256])
def test_a_step_of_adam_moves_q_as_little_however_wide_the_state_is(kind, size):
    """With states as a layer norm leaves them: by a few learning rates, not by one for each unit.

    The part that is of the state alone is left out; it moves as any network does.
    """
    torch.manual_seed(0)
    head, rows = kind(50, size), Table(0.1 * torch.randn(50, size))
    state = torch.nn.functional.layer_norm(torch.randn(30, size), [size])
    item = torch.randint(50, (30,))
    head.value.requires_grad_(False)
    optimiser = torch.optim.Adam(head.parameters(), RATE)
    before = head(state, rows).of(item)
    (before - 1).square().mean().backward()
    optimiser.step()
    assert 0 < (head(state, rows).of(item) - before).detach().abs().max() < 10 * RATE
