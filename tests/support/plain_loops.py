"""Losses of the policies by plain loops over sessions and items: the oracle of what losses are.

A new objective joins ``WEIGHTS``, a new row of the tables of estimators joins ``STATE_VALUES``,
``BASELINE_VALUES`` or ``ADVANTAGES``: its formula once more, for one event.
"""

import math
from typing import Any

import pytest
import torch

from recbole_lpi.nn.repeats import STEPS
from recbole_lpi.objectives import ObjectiveSettings
from recbole_lpi.plugin.names import properties_folder
from recbole_lpi.yaml_values import read_file
from tests.support.tiny import N_ITEMS, batch, gradients, make


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


WEIGHTS: dict[str, Any] = {  # of one event e, whose numbers are attributes; s are the settings
    "LoggingPolicy": lambda e, s: 1.0,
    "RewardWeighted": lambda e, s: e.reward,
    "LPI": lambda e, s: math.exp((e.reward - 1.5) / s.beta),
    "LPICB": lambda e, s: math.exp(e.advantage() / s.beta),
    "PG": lambda e, s: e.return_,
    "IPS": lambda e, s: e.ratio() * e.reward,
    "IPSPG": lambda e, s: e.ratio() * e.return_,
    "TopKIPS": lambda e, s: 16 * (1 - math.exp(e.log_pi)) ** 15 * e.ratio() * e.return_,
    "SQN": lambda e, s: 1.0,
    "SNQN": lambda e, s: 1.0,
    "SAC": lambda e, s: float(e.q(e.selector, e.action)),
    "SA2C": lambda e, s: max(e.advantage(), 0.0),
    "LPIRL": lambda e, s: math.exp(e.advantage() / s.beta),
    "IQL": lambda e, s: math.exp(e.advantage() / s.beta),
}
UNCAPPED = ("LoggingPolicy", "SQN", "SNQN", "IPS", "IPSPG", "TopKIPS")  # IPS: its ratio is capped


def residual(e):
    """r + γ V(x') − V(x)."""
    ahead = e.discount * e.next.v().item() if e.next is not None else 0.0
    return e.reward + ahead - e.v().item()


def q_of_sampled(e):
    return [float(e.q(e.selector, i)) for i in (e.action, *e.negatives)]


def best(e):
    """The item, 1 … A, that the selecting head prefers."""
    return 1 + max(range(N_ITEMS - 1), key=e.q_of_all().__getitem__)


ADVANTAGES: dict[str, Any] = {
    "analytic": lambda e: (
        float(e.q(e.selector, e.action)) - BASELINE_VALUES[e.s.advantage_baseline](e)
    ),
    "td_residual": lambda e: residual(e),
    "gae": lambda e: residual(e) + (
        e.discount * e.s.gae_lambda * e.next.advantage() if e.next is not None else 0.0
    ),
}  # fmt: skip
BASELINE_VALUES: dict[str, Any] = {
    "policy": lambda e: e.expected_q(e.logits),
    "logging": lambda e: e.expected_q(e.logits_mu),
    "max": lambda e: max(e.q_of_all()),
    "value": lambda e: e.v().item(),
    "negatives": lambda e: sum(q_of_sampled(e)) / len(q_of_sampled(e)),
}
STATE_VALUES: dict[str, Any] = {  # of a state with a Q head
    "double_q": lambda e: e.q(e.evaluator, best(e)),
    "q_learning": lambda e: e.q(e.evaluator, best(e)),
    "sarsa": lambda e: e.q(e.evaluator, e.action),
    "expected_sarsa": lambda e: e.expected_q(e.logits),
    "logging": lambda e: e.expected_q(e.logits_mu),
    "monte_carlo": lambda e: e.return_,
    "state_value": lambda e: e.v(),
}


