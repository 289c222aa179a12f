"""Loss and gradient of each policy against plain loops over sessions and items, in float64."""

import math

import pytest
import torch

from recbole_lpi.data.sequences import Batch
from recbole_lpi.models import LPIRL, LoggingPolicy
from recbole_lpi.nn.heads import QHead

N_ITEMS, GAMMA, BETA, LAMBDA = 7, 0.6, 0.7, 0.3


class Config(dict):
    def __missing__(self, key):
        return None


class Catalogue:
    def num(self, field):
        return N_ITEMS


def make(model, *parts, **settings):
    defaults = dict(
        USER_ID_FIELD="user_id", ITEM_ID_FIELD="item_id", LIST_SUFFIX="_list",
        ITEM_LIST_LENGTH_FIELD="item_length", NEG_PREFIX="neg_", MAX_ITEM_LIST_LENGTH=5,
        hidden_size=4, inner_size=6, hidden_dropout_prob=0.0, attn_dropout_prob=0.0,
        initializer_range=0.5, gamma=GAMMA, beta=BETA, td_weight=LAMBDA, device="cpu",
    )  # fmt: skip
    config = Config({**defaults, **settings})
    torch.manual_seed(3)
    return model(config, Catalogue(), *parts).double()


def batch():
    f = lambda rows: torch.tensor(rows, dtype=torch.float64)  # noqa: E731
    return Batch(
        item_seq=torch.tensor([[3, 1, 5, 2], [4, 6, 0, 0], [2, 2, 6, 0]]),
        action=torch.tensor([[1, 5, 2, 2], [6, 1, 0, 0], [2, 6, 3, 0]]),
        reward=f([[0.2, 1.0, 0.2, 0.2], [0.2, 1.0, 0, 0], [0.2, 0.2, 0.2, 0]]),
        discount=f([[GAMMA, GAMMA, GAMMA, 0], [GAMMA, 0, 0, 0], [GAMMA, GAMMA, 0, 0]]),
        return_=torch.zeros(3, 4, dtype=torch.float64),
        event=torch.zeros(3, 4, dtype=torch.int64),
        counts=torch.tensor([[False, True, True, True], [True, True, False, False],
                             [True, True, True, False]]),
        place=torch.zeros(3, 4, dtype=torch.int64),
        session=torch.arange(3),
        sample_weight=torch.ones(3, 4, dtype=torch.float64),
    )  # fmt: skip


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def loss_by_loops(model, b, chooser=None, valuer=None, mu=None):
    """Eq. 10 event by event: −w log π + λ (value − target)², then the mean."""
    s = model.settings
    state, items = model.forward(b.item_seq), range(1, N_ITEMS)
    embedding = model.item_embedding.weight
    terms, weights = [], []
    for row, position in b.counts.nonzero().tolist():
        x, a = state[row, position], int(b.action[row, position])
        logits = [dot(x, embedding[i]) for i in items]
        log_z = torch.logsumexp(torch.stack(logits), 0)
        log_pi = logits[a - 1] - log_z
        r, discount = b.reward[row, position], float(b.discount[row, position])
        if model.head is None:
            terms.append(-log_pi)
            continue
        if model.head == "q":
            q = lambda head, x, i: dot(x, head.weight[i - 1]) + head.bias[i - 1]  # noqa: E731
            values = [q(chooser, x, i) for i in items]
            if s.advantage_baseline == "max":
                v = max(values)
            else:
                if s.advantage_baseline == "logging":
                    y = mu.forward(b.item_seq)[row, position]
                    ahead = [dot(y, mu.item_embedding.weight[i]) for i in items]
                else:
                    ahead = logits
                shares = torch.stack(ahead).exp() / torch.stack(ahead).exp().sum()
                v = dot(shares, values)
            advantage = values[a - 1] - v
            target = r
            if discount:
                x1 = state[row, position + 1]
                best = max(items, key=lambda i: float(q(chooser, x1, i)))
                target = r + discount * q(valuer, x1, best)
            value = values[a - 1]
        else:
            value = model.value_head(x)
            target = r
            if discount:
                target = r + discount * model.value_head(state[row, position + 1])
            advantage = target - value
        weight = torch.exp(advantage / s.beta)
        if s.weight_clip is not None:
            weight = weight.clamp(max=s.weight_clip)
        weights.append(weight.detach())
        terms.append((-weight.detach() * log_pi, s.td_weight * (value - target.detach()) ** 2))
    if model.head is None:
        return sum(terms) / len(terms)
    mean = sum(weights) / len(weights) if s.weight_normalize else 1.0
    return sum(p / mean + t for p, t in terms) / len(terms)


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


