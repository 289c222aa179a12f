"""Loss and gradient of each policy against plain loops over sessions and items, in float64."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
import torch

from recbole_lpi.nn.catalogue import CatalogueStatistics, PolicyLoss
from recbole_lpi.nn.heads import BilinearQHead, TableQHead
from recbole_lpi.objectives import OBJECTIVES, ObjectiveSettings
from recbole_lpi.plugin.models import LPIRL, MODELS, PG, SAC, SQN, LoggingPolicy, RewardWeighted
from recbole_lpi.plugin.properties import properties_folder
from recbole_lpi.policy import losses as estimation
from recbole_lpi.policy.losses import sample_negatives
from recbole_lpi.yaml_values import read_file
from tests.support.tiny import N_ITEMS, batch, gradients, learn_something, make

pytestmark = pytest.mark.recbole


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


# ------------------------------------------------------------------ the definitions, event by event

WEIGHTS = {  # of one event e, whose numbers are attributes; s are the settings
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
    "SAC": lambda e, s: float(e.q(e.chooser, e.action)),
    "SA2C": lambda e, s: max(e.advantage(), 0.0),
    "LPIRL": lambda e, s: math.exp(e.advantage() / s.beta),
    "IQL": lambda e, s: math.exp(e.advantage() / s.beta),
}
UNCAPPED = ("LoggingPolicy", "SQN", "SNQN", "IPS", "IPSPG", "TopKIPS")  # IPS: its ratio is capped


class Event:
    """One event of a batch, everything it needs worked out by loops over the items."""

    def __init__(self, model, b, state, row, position, pair, negatives, mu):
        self.model, self.s, self.mu_policy = model, model.settings, mu
        self.x, self.action = state[row, position], int(b.action[row, position])
        self.reward, self.discount = (
            float(b.reward[row, position]),
            float(b.discount[row, position]),
        )
        self.return_ = float(b.return_[row, position])
        self.chooser, self.valuer = pair
        self.negatives = negatives[self.action]
        self.logits = [dot(self.x, model.item_embedding.weight[i]) for i in range(1, N_ITEMS)]
        self.log_pi_graph = self.logits[self.action - 1] - torch.stack(self.logits).logsumexp(0)
        self.log_pi = self.log_pi_graph.item()
        if mu is not None:
            y = mu.forward(b.item_seq)[row, position]
            self.logits_mu = [dot(y, mu.item_embedding.weight[i]) for i in range(1, N_ITEMS)]
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
        return float(sum(p * self.q(self.chooser, i + 1) for i, p in enumerate(share)))

    def v(self):
        return self.value(self.model.heads["value"])

    def propensity(self):
        x, head = self.x.detach(), self.model.heads["propensity"]
        scores = [dot(x, head.weight[i]) for i in range(N_ITEMS - 1)]
        return scores[self.action - 1] - torch.stack(scores).logsumexp(0)

    def ratio(self):
        if self.s.propensity == "head":
            log_mu = self.propensity().item()
        else:
            log_mu = float(torch.stack(self.logits_mu).log_softmax(0)[self.action - 1])
        return min(math.exp(self.log_pi - log_mu), self.s.weight_clip or math.inf)

    def advantage(self):
        if self.s.advantage_estimator == "analytic":
            every = [float(self.q(self.chooser, i)) for i in range(1, N_ITEMS)]
            sampled = [every[i - 1] for i in (self.action, *self.negatives)]
            baseline = {
                "policy": lambda: self.expected_q(self.logits),
                "logging": lambda: self.expected_q(self.logits_mu),
                "max": lambda: max(every),
                "value": lambda: self.v().item(),
                "negatives": lambda: sum(sampled) / len(sampled),
            }[self.s.advantage_baseline]()
            return every[self.action - 1] - baseline
        residual = self.reward - self.v().item()
        if self.next is not None:
            residual += self.discount * self.next.v().item()
            if self.s.advantage_estimator == "gae":
                residual += self.discount * self.s.gae_lambda * self.next.advantage()
        return residual

    def weight(self, name):
        w = WEIGHTS[name](self, self.s)
        clip = self.s.weight_clip
        return w if clip is None or name in UNCAPPED else min(w, clip)

    def state_value(self):
        """What being in this state is worth to the step that led here."""
        how = self.s.value_estimator
        if how == "monte_carlo":
            return self.return_
        if how == "state_value" or "q" not in self.model.heads:
            return self.v().item()
        if how == "sarsa":
            return float(self.q(self.valuer, self.action))
        if how == "expected_sarsa":
            return self.expected_q(self.logits)
        best = max(range(1, N_ITEMS), key=lambda i: float(self.q(self.chooser, i)))
        return float(self.q(self.valuer, best))

    def loss(self, name, scale):
        """−w log π + λ (value − target)² …, with what is an estimate a plain number."""
        total = -self.weight(name) * scale * self.log_pi_graph
        heads, target = self.model.heads, self.reward
        if self.next is not None and ("q" in heads or "value" in heads):
            target += self.discount * self.next.state_value()
        if "q" in heads:
            q = self.q(self.chooser, self.action)
            total = total + self.s.td_weight * (q - target) ** 2
            for item in self.negatives if self.s.negative_samples else ():
                wasted = self.s.gamma * self.state_value()
                total = total + self.s.td_weight * (self.q(self.chooser, item) - wasted) ** 2
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
    state, name = model.forward(b.item_seq), type(model).__name__
    events = [
        Event(model, b, state, row, position, pair, negatives, mu)
        for row, position in b.counts.nonzero().tolist()
    ]
    size = sum(abs(e.weight(name)) for e in events) / len(events)
    scale = 1 / size if model.settings.weight_normalize else 1.0
    return sum(e.loss(name, scale) for e in events) / len(events)


NEGATIVES = {a: [(a + k) % (N_ITEMS - 1) + 1 for k in range(3)] for a in range(1, N_ITEMS)}


@pytest.fixture(autouse=True)
def same_negatives(monkeypatch):
    """Three negatives for each item, the same for the model and for the loops."""
    monkeypatch.setattr(
        estimation, "sample_negatives",
        lambda action, n_items, number: torch.tensor([NEGATIVES[int(a) + 1] for a in action]) - 1,
    )  # fmt: skip


ANALYTIC = {"advantage_estimator": "analytic"}
VARIANTS = [
    *((name, {}) for name in MODELS),  # as their properties files have them
    *(("LPIRL", ANALYTIC | {"advantage_baseline": b})
      for b in ("policy", "logging", "max", "value")),
    ("LPIRL", ANALYTIC | {"advantage_baseline": "negatives", "negative_samples": 3}),
    *((name, {"value_estimator": v}) for name in ("SQN", "SAC", "SNQN", "SA2C", "IQL")
      for v in ("double_q", "q_learning", "sarsa", "expected_sarsa", "monte_carlo", "state_value")),
    *(("LPIRL", {"advantage_estimator": a, "value_estimator": v})
      for a in ("td_residual", "gae") for v in (None, "sarsa", "monte_carlo")),
    ("LPIRL", ANALYTIC | {"value_estimator": "q_learning"}),
    *((name, {"q_head": "table"}) for name in ("SQN", "SAC", "SNQN", "SA2C", "IQL")),
    *(("LPIRL", ANALYTIC | {"q_head": "table", "advantage_baseline": b})
      for b in ("policy", "logging", "max", "value")),
    ("LPIRL", {"weight_clip": 1.1, "weight_normalize": False}),
    ("LPICB", ANALYTIC),
    ("IQL", {"expectile": 0.2}),
    ("RewardWeighted", {"weight_clip": 0.4, "weight_normalize": True}),
    ("SA2C", {"weight_normalize": True}),
    *((name, {"propensity": "checkpoint"}) for name in ("IPS", "IPSPG", "TopKIPS")),
    *((name, {"weight_clip": 0.9}) for name in ("IPS", "PG", "SAC")),
]  # fmt: skip


def check_against_loops(name, settings, seed):
    policy = make(MODELS[name], **settings)
    b = batch(policy.settings.gamma)
    mu = make(LoggingPolicy)
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


@pytest.mark.parametrize(("name", "settings"), VARIANTS)
def test_loss_and_gradient_equal_plain_loops(name, settings):
    for seed in range(2):
        check_against_loops(name, settings, seed)


def test_every_objective_is_checked():
    assert set(WEIGHTS) == set(OBJECTIVES) == set(MODELS)


# ------------------------------------------------------------------ the gradient identity


def learn_on_logits(name, logits, **changes):
    """``learn`` where the state is the logits: one unit per item, and the items' table is I."""
    own = read_file(properties_folder() / f"{name}.yaml") or {}
    known = {k: v for k, v in own.items() if k in ObjectiveSettings.__dataclass_fields__}
    s = replace(ObjectiveSettings(**known), **changes)
    objective, (n, a) = OBJECTIVES[name], logits.shape
    torch.manual_seed(5)
    q = (BilinearQHead(a, a).double(), BilinearQHead(a, a).double())
    learn_something(q)
    value = estimation.ValueHead(a).double()
    mu = estimation.PropensityHead(a, a, 1.0).double()
    needed = objective.heads(s)
    heads = estimation.Heads(
        q if "q" in needed else None, value if "value" in needed else None,
        mu if "propensity" in needed else None,
    )  # fmt: skip
    reward = torch.tensor([0.2, 1.0, 0.2, 0.5], dtype=torch.float64)
    discount = torch.tensor([1.0, 1.0, 0, 0], dtype=torch.float64) * s.gamma
    events = estimation.Events(
        logits, torch.arange(n), reward, discount, 2 * reward, reward * 0 + 1, reward * 0 + 1
    )
    table = estimation.Table(torch.eye(a, dtype=torch.float64))
    return estimation.learn(events, table, objective, s, heads), (*q, value, mu)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_gradient_identity(name):
    """∂loss/∂logits = w (π − onehot) / N, and nothing flows through the weight into a head."""
    torch.manual_seed(1)
    logits = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    learnt, heads = learn_on_logits(name, logits)
    weight = learnt.policy.weight
    assert not weight.requires_grad
    if name not in ("LoggingPolicy", "SQN", "SNQN"):
        assert weight.std() > 1e-3
    learnt.policy.loss.backward()
    onehot = torch.eye(6, dtype=torch.float64)[:4]
    expected = weight[:, None] * (logits.detach().softmax(-1) - onehot) / 4
    torch.testing.assert_close(logits.grad, expected)
    assert all(p.grad is None for head in heads for p in head.parameters())


