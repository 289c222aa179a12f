"""Policies on problems small enough to be solved by hand: do they find what the paper says?

A tabular encoder gives every state a row of its own, [logits of π, one-hot of the state], so that
nothing stands between an objective and its optimum but the optimiser.
"""

import functools

import pytest
import torch

from recbole_lpi.data.batches import Batch
from recbole_lpi.nn.catalogue import Factors, Table, plain_pass
from recbole_lpi.nn.heads import QValues
from recbole_lpi.objectives import Estimates, ObjectiveSettings, weights
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import PolicySettings
from tests.support.tiny import Config

A = 4  # items; the state is the item seen last, and in the MDP item 3 ends a session
BETA, GAMMA = 0.5, 0.8
MU = torch.tensor(
    [[0.4, 0.3, 0.2, 0.1], [0.1, 0.5, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]], dtype=torch.float64
)
REWARD = torch.tensor(
    [[0.0, 0.5, 0.2, 1.0], [0.9, 0.1, 0.3, 0.0], [0.2, 0.0, 0.6, 0.4]], dtype=torch.float64
)
STATES = len(MU)


class Tabular(torch.nn.Module):
    """One-hot items [B, L, 2A] to states [logits, one-hot] [B, L, 2A]."""

    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.zeros(A, A))

    def forward(self, items):
        seen = items[..., :A]
        return torch.cat([seen @ self.logits, seen], -1)


