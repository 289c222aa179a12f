"""Policies over six items and a batch of three sessions, in float64."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from recbole_lpi.data.batches import Batch
from recbole_lpi.data.sessions import Part, Sessions, flat_sessions, whole_of
from recbole_lpi.nn.heads import BilinearQHead
from recbole_lpi.nn.repeats import RepeatHead
from recbole_lpi.plugin.names import properties_folder
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import PolicySettings
from recbole_lpi.yaml_values import read_file

N_ITEMS, GAMMA, BETA, LAMBDA = 7, 0.6, 0.7, 0.3


class Config(dict[str, Any]):
    def __missing__(self, key):
        return None


class Catalogue:
    sessions = SimpleNamespace(event_names=("click", "purchase"))
    max_reward = 1.5
    item_counts = np.array([3, 0, 1, 7, 2, 2])

    def num(self, field):
        return N_ITEMS


def make(name, encoder=None, heads=None, **settings):
    """The network of a policy with the defaults of its properties file, but for what is said.

    ``encoder`` is a module, or the name that the setting takes.
    """
    if isinstance(encoder, str):
        settings["encoder"], encoder = encoder, None
    defaults = dict(
        MAX_ITEM_LIST_LENGTH=5, hidden_size=4, inner_size=6, hidden_dropout_prob=0.0,
        attn_dropout_prob=0.0, initializer_range=0.5, beta=BETA, td_weight=LAMBDA,
        warmup_epochs=0, gamma=0.0 if name == "LPICB" else GAMMA,
    )  # fmt: skip
    own = read_file(properties_folder() / f"{name}.yaml") or {}
    given = PolicySettings.of(Config({**own, **defaults, **settings}))
    torch.manual_seed(3)
    policy = PolicyNetwork(
        name, given, N_ITEMS - 1, Catalogue.max_reward, Catalogue.item_counts, encoder, heads,
        Catalogue.sessions.event_names,
    )  # fmt: skip
    for part in policy.modules():
        learn_something(part)
    return policy.double()


def recommender(name, **settings):
    """The policy as RecBole's model, which translates its calls to the network of ``make``."""
    from recbole_lpi.plugin.models import MODELS  # imports RecBole, which takes seconds

    names = dict(USER_ID_FIELD="user_id", ITEM_ID_FIELD="item_id", LIST_SUFFIX="_list",
                 ITEM_LIST_LENGTH_FIELD="item_length", NEG_PREFIX="neg_", device="cpu",
                 MAX_ITEM_LIST_LENGTH=5, hidden_size=4, inner_size=6)  # fmt: skip
    model = MODELS[name](Config({**names, **settings}), Catalogue())
    model.network = make(name, **settings)
    return model


def learn_something(part):
    """Give a part that begins at 0 something to say."""
    began = part.form if isinstance(part, BilinearQHead) else part
    if isinstance(part, (BilinearQHead, RepeatHead)):
        torch.nn.init.normal_(began.weight)
        torch.nn.init.normal_(began.bias)


REWARDS = [[0.2, 1.0, 0.2, 0.2], [0.2, 1.0, 0, 0], [0.2, 0.5, 0.2, 0]]
LENGTHS = [4, 2, 3]


def batch(gamma=GAMMA):
    f = lambda rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    ahead = lambda rewards: sum(gamma**k * r for k, r in enumerate(rewards))  # noqa: E731
    return Batch(
        item_seq=torch.tensor([[3, 1, 5, 2], [4, 6, 0, 0], [2, 2, 6, 0]]),
        kind_seq=torch.tensor([[1, 2, 1, 1], [2, 1, 0, 0], [1, 1, 2, 0]]),
        gap_seq=torch.tensor([[0, 5, 9, 1], [0, 12, 0, 0], [0, 1, 31, 0]]),
        action=torch.tensor([[1, 5, 2, 2], [6, 1, 0, 0], [2, 6, 3, 0]]),
        reward=f(REWARDS),
        discount=f([[gamma * (t < n - 1) for t in range(4)] for n in LENGTHS]),
        return_=f([[ahead(row[t:]) for t in range(4)] for row in REWARDS]),
        event=torch.zeros(3, 4, dtype=torch.int64),
        counts=torch.tensor([[False, True, True, True], [True, True, False, False],
                             [True, True, True, False]]),
        place=torch.zeros(3, 4, dtype=torch.int64),
        session=torch.arange(3),
        sample_weight=torch.ones(3, 4, dtype=torch.float64),
        propensity=f([[0.5, 0.03, 0.9, 0.2], [0.1, 0.7, 1, 1], [0.4, 0.25, 0.06, 1]]),
    )  # fmt: skip


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def listed_sessions(lists: list[list[int]], ends: list[float]) -> tuple[Sessions, Part]:
    """Sessions of these items, the last event of each at its ``ends``; and all of them, a part."""
    lengths = [len(x) for x in lists]
    session, item = np.repeat(np.arange(len(lists)), lengths), np.concatenate(lists)
    time = np.repeat(ends, lengths) + np.concatenate([np.arange(1 - n, 1) for n in lengths])
    zeros = np.zeros(len(item))
    store = flat_sessions(session, item, time, zeros, zeros, ("click",))
    part = whole_of(store)
    return store, part