VARIANTS = [
    (LoggingPolicy, {}),
    *((LPIRL, {"advantage_baseline": baseline}) for baseline in ("policy", "logging", "max")),
    (LPIRL, {"double_q": False}),
    (LPIRL, {"weight_clip": 1.1}),
    (LPIRL, {"weight_normalize": True}),
    (LPIRL, {"advantage_estimator": "td_residual"}),
    (LPIRL, {"advantage_estimator": "td_residual", "weight_normalize": True, "weight_clip": 1.1}),
]


@pytest.mark.parametrize(("model", "settings"), VARIANTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_loss_and_gradient_equal_plain_loops(model, settings, seed):
    policy, b = make(model, **settings), batch()
    mu = make(LoggingPolicy)
    with torch.no_grad():
        for parameter in mu.parameters():
            parameter.mul_(1.3)
    policy.compare_with(mu)
    torch.manual_seed(seed)
    losses = policy.losses(b)
    got = gradients(policy, sum(losses.parts.values()))
    heads = ()
    if policy.head == "q":
        torch.manual_seed(seed)  # which head chose is drawn once per batch
        first = int(torch.randint(len(policy.q_heads), ()))
        heads = policy.q_heads[first], policy.q_heads[first - 1]
    expected = loss_by_loops(policy, b, *heads, mu=mu)
    assert sum(losses.parts.values()).item() == pytest.approx(expected.item(), abs=1e-8)
    by_loops = gradients(policy, expected)
    assert got.keys() == by_loops.keys()
    for name, grad in by_loops.items():
        torch.testing.assert_close(got[name], grad, atol=1e-8, rtol=0, msg=name)


def test_both_heads_take_both_roles():
    policy, trained = make(LPIRL), set()
    for seed in range(8):
        torch.manual_seed(seed)
        trained |= gradients(policy, sum(policy.losses(batch()).parts.values())).keys()
    assert {"q_heads.0.weight", "q_heads.1.weight"} <= trained


def test_the_logging_policy_is_frozen_and_no_part_of_the_checkpoint():
    policy, mu = make(LPIRL), make(LoggingPolicy)
    policy.compare_with(mu)
    assert not any(p.requires_grad for p in mu.parameters())
    assert policy.state_dict().keys() == make(LPIRL).state_dict().keys()


def test_encoder_and_heads_can_be_ones_own():
    """An encoder that sees the last item alone, and one Q head that knows its values."""
    head = QHead(N_ITEMS - 1, 4)
    with torch.no_grad():
        head.weight.zero_()
        head.bias.copy_(torch.tensor([1.0, 0, 0, 0, 0, 0]))
    policy = make(LPIRL, torch.nn.Identity(), [head], beta=1.0, advantage_baseline="max")
    a, b = policy.forward(torch.tensor([[3, 1, 5, 2]])), policy.item_embedding.weight[[3, 1, 5, 2]]
    torch.testing.assert_close(a[0], b)
    one = batch()
    found = policy.losses(one)
    action = one.action[one.counts]
    weight = torch.where(action == 1, 1.0, math.exp(-1)).double()  # A = Q(a) − max Q = 0 or −1
    torch.testing.assert_close(found.diagnostics["mean weight"], weight.mean())
    value = make(LPIRL, None, [torch.nn.Flatten(-2)], advantage_estimator="td_residual").value_head
    assert isinstance(value, torch.nn.Flatten)


def test_a_baseline_under_the_logging_policy_needs_one():
    with pytest.raises(ValueError, match="needs a logging policy"):
        make(LPIRL, advantage_baseline="logging").losses(batch())


def test_beta_to_infinity_is_maximum_likelihood():
    policy, ml = make(LPIRL, beta=1e12), make(LoggingPolicy)
    ml.load_state_dict(
        {k: v for k, v in policy.state_dict().items() if not k.startswith("q_heads")}
    )
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
