"""What the benchmark of a large catalogue times: a log with every item, steps that move it."""

import polars as pl
import torch

from benchmarks import large_catalogue
from benchmarks.steps import steps_of, take_steps, training_part

ITEMS = 3000


def test_every_item_is_logged_and_both_learners_take_steps(tmp_path):
    large_catalogue.generate(tmp_path / "catalogue", ITEMS)
    frame = pl.read_csv(tmp_path / "catalogue" / "catalogue.inter", separator="\t")
    assert frame["item_id:token"].n_unique() == ITEMS and len(frame) == 2 * ITEMS
    train = training_part(large_catalogue.given(tmp_path))
    trainers = {
        name: steps_of(
            "LPIRL",
            train,
            large_catalogue.given(tmp_path, learner=learner, hidden_dropout_prob=0.0),
        )
        for name, learner in large_catalogue.LEARNERS.items()
    }
    lazy, dense = (one.network.item_embedding.weight for one in trainers.values())
    before = lazy.detach().clone()
    assert torch.equal(before, dense)
    times = take_steps(trainers, 1)
    assert all(len(seconds) == 1 and min(seconds[0]) > 0 for seconds in times.values())
    assert (lazy[1:] == before[1:]).all(1).any()  # what no step touched
    assert lazy.grad is not None and lazy.grad.is_sparse
    assert dense.grad is not None and not dense.grad.is_sparse