def repeated(head, state, item, history):
    """c(x, a), by looking through the history."""
    items, kinds = history
    if head is None or item not in items:
        return 0.0
    age, times = items[::-1].index(item), items.count(item)
    rows = [math.floor(2 * math.log2(age + 1)), STEPS + math.floor(2 * math.log2(times))]
    seen = {kind for other, kind in zip(items, kinds, strict=True) if other == item}
    rows += [2 * STEPS + kind - 1 for kind in seen] if head.n_kinds else []
    w, b = head.weight, head.bias
    return sum(dot(state, w[row]) + len(state) * b[row] for row in rows)


class Event:
    """One event of a batch, everything it needs worked out by loops over the items."""

    def __init__(self, model, b, state, row, position, pair, negatives, mu):
        self.model, self.s, self.mu_policy = model, model.settings.objective, mu
        self.x, self.action = state[row, position], int(b.action[row, position])
        self.reward, self.discount = (
            float(b.reward[row, position]),
            float(b.discount[row, position]),
        )
        self.return_ = float(b.return_[row, position])
        self.logged = float(b.propensity[row, position])
        self.selector, self.evaluator = pair
        self.negatives = negatives[self.action]
        history = [seq[row, : position + 1].tolist() for seq in (b.item_seq, b.kind_seq)]
        self.history, repeats = history, model.repeats
        self.logits = [
            dot(self.x, model.item_embedding.weight[i]) + repeated(repeats, self.x, i, history)
            for i in range(1, N_ITEMS)
        ]
        self.log_pi_graph = self.logits[self.action - 1] - torch.stack(self.logits).logsumexp(0)
        self.log_pi = self.log_pi_graph.item()
        if mu is not None:
            y = mu.forward(b.history)[row, position]
            self.logits_mu = [
                dot(y, mu.item_embedding.weight[i]) + repeated(mu.repeats, y, i, history)
                for i in range(1, N_ITEMS)
            ]
        self.next = None
        if self.discount:
            self.next = Event(model, b, state, row, position + 1, pair, negatives, mu)

    def q(self, head, item):
        """V(x) + (M s + u) · eₐ / D, eₐ not moved; or V(x) + s · wₐ / D + bₐ."""
        size = len(self.x)
        if self.s.q_head == "table":
            own = dot(self.x, head.weight[item - 1]) / size + head.bias[item - 1]
        else:
            row = self.model.item_embedding.weight[item].detach()
            m, u = head.form.weight, head.form.bias
            own = dot([dot(m[i], self.x) + u[i] for i in range(size)], row) / size
        return self.value(head.value) + own

    def value(self, head):
        """Of a two-layer network of GELUs."""
        inner, _, outer = head.net
        hidden = [dot(w, self.x) + b for w, b in zip(inner.weight, inner.bias, strict=True)]
        return (
            dot(outer.weight[0], [h * (1 + torch.erf(h / math.sqrt(2))) / 2 for h in hidden])
            + (outer.bias[0])
        )

    def expected_q(self, logits):
        share = torch.stack(logits).softmax(0)
        return float(sum(p * self.q(self.selector, i + 1) for i, p in enumerate(share)))

    def v(self):
        return self.value(self.model.heads["value"])

    def propensity(self):
        x, head = self.x.detach(), self.model.heads["propensity"]
        scores = [
            dot(x, head.weight[i]) + repeated(head.repeats, x, i + 1, self.history)
            for i in range(N_ITEMS - 1)
        ]
        return scores[self.action - 1] - torch.stack(scores).logsumexp(0)

    def ratio(self):
        if self.s.propensity == "head":
            log_mu = self.propensity().item()
        elif self.s.propensity == "logged":
            log_mu = math.log(self.logged)
        else:
            log_mu = float(torch.stack(self.logits_mu).log_softmax(0)[self.action - 1])
        return min(math.exp(self.log_pi - log_mu), self.s.weight_clip or math.inf)

    def advantage(self):
        return ADVANTAGES[self.s.advantage_estimator](self)

    def q_of_all(self):
        return [float(self.q(self.selector, i)) for i in range(1, N_ITEMS)]

    def weight(self, name):
        w = WEIGHTS[name](self, self.s)
        clip = self.s.weight_clip
        return w if clip is None or name in UNCAPPED else min(w, clip)

    def state_value(self):
        """What being in this state is worth to the step that led here."""
        name = self.s.value_estimator or ("double_q" if "q" in self.model.heads else "sarsa")
        if name == "sarsa" and "q" not in self.model.heads:
            return self.v().item()
        return float(STATE_VALUES[name](self))

    def loss(self, name, scale):
        """−w log π + λ (value − target)² …, with what is an estimate a plain number."""
        total = -self.weight(name) * scale * self.log_pi_graph
        heads, target = self.model.heads, self.reward
        if self.next is not None and ("q" in heads or "value" in heads):
            target += self.discount * self.next.state_value()
        if "q" in heads:
            q = self.q(self.selector, self.action)
            total = total + self.s.td_weight * (q - target) ** 2
            for item in self.negatives if self.s.negative_samples else ():
                wasted = self.s.gamma * self.state_value()
                total = total + self.s.td_weight * (self.q(self.selector, item) - wasted) ** 2
            if "value" in heads:
                error = float(q) - self.v()
                side = 1 - self.s.expectile if float(error) < 0 else self.s.expectile
                total = total + self.s.td_weight * 2 * side * error**2
        elif "value" in heads:
            total = total + self.s.td_weight * (self.v() - target) ** 2
        if "propensity" in heads:
            total = total - self.propensity()
        return total