def undetached(function):
    """The same function, its result still part of the graph of what it was given."""

    def fault(*arguments):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "detach", lambda tensor: tensor)
            return function(*arguments)

    return fault


@pytest.mark.parametrize(
    ("where", "name", "settings"),
    [
        ("bootstrap_target", "SQN", {"value_estimator": "expected_sarsa"}),
        ("bootstrap_target", "LPIRL", {}),
        ("bootstrap_target", "IQL", {}),
        ("_td_errors", "SNQN", {"value_estimator": "expected_sarsa"}),
        ("_td_errors", "IQL", {}),
        ("_propensity", "IPS", {}),
    ],
)
def test_a_gradient_through_targets_or_into_the_encoder_is_found(
    where, name, settings, monkeypatch
):
    fault = undetached(getattr(estimation, where))
    monkeypatch.setattr(estimation, where, fault)
    if where == "bootstrap_target":  # what it is given was cut once more, further out
        monkeypatch.setattr(estimation, "_td_errors", undetached(estimation._td_errors))
    with pytest.raises(AssertionError):
        check_against_loops(name, settings, 0)


@pytest.mark.parametrize("name", ["IPS", "TopKIPS"])
def test_a_gradient_through_the_weight_is_found(name, monkeypatch):
    """The plain pass with its weight left in the graph: ∂w/∂logits log π comes in."""

    def leaking(state, action, policy, weigh, q=None, logging=None):
        log_pi = policy.outputs(state).log_softmax(-1).gather(1, action[:, None]).squeeze(1)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.Tensor, "detach", lambda tensor: tensor)
            weight = weigh(slice(0, len(state)), CatalogueStatistics(log_pi))
        return PolicyLoss(
            -(weight * log_pi).mean(), weight.detach(), CatalogueStatistics(log_pi.detach())
        )

    test_gradient_identity(name)
    monkeypatch.setattr(estimation, "catalogue_pass", leaking)
    with pytest.raises(AssertionError):
        test_gradient_identity(name)


