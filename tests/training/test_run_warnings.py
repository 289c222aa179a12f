"""What is said of a run that looks finished."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.training import run_warnings
from recbole_lpi.training.settings import TrainingSettings


def loop(best: int, trained: int, eval_step: int = 1) -> Any:
    selector = SimpleNamespace(best_epoch=best, metric="nll")
    return SimpleNamespace(selector=selector, next_epoch=trained, eval_step=eval_step)


@pytest.mark.parametrize(("best", "trained", "eval_step", "said"), [
    (4, 5, 1, "the last of the 5 trained, by nll.*train longer: --epochs"),
    (0, 1, 1, "the last of the 1 trained"),
    (0, 5, 1, "the first of the 5 trained, by nll.*lower learning_rate"),
    (2, 9, 3, "the first of the 9 trained"),
    (5, 9, 3, None),
    (3, 5, 1, None),
    (-1, 5, 1, None),
])  # fmt: skip
def test_the_first_and_the_last_epoch(best, trained, eval_step, said):
    found = run_warnings.of_epochs(loop(best, trained, eval_step))
    if said is None:
        assert found is None
    else:
        assert found is not None and re.search(said, found)


def of(**means: float) -> dict[str, Estimate]:
    return {name.replace("_at_", "@"): Estimate(mean, 0.1, 9) for name, mean in means.items()}


def test_a_floor_that_ranks_better_is_named_with_both_numbers():
    settings = TrainingSettings(valid_metric="ndcg@5", topk=(5, 20))
    floors = {"last_item": of(ndcg_at_5=0.3), "session_popularity": of(ndcg_at_5=0.4)}
    found = run_warnings.of_floors(settings, of(ndcg_at_5=0.25), floors)
    assert found == (
        "session popularity, which learns nothing, has a higher ndcg@5 on the test part: 0.4000, "
        "and the model 0.2500"
    )
    for own in (0.4, 0.5):
        assert run_warnings.of_floors(settings, of(ndcg_at_5=own), floors) is None
    assert run_warnings.of_floors(settings, of(ndcg_at_5=0.2), {}) is None


def test_a_criterion_that_is_no_ranking_leaves_it_to_ndcg():
    settings = TrainingSettings(valid_metric="nll", topk=(5, 20))
    floors = {"last_item": of(ndcg_at_20=0.5), "session_popularity": of(ndcg_at_20=0.45)}
    own = of(nll=0.01, ndcg_at_5=0.2, ndcg_at_20=0.4)
    found = run_warnings.of_floors(settings, own, floors)
    assert found is not None and "last item, which" in found and "ndcg@20" in found


def test_events_that_nothing_can_have_learnt_are_counted():
    trained = np.array([True] * 7 + [False])
    table: Any = type("T", (), {"trained": trained, "__len__": lambda self: 8})()
    found = run_warnings.of_untrained(table)
    assert found is not None
    assert found.startswith("1 of 8 held-out events (12.50%) are of items that training never saw")
    for known in (np.ones(8, bool), None):
        table.trained = known
        assert run_warnings.of_untrained(table) is None