def loss_by_loops(model, b, pair, negatives, mu=None):
    """Eq. 10 event by event, then the mean."""
    state, name = model.forward(b.history), model.name
    events = [
        Event(model, b, state, row, position, pair, negatives, mu)
        for row, position in b.counts.nonzero().tolist()
    ]
    size = sum(abs(e.weight(name)) for e in events) / len(events)
    scale = 1 / size if model.settings.objective.weight_normalize else 1.0
    return sum(e.loss(name, scale) for e in events) / len(events)


NEGATIVES = {a: [(a + k) % (N_ITEMS - 1) + 1 for k in range(3)] for a in range(1, N_ITEMS)}


def fixed_negatives(action, n_items, number):
    """``sample_negatives`` without chance: three for each item, the same for model and loops."""
    return torch.tensor([NEGATIVES[int(a) + 1] for a in action]) - 1


READ = ("inputs", "repeat_head")  # settings that the logging policy shares


def check_against_loops(name, settings, seed):
    policy = make(name, **settings)
    b = batch(policy.settings.objective.gamma)
    mu = make("LoggingPolicy", **{k: v for k, v in settings.items() if k in READ})
    with torch.no_grad():
        for parameter in mu.parameters():
            parameter.mul_(1.3)
    policy.compare_with(mu)
    torch.manual_seed(seed)
    losses = policy.losses(b)
    got = gradients(policy, sum(losses.parts.values()))
    pair = (None, None)
    if "q" in policy.heads:
        torch.manual_seed(seed)  # which head chose is drawn once per batch
        first = int(torch.randint(len(policy.heads["q"]), ()))
        pair = policy.heads["q"][first], policy.heads["q"][first - 1]
    expected = loss_by_loops(policy, b, pair, NEGATIVES, mu)
    assert sum(losses.parts.values()).item() == pytest.approx(expected.item(), abs=1e-7)
    by_loops = gradients(policy, expected)
    assert got.keys() == by_loops.keys()
    for parameter, grad in by_loops.items():
        torch.testing.assert_close(got[parameter], grad, atol=1e-7, rtol=0, msg=parameter)


def shipped_settings(name, **changes):
    """The settings of an objective as its properties file has them, but for the changes."""
    own = read_file(properties_folder() / f"{name}.yaml") or {}
    known = {k: v for k, v in own.items() if k in ObjectiveSettings.__dataclass_fields__}
    return ObjectiveSettings(**{**known, **changes})