def test_negatives_are_any_items_but_the_logged_one():
    torch.manual_seed(0)
    action = torch.tensor([0, 3, 5])
    drawn = sample_negatives(action, 6, 4000)
    assert drawn.shape == (3, 4000)
    for row, item in zip(drawn, action.tolist(), strict=True):
        share = torch.bincount(row, minlength=6) / 4000
        assert share[item] == 0
        others = torch.cat([share[:item], share[item + 1 :]])
        torch.testing.assert_close(others, torch.full((5,), 0.2), atol=0.03, rtol=0)


def test_warm_up_is_plain_cross_entropy_for_so_many_epochs():
    policy, b = make(SAC, warmup_epochs=2), batch()
    weights = []
    for epoch in range(4):
        policy.begin_epoch(epoch)
        torch.manual_seed(0)  # of two Q heads the same weighs
        weights.append(float(policy.losses(b).diagnostics["effective fraction"]))
    assert weights[:2] == [1, 1] and weights[2] == weights[3] < 1


def test_rewards_that_are_all_zero_teach_nothing_and_break_nothing():
    b = batch()
    for model in (RewardWeighted, PG):
        policy = make(model, weight_normalize=True)
        losses = policy.losses(b._replace(reward=b.reward * 0, return_=b.return_ * 0))
        assert float(losses.parts["policy loss"]) == 0
        assert all(math.isfinite(float(v)) for v in losses.diagnostics.values())


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("PG", {"value_estimator": "sarsa"}, "learns no values"),
        ("RewardWeighted", {"advantage_estimator": "gae"}, "learns no values"),
        ("IPS", {"negative_samples": 3}, "learns no values"),
        ("SQN", {"advantage_baseline": "max"}, "its weight is not an advantage"),
        ("LPIRL", {"value_estimator": "double_q"}, r"learns V\(x\) alone"),
        ("LPIRL", {"advantage_baseline": "logging"}, "set advantage_baseline: policy or value"),
        ("SA2C", {"advantage_estimator": "gae"}, "and negative_samples cannot be 10 .*V.x. alone"),
        ("IQL", {"advantage_estimator": "gae"}, "set value_estimator: ~ or sarsa or monte_carlo"),
        ("LPIRL", {"negative_samples": 2}, "set negative_samples: 0"),
        (
            "LPIRL",
            ANALYTIC | {"advantage_baseline": "negatives"},
            "no negatives are drawn; set negative_samples",
        ),
        ("LPIRL", ANALYTIC | {"expectile": 0.7}, "as by advantage_baseline: value"),
        ("SQN", {"propensity": "checkpoint"}, "no importance ratio"),
        ("LPICB", {"gamma": 0.5}, "contextual bandit"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_reason(name, settings, reason):
    with pytest.raises(ValueError, match=rf"cannot be .* for {name}: ") as refused:
        make(MODELS[name], **settings)
    assert re.search(reason, str(refused.value))


@pytest.mark.parametrize("name", ["SQN", "SNQN", "SAC", "SA2C"])
def test_the_td_loss_is_shipped_with_the_weight_of_the_authors_code(name):
    """Theirs is cross-entropy + ½ · TD², and ours has no ½."""
    assert read_file(properties_folder() / f"{name}.yaml")["td_weight"] == 0.5
    assert read_file(properties_folder() / f"{name}.yaml")["gamma"] == 0.5


def test_the_form_of_q_is_read_where_there_is_a_q_alone():
    objective = OBJECTIVES["LPIRL"]
    assert "q_head" in objective.unread(ObjectiveSettings(advantage_estimator="td_residual"))
    assert "q_head" not in objective.unread(ObjectiveSettings(advantage_estimator="analytic"))


def test_a_value_head_subtracts_itself_and_may_say_so():
    check_against_loops("LPIRL", {"advantage_baseline": "value"}, 0)


def test_both_heads_take_both_roles():
    policy, trained = make(SQN), set()
    for seed in range(8):
        torch.manual_seed(seed)
        trained |= gradients(policy, sum(policy.losses(batch()).parts.values())).keys()
    assert {"heads.q.0.form.weight", "heads.q.1.form.weight"} <= trained


def test_the_logging_policy_is_frozen_and_no_part_of_the_checkpoint():
    policy, mu = make(LPIRL), make(LoggingPolicy)
    policy.compare_with(mu)
    assert not any(p.requires_grad for p in mu.parameters())
    assert policy.state_dict().keys() == make(LPIRL).state_dict().keys()


def test_encoder_and_heads_can_be_ones_own():
    """An encoder that sees the last item alone, and one Q head that knows its values."""
    head: Any = TableQHead(N_ITEMS - 1, 4)
    with torch.no_grad():
        head.weight.zero_()
        head.value.net[2].weight.zero_()  # of a constant, no advantage knows
        head.bias.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))
    policy = make(LPIRL, torch.nn.Identity(), {"q": torch.nn.ModuleList([head])}, beta=1.0,
                  weight_normalize=False, **ANALYTIC, advantage_baseline="max")  # fmt: skip
    a, b = policy.forward(torch.tensor([[3, 1, 5, 2]])), policy.item_embedding.weight[[3, 1, 5, 2]]
    torch.testing.assert_close(a[0], b)
    one = batch()
    found = policy.losses(one)
    action = one.action[one.counts]
    weight = torch.where(action == 1, 1.0, math.exp(-1)).double()  # A = Q(a) − max Q = 0 or −1
    torch.testing.assert_close(found.diagnostics["mean weight"], weight.mean())
    value = make(LPIRL, None, {"value": torch.nn.Flatten(-2)}).heads["value"]
    assert isinstance(value, torch.nn.Flatten)


