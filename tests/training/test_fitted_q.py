"""Fitted Q evaluation in a world whose values are known: the state is the last item."""

from typing import NamedTuple, cast

import numpy as np
import pytest
import torch
from torch import nn

from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import flat_sessions
from recbole_lpi.nn.catalogue import Factors, Table
from recbole_lpi.policy import losses
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import NetworkSettings, PolicySettings
from recbole_lpi.training.fitted_q import FitSettings, discounted, fit_q, value_columns

ITEMS, GAMMA, GOES_ON, LONGEST = 4, 0.8, 0.75, 30
DRAWS = np.random.default_rng(11)
REWARD = DRAWS.uniform(0.1, 0.9, size=(ITEMS + 1, ITEMS))  # after each last item; the last: none
MU, PI = DRAWS.dirichlet(np.ones(ITEMS), size=(2, ITEMS + 1))
PI = 0.5 * MU + 0.5 * PI
NETWORK = NetworkSettings(
    encoder="gru4rec", encoder_args={"hidden_size": 32}, hidden_size=16, hidden_dropout_prob=0.0,
    initializer_range=0.2, inputs=("item",), repeat_head=False,
)  # fmt: skip
SETTINGS = PolicySettings(NETWORK, max_length=LONGEST, evaluate_first_event=True)


class LastItem(nn.Module):
    """A policy that knows its probabilities given the last item; the start token is ITEMS + 1."""

    def __init__(self, probabilities):
        super().__init__()
        self.item_embedding = nn.Embedding(1, 1)
        logits = torch.tensor(np.log(probabilities), dtype=torch.float32)
        self.logits = nn.Parameter(logits, requires_grad=False)
        self.n_items, self.reads_events, self.event_names = ITEMS, False, ()

    def factors(self, history, at):
        last = nn.functional.one_hot(history.items[at] - 1, ITEMS + 1).float()
        return Factors(last, Table(self.logits.T.contiguous()))


class World(NamedTuple):
    q: np.ndarray
    v: np.ndarray


def values(policy):
    """Q and V of a policy by linear solve: V = Σ_a π (R + γ c V(a))."""
    goes = np.zeros((ITEMS + 1, ITEMS + 1))
    goes[:, :ITEMS] = policy
    v = np.linalg.solve(np.eye(ITEMS + 1) - GAMMA * GOES_ON * goes, (policy * REWARD).sum(1))
    return World(REWARD + GAMMA * GOES_ON * v[None, :ITEMS], v)


def log_of_mu(sessions, seed):
    draws = np.random.default_rng(seed)
    rows = []
    for session in range(sessions):
        last = ITEMS
        for step in range(LONGEST):
            item = draws.choice(ITEMS, p=MU[last])
            rows.append((session, item + 1, step, float(draws.random() < REWARD[last, item])))
            last = item
            if draws.random() > GOES_ON:
                break
    table = np.array(rows)
    session, item = table[:, :2].astype(int).T
    reward = table[:, 3]
    return flat_sessions(session, item, table[:, 2], reward, reward > 0, ("no", "yes"))


READING = Reading(max_length=LONGEST, evaluate_first_event=True)


def part(sessions, seed):
    return SessionData(log_of_mu(sessions, seed), item_num=ITEMS + 1, reading=READING)


@pytest.fixture(scope="module")
def logs():
    return part(12_000, 1), part(1500, 2)


def fitted(logs, gamma=GAMMA, epochs=9):
    train, held = logs
    how = FitSettings(gamma=gamma, epochs=epochs, learning_rate=0.01, batch_size=64, seed=1)
    policy, mu = (cast(PolicyNetwork, LastItem(p)) for p in (PI, MU))
    network = fit_q(policy, SETTINGS, train, how)
    return value_columns(network, policy, mu, held)


def value_at_the_start(logs, columns):
    held = logs[1]
    first = np.isin(held.places, held.sessions.offsets[:-1])
    return columns.v_pi[first].mean()


def test_the_value_of_a_policy_is_found_within_two_percent(logs):
    columns = fitted(logs)
    assert value_at_the_start(logs, columns) == pytest.approx(values(PI).v[ITEMS], rel=0.02)
    held, true = logs[1], values(PI)
    starts = np.isin(held.places, held.sessions.offsets[:-1])
    before = np.where(starts, ITEMS, held.sessions.items[held.places - 1] - 1)
    expected = true.q[before, held.sessions.items[held.places] - 1]
    assert np.corrcoef(columns.q, expected)[0, 1] > 0.9
    under_mu = (MU * true.q).sum(1)[before]
    assert columns.v_mu.mean() == pytest.approx(under_mu.mean(), rel=0.03)


def test_a_next_state_that_is_off_by_one_is_caught(logs, monkeypatch):
    monkeypatch.setattr(losses, "next_event", lambda value: value.roll(-2, 0))
    columns = fitted(logs)
    assert value_at_the_start(logs, columns) != pytest.approx(values(PI).v[ITEMS], rel=0.04)


def test_without_a_discount_it_is_a_model_of_the_reward(logs):
    columns = fitted(logs, gamma=0.0, epochs=3)
    expected = (PI * REWARD).sum(1)[ITEMS]
    assert value_at_the_start(logs, columns) == pytest.approx(expected, rel=0.03)


def test_the_policy_is_left_as_it_is_and_the_part_too(logs):
    train = logs[0]
    assert discounted(train, 0.1).reading.gamma == 0.1
    assert train.reading.gamma == Reading().gamma


def test_values_equal_the_plain_form(logs):
    torch.manual_seed(0)
    policy, mu = (PolicyNetwork("LoggingPolicy", SETTINGS, ITEMS) for _ in range(2))
    network = fit_q(policy, SETTINGS, logs[1], FitSettings(epochs=1))
    held = logs[1]
    found = value_columns(network, policy, mu, held, batch_size=64)
    batch = held.batch(held.windows.take(np.arange(20)))
    at = batch.counts
    with torch.no_grad():
        (head,) = cast(nn.ModuleList, network.heads["q"])
        q = head(network(batch.history)[at], network.policy_table)
        outputs = q.value[:, None] + q.factors.outputs()
        rows = np.searchsorted(held.places, batch.place[at].numpy())
        for column, model in ((found.v_pi, policy), (found.v_mu, mu)):
            chance = model.factors(batch.history, at).outputs().softmax(-1)
            np.testing.assert_allclose(column[rows], (chance * outputs).sum(-1), atol=1e-6)
        np.testing.assert_allclose(found.q[rows], q.of(batch.action[at] - 1), atol=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"gamma": 1.1}, {"epochs": 0}, {"learning_rate": 0.0}, {"batch_size": 0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name} must be"):
        FitSettings(**wrong)
