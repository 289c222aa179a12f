"""What a policy scores items by: its rows, a start token, encoders and heads of one's own."""

import math
from typing import Any

import pytest
import torch

from recbole_lpi.nn.heads import TableQHead
from recbole_lpi.plugin.models import LPIRL
from tests.support.tiny import N_ITEMS, batch, gradients, make

pytestmark = pytest.mark.recbole

ANALYTIC = {"advantage_estimator": "analytic"}


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