def test_a_baseline_under_the_logging_policy_needs_one():
    with pytest.raises(ValueError, match="needs a logging policy"):
        make(LPIRL, **ANALYTIC, advantage_baseline="logging").losses(batch())


def test_beta_to_infinity_is_maximum_likelihood():
    policy, ml = make(LPIRL, beta=1e12), make(LoggingPolicy)
    shared = ml.state_dict().keys()
    ml.load_state_dict({k: v for k, v in policy.state_dict().items() if k in shared})
    a = gradients(policy, policy.losses(batch()).parts["policy loss"])
    b = gradients(ml, ml.losses(batch()).parts["policy loss"])
    for name, grad in b.items():
        torch.testing.assert_close(a[name], grad, atol=1e-9, rtol=0)


def test_diagnostics_tell_weights_from_uniform_ones():
    assert make(LoggingPolicy).losses(batch()).diagnostics["effective fraction"] == 1
    assert make(LPIRL).losses(batch()).diagnostics["effective fraction"] < 1


def test_scores_are_the_logits_and_padding_is_never_recommended():
    policy = make(LPIRL).eval()
    rows = {
        "item_id_list": torch.tensor([[3, 1, 5, 0, 0], [4, 0, 0, 0, 0]]),
        "item_length": torch.tensor([3, 1]),
        "item_id": torch.tensor([2, 6]),
    }
    scores = policy.full_sort_predict(rows)
    assert scores.shape == (2, N_ITEMS) and (scores[:, 0] == float("-inf")).all()
    alone = policy.forward(torch.tensor([[3, 1, 5]]))[0, -1] @ policy.item_embedding.weight[1:].T
    torch.testing.assert_close(scores[0, 1:], alone)
    torch.testing.assert_close(policy.predict(rows), scores[[0, 1], rows["item_id"]])