class TabularV(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.v = torch.nn.Parameter(torch.zeros(A))

    def forward(self, state):
        return state[..., A:] @ self.v


class TabularQ(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.q = torch.nn.Parameter(torch.zeros(A, A))  # [action, state]

    def forward(self, state, rows):
        table = Table(torch.cat([torch.zeros_like(self.q), self.q], 1))
        return QValues(torch.zeros_like(state[:, 0]), Factors(state, table))


def tabular(name, **settings):
    config = Config(
        MAX_ITEM_LIST_LENGTH=30, hidden_size=2 * A, beta=BETA, inputs=["item"], repeat_head=False,
        **settings,
    )  # fmt: skip
    heads = {"value": TabularV(), "q": torch.nn.ModuleList([TabularQ(), TabularQ()])}
    given = PolicySettings.of(config)
    policy = PolicyNetwork(name, given, A, 1.0, encoder=Tabular(), heads=heads).double()
    with torch.no_grad():
        policy.item_embedding.weight.zero_()
        policy.item_embedding.weight[1:, :A] = torch.eye(A)
    policy.item_embedding.requires_grad_(False)
    return policy


def logged(sessions, gamma):
    """A batch of sessions of items, each with the rewards of its steps."""
    longest = max(len(items) for items in sessions) - 1
    shape = (len(sessions), longest)
    item_seq, action = torch.zeros(shape, dtype=torch.int64), torch.zeros(shape, dtype=torch.int64)
    reward = torch.zeros(shape, dtype=torch.float64)
    counts = torch.zeros(shape, dtype=torch.bool)
    for row, items in enumerate(sessions):
        seen, chosen = torch.tensor(items[:-1]), torch.tensor(items[1:])
        item_seq[row, : len(seen)], action[row, : len(seen)] = seen + 1, chosen + 1
        reward[row, : len(seen)] = REWARD[seen, chosen]
        counts[row, : len(seen)] = True
    last = torch.cat([counts[:, 1:], torch.zeros(len(sessions), 1, dtype=torch.bool)], 1)
    none = torch.zeros(shape, dtype=torch.int64)
    return Batch(
        item_seq, none, none, action, reward, gamma * last.double(), torch.zeros(shape).double(),
        none, counts, none, none[:, 0], torch.ones(shape).double(),
    )  # fmt: skip


def fit(policy, batch, steps):
    optimiser = torch.optim.Adam([p for p in policy.parameters() if p.requires_grad], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps, 0.001)
    for _ in range(steps):
        optimiser.zero_grad()
        sum(policy.losses(batch).parts.values()).backward()
        optimiser.step()
        schedule.step()
    return policy.encoder.logits.detach()[:STATES].softmax(-1)


def total_variation(p, q):
    return float((p - q).abs().sum(-1).max() / 2)


def closed_form(advantage, mu=MU):
    """π ∝ μ exp(A/β)."""
    return torch.softmax(mu.log() + advantage / BETA, -1)


def in_proportion(count):
    """The actions of each state as often as μ takes them, so that nothing is left to chance."""
    return [
        (x, a)
        for x in range(STATES)
        for a in range(A)
        for _ in range(round(count * MU[x, a].item()))
    ]


# ------------------------------------------------------------------ the contextual bandit


@pytest.fixture(scope="module")
def bandit_policy():
    policy = tabular("LPICB", gamma=0.0, advantage_estimator="td_residual", weight_normalize=True)
    return fit(policy, logged(in_proportion(20), 0.0), 500), policy


def test_lpi_cb_recovers_the_closed_form(bandit_policy):
    pi, policy = bandit_policy
    v = (MU * REWARD).sum(-1)
    torch.testing.assert_close(policy.heads["value"].v.detach()[:STATES], v, atol=1e-3, rtol=0)
    assert total_variation(pi, closed_form(REWARD - v[:, None])) < 1e-2
    assert total_variation(pi, MU) > 0.1  # μ itself would not do


def test_lpi_cb_with_a_q_head_recovers_it_too():
    policy = tabular("LPICB", gamma=0.0, advantage_estimator="analytic")
    pi = fit(policy, logged(in_proportion(20), 0.0), 500)
    assert total_variation(pi, closed_form(REWARD)) < 1e-2


def test_the_plain_form_recovers_it_too():
    pi = fit(tabular("LPI"), logged(in_proportion(20), 0.0), 500)
    assert total_variation(pi, closed_form(REWARD)) < 1e-2


def test_reward_weighting_recovers_eq_5():
    """π ∝ μ r."""
    pi = fit(tabular("RewardWeighted"), logged(in_proportion(20), 0.0), 1000)
    assert total_variation(pi, MU * REWARD / (MU * REWARD).sum(-1, keepdim=True)) < 1e-2


def value(pi, reward=REWARD):
    return (pi * reward).sum(-1).mean()  # contexts are equally likely


def test_lpi_cb_earns_at_least_what_the_logging_policy_does(bandit_policy):
    assert value(bandit_policy[0]) > value(MU) + 0.05


def random_policies(number):
    generator = torch.Generator().manual_seed(0)
    scale = torch.rand(number, 1, 1, generator=generator) * 4
    noise = torch.randn(number, STATES, A, generator=generator, dtype=torch.float64)
    return (noise * scale).softmax(-1)


def test_lpi_cb_maximises_the_lower_bound_of_eq_7(bandit_policy):
    """J(π) − β KL(π ‖ μ) ≤ J(π), and no policy of a random search has a higher bound."""

    def bound(pi):
        return value(pi) - BETA * (pi * (pi / MU).log()).sum(-1).mean()

    assert bound(MU) == value(MU)  # tight at μ
    best = bound(bandit_policy[0])
    for pi in [*random_policies(2000), *closed_form(REWARD) * 0.9 + random_policies(500) * 0.1]:
        assert bound(pi) <= value(pi)
        assert bound(pi) <= best + 1e-4


def test_the_loss_of_reward_weighting_is_the_lower_bound_of_eq_4():
    """J(π) ≥ E_μ[r log π] + E_μ[r (1 − log μ)], tight at μ; the first term is −loss."""
    share = MU / STATES * MU.numel()  # of each context and action, by which its reward is scaled
    context = torch.arange(STATES).repeat_interleave(A)
    action = torch.arange(A).repeat(STATES)
    reward = (REWARD * share).flatten()

    def weigh(part, catalogue):
        estimates = Estimates(reward[part], torch.zeros_like(reward)[part], catalogue.log_pi)
        return weights.reward(estimates, ObjectiveSettings())

    def bound(pi):
        logits = pi.log()[context]
        table = Table(torch.eye(A, dtype=torch.float64))
        constant = (MU * REWARD * (1 - MU.log())).sum(-1).mean()
        return constant - plain_pass(logits, action, table, weigh).loss

    torch.testing.assert_close(bound(MU), value(MU))
    gaps = torch.stack([value(pi) - bound(pi) for pi in random_policies(1000)])
    assert gaps.min() >= -1e-12 and gaps.max() > 0.1


# ------------------------------------------------------------------ the Markov decision process


def values_under(pi):
    """V and Q of a policy in the MDP where action a leads to state a, and item 3 ends it."""
    goes_on = torch.zeros(STATES, STATES, dtype=torch.float64) + pi[:, :STATES]
    v = torch.linalg.solve(torch.eye(STATES) - GAMMA * goes_on, (pi * REWARD).sum(-1))
    return v, REWARD + GAMMA * torch.cat([v, torch.zeros(1, dtype=torch.float64)])


def best_q():
    q = torch.zeros_like(REWARD)
    for _ in range(200):
        ahead = torch.cat([q.max(-1).values, torch.zeros(1, dtype=torch.float64)])
        q = REWARD + GAMMA * ahead
    return q


@functools.cache
def walks(number):
    """Sessions of μ from every state to their end, and how often each action was taken in them."""
    generator = torch.Generator().manual_seed(1)
    sessions, taken = [], torch.zeros_like(MU)
    for start in range(number):
        items = [start % STATES]
        while items[-1] < STATES:
            items.append(int(torch.multinomial(MU[items[-1]], 1, generator=generator)))
            taken[items[-2], items[-1]] += 1
        sessions.append(items)
    return logged(sessions, GAMMA), taken / taken.sum(-1, keepdim=True)


def q_under(mu):
    return values_under(mu)[1]


ESTIMATORS = {
    "V by TD(0)": ({"advantage_estimator": "td_residual"}, q_under),
    "Q of the logs": ({"advantage_estimator": "analytic", "value_estimator": "sarsa"}, q_under),
    "Q of the best policy": (
        {"advantage_estimator": "analytic", "value_estimator": "double_q"}, lambda mu: best_q(),
    ),
    "Q beside V": (
        {"advantage_estimator": "analytic", "advantage_baseline": "value",
         "value_estimator": "state_value"}, q_under,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATORS)
def test_lpi_rl_recovers_the_closed_form(name):
    """Of the logs' own μ: what chance made of it is not the policy's error."""
    settings, q = ESTIMATORS[name]
    # SARSA alone hears of μ by the next action of each event, which takes more of them.
    batch, mu = walks(1500 if settings.get("value_estimator") == "sarsa" else 500)
    torch.manual_seed(0)
    policy = tabular("LPIRL", gamma=GAMMA, weight_normalize=True, **settings)
    pi = fit(policy, batch, 500)
    assert total_variation(pi, closed_form(q(mu), mu)) < 1e-2
    assert total_variation(pi, mu) > 0.1
    assert (values_under(pi)[0] > values_under(mu)[0] + 0.05).all()  # better from every state
