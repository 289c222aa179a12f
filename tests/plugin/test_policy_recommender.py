"""RecBole's calls of a policy: scores of its rows, a start token, and lists that are too long."""

import pytest
import torch

from recbole_lpi.data.batches import History
from tests.support.tiny import N_ITEMS, batch, gradients, recommender

pytestmark = pytest.mark.recbole
ITEMS_ALONE = {"inputs": ["item"], "repeat_head": False}


def test_what_is_read_beside_the_items_comes_in_columns_of_its_own():
    policy = recommender("LPIRL").eval()
    items = torch.tensor([[3, 1, 3, 0, 0], [4, 0, 0, 0, 0]])
    rows = {
        "item_id_list": items, "item_length": torch.tensor([3, 1]),
        "kind_list": torch.tensor([[1, 2, 1, 0, 0], [2, 0, 0, 0, 0]]),
        "gap_list": torch.tensor([[0, 4, 9, 0, 0], [0, 0, 0, 0, 0]]),
    }  # fmt: skip
    history = History(items, rows["kind_list"], rows["gap_list"])
    wanted = policy.network.last_factors(history, rows["item_length"]).outputs()
    torch.testing.assert_close(policy.full_sort_predict(rows)[:, 1:], wanted)
    rows["item_id"] = torch.tensor([3, 6])
    torch.testing.assert_close(policy.predict(rows), wanted[[0, 1], [2, 5]])
    for column in ("kind_list", "gap_list"):
        lacking = {name: field for name, field in rows.items() if name != column}
        with pytest.raises(ValueError, match=f"no column '{column}' beside 'item_id_list'"):
            policy.full_sort_predict(lacking)


def test_a_tensor_is_of_items_alone():
    policy, items = recommender("LPIRL", **ITEMS_ALONE).eval(), torch.tensor([[3, 1, 5]])
    torch.testing.assert_close(policy.forward(items), policy.forward(History(items)))


def test_scores_are_the_logits_and_padding_is_never_recommended():
    policy = recommender("LPIRL", **ITEMS_ALONE).eval()
    rows = {
        "item_id_list": torch.tensor([[3, 1, 5, 0, 0], [4, 0, 0, 0, 0]]),
        "item_length": torch.tensor([3, 1]),
        "item_id": torch.tensor([2, 6]),
    }
    scores = policy.full_sort_predict(rows)
    assert scores.shape == (2, N_ITEMS) and (scores[:, 0] == float("-inf")).all()
    table = policy.network.item_embedding.weight[1:]
    alone = policy.forward(History(torch.tensor([[3, 1, 5]])))[0, -1] @ table.T
    torch.testing.assert_close(scores[0, 1:], alone)
    torch.testing.assert_close(policy.predict(rows), scores[[0, 1], rows["item_id"]])


def test_a_start_token_opens_the_session_where_its_first_event_is_predicted():
    policy = recommender("LPIRL", **ITEMS_ALONE, evaluate_first_event=True).eval()
    assert len(policy.network.policy_table.weight) == N_ITEMS - 1
    rows = {
        "item_id_list": torch.tensor([[3, 1, 0, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]]),
        "item_length": torch.tensor([2, 0, 5]),
    }
    states = [[N_ITEMS, 3, 1], [N_ITEMS], [1, 2, 3, 4, 5]]
    for got, items in zip(policy.full_sort_predict(rows), states, strict=True):
        state = policy.forward(History(torch.tensor([items])))[0, -1]
        torch.testing.assert_close(got[1:], policy.network.policy_table.outputs(state))


@pytest.mark.parametrize("first_event", [False, True])
def test_a_longer_list_is_ranked_after_by_its_most_recent_items(first_event):
    policy = recommender("LPIRL", **ITEMS_ALONE, evaluate_first_event=first_event).eval()
    assert policy.max_seq_length == 5
    rows = {
        "item_id_list": torch.tensor([[5, 1, 4, 2, 3, 1, 2], [3, 2, 1, 5, 4, 0, 0],
                                      [4, 1, 0, 0, 0, 0, 0]]),
        "item_length": torch.tensor([7, 5, 2]),
    }  # fmt: skip
    states = [[4, 2, 3, 1, 2], [3, 2, 1, 5, 4], [N_ITEMS, 4, 1] if first_event else [4, 1]]
    for got, items in zip(policy.full_sort_predict(rows), states, strict=True):
        state = policy.forward(History(torch.tensor([items])))[0, -1]
        torch.testing.assert_close(got[1:], policy.network.policy_table.outputs(state))


def test_untied_rows_score_the_items_and_the_embedding_is_only_read():
    policy = recommender("LPIRL", **ITEMS_ALONE, tie_weights=False).eval()
    rows = {
        "item_id_list": torch.tensor([[3, 1, 5, 0, 0]]), "item_length": torch.tensor([3]),
        "item_id": torch.tensor([2]),
    }  # fmt: skip
    state = policy.forward(History(torch.tensor([[3, 1, 5]])))[0, -1]
    scores = policy.full_sort_predict(rows)
    torch.testing.assert_close(scores[0, 1:], policy.network.output_embedding @ state)
    torch.testing.assert_close(policy.predict(rows), scores[[0], rows["item_id"]])
    found = gradients(policy.network, policy.network.losses(batch()).parts["policy loss"])
    read = torch.unique(batch().item_seq)
    touched = found["item_embedding.weight"].abs().sum(1).nonzero().squeeze(1)
    assert set(touched.tolist()) <= set(read.tolist())  # no item as a mere target
    assert found["output_embedding"].abs().sum(1).min() > 0  # every item, by the softmax