def test_a_start_token_opens_the_session_where_its_first_event_is_predicted():
    policy = make(LPIRL, evaluate_first_event=True).eval()
    assert len(policy.policy_table.weight) == N_ITEMS - 1
    rows = {
        "item_id_list": torch.tensor([[3, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]]),
        "item_length": torch.tensor([2, 0, 5]),
    }
    states = [[N_ITEMS, 3, 1], [N_ITEMS], [1, 2, 3, 4, 5]]
    for got, items in zip(policy.full_sort_predict(rows), states, strict=True):
        state = policy.forward(torch.tensor([items]))[0, -1]
        torch.testing.assert_close(got[1:], policy.policy_table.outputs(state))


@pytest.mark.parametrize("first_event", [False, True])
def test_a_longer_list_is_ranked_after_by_its_most_recent_items(first_event):
    policy = make(LPIRL, evaluate_first_event=first_event).eval()
    assert policy.max_seq_length == 5
    rows = {
        "item_id_list": torch.tensor([[5, 1, 4, 2, 3, 1, 2], [3, 2, 1, 5, 4, 0, 0],
                                      [4, 1, 0, 0, 0, 0, 0]]),
        "item_length": torch.tensor([7, 5, 2]),
    }  # fmt: skip
    states = [[4, 2, 3, 1, 2], [3, 2, 1, 5, 4], [N_ITEMS, 4, 1] if first_event else [4, 1]]
    for got, items in zip(policy.full_sort_predict(rows), states, strict=True):
        state = policy.forward(torch.tensor([items]))[0, -1]
        torch.testing.assert_close(got[1:], policy.policy_table.outputs(state))


def test_untied_rows_score_the_items_and_the_embedding_is_only_read():
    policy = make(LPIRL, tie_weights=False).eval()
    rows = {
        "item_id_list": torch.tensor([[3, 1, 5, 0, 0]]), "item_length": torch.tensor([3]),
        "item_id": torch.tensor([2]),
    }  # fmt: skip
    state = policy.forward(torch.tensor([[3, 1, 5]]))[0, -1]
    scores = policy.full_sort_predict(rows)
    torch.testing.assert_close(scores[0, 1:], policy.output_embedding @ state)
    torch.testing.assert_close(policy.predict(rows), scores[[0], rows["item_id"]])
    found = gradients(policy, policy.losses(batch()).parts["policy loss"])
    read = torch.unique(batch().item_seq)
    touched = found["item_embedding.weight"].abs().sum(1).nonzero().squeeze(1)
    assert set(touched.tolist()) <= set(read.tolist())  # no item as a mere target
    assert found["output_embedding"].abs().sum(1).min() > 0  # every item, by the softmax
