"""Which epoch is kept, and when training stops."""

import torch

from recbole_lpi.training import Selector


def net(value):
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(module.weight, value)
    return module


def seen(scores, stopping_step=2, smaller_is_better=False):
    selector = Selector("ndcg", stopping_step, smaller_is_better)
    for epoch, score in enumerate(scores):
        selector.see(epoch, {"ndcg": score, "hit": epoch}, net(float(epoch)))
    return selector


def test_the_first_of_the_best_is_kept_with_its_weights_and_metrics():
    selector = seen([0.1, 0.4, 0.4, 0.2])
    assert (selector.best_epoch, selector.best_score, selector.waited) == (1, 0.4, 2)
    assert selector.best_result == {"ndcg": 0.4, "hit": 1}
    assert selector.best_state is not None
    assert selector.best_state["weight"].item() == 1.0
    assert not selector.stopped


def test_it_stops_when_more_validations_than_allowed_were_no_better():
    assert [seen([0.4, *[0.1] * n]).stopped for n in (1, 2, 3)] == [False, False, True]
    assert not seen([0.4, 0.1, 0.1, 0.5, 0.1, 0.1]).stopped  # counted anew from the better one
    assert seen([0.4, 0.1], stopping_step=0).stopped


def test_where_smaller_is_better_the_first_of_the_smallest_is_kept_and_waited_from():
    falling = seen([5.0, 4.0, 3.0, 2.0, 1.0], stopping_step=0, smaller_is_better=True)
    assert (falling.best_epoch, falling.best_score, falling.stopped) == (4, 1.0, False)
    rising = seen([1.0, 1.0, 2.0, 3.0], smaller_is_better=True)
    assert (rising.best_epoch, rising.best_score) == (0, 1.0)
    assert rising.waited == 3 and rising.stopped
    again = Selector("ndcg", 2, smaller_is_better=True)
    again.load_state(seen([2.0], smaller_is_better=True).state())
    again.see(1, {"ndcg": 3.0}, net(1.0))
    assert (again.best_epoch, again.waited) == (0, 1)
    assert seen([float("nan")], smaller_is_better=True).best_epoch == -1


def test_what_is_kept_does_not_change_with_the_module():
    selector, module = Selector("ndcg"), net(1.0)
    selector.keep(0, module)
    torch.nn.init.zeros_(module.weight)
    assert selector.best_state is not None and selector.best_state["weight"].item() == 1.0


def test_its_state_goes_on_where_it_was():
    first, again = seen([0.4, 0.1]), Selector("ndcg", 2)
    again.load_state(first.state())
    assert again.state() == first.state()
    for selector in (first, again):
        selector.see(2, {"ndcg": 0.3}, net(0.0))
        selector.see(3, {"ndcg": 0.3}, net(0.0))
    assert first.stopped and again.stopped
