"""The loop over epochs with parts that are handed in: nothing but the order of its calls."""

import numpy as np
import pytest
import torch

from recbole_lpi.policy.loss_parts import LossParts
from recbole_lpi.training import Selector, TrainingLoop, TrainingStep


class Numbers:
    """Epochs of three batches, a number each; what was asked for is noted."""

    def __init__(self):
        self.drawn = []

    def begin(self, epoch, rng):
        self.drawn.append((epoch, int(rng.integers(1000))))
        return [np.array([n]) for n in range(3)]

    def batches(self, indices):
        return (torch.tensor(float(index[0])) for index in indices)


class Recorded(list[tuple[int, float, dict[str, float]]]):
    def record(self, loop, losses, found):
        self.append((loop.next_epoch, losses["loss"], found))


def loop(scores=None, stopping_step=9, **parts):
    """A loop whose module's weight goes down by 1 a step, validated by ``scores``."""
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    step = TrainingStep(
        module, lambda batch: LossParts({"loss": module.weight.sum() + batch}, {}),
        torch.optim.SGD(module.parameters(), 1.0),
    )  # fmt: skip
    left = iter(scores or ())
    validate = None if scores is None else lambda: {"ndcg": next(left)}
    recorder = Recorded()
    made = TrainingLoop(
        module, Numbers(), step, Selector("ndcg", stopping_step), validate, recorder,
        **{"number": 4, "seed": 5, **parts},
    )  # fmt: skip
    return made, recorder


def test_every_epoch_is_trained_validated_and_kept_in_this_order():
    trained, kept = loop([0.1, 0.3, 0.2, 0.1])
    called = []
    trained.run(callback=lambda epoch, score: called.append((epoch, score)))
    # Weights before the steps are 0, −1, −2, … and the batches 0, 1, 2: a mean of −3 e an epoch.
    assert [(epoch, loss) for epoch, loss, _ in kept] == [(e + 1, -3.0 * e) for e in range(4)]
    assert [found["ndcg"] for _, _, found in kept] == [0.1, 0.3, 0.2, 0.1]
    assert called == [(0, 0.1), (1, 0.3), (2, 0.2), (3, 0.1)]
    assert trained.selector.best_epoch == 1
    assert trained.selector.best_state is not None
    assert trained.selector.best_state["weight"].item() == -6.0


def test_an_epoch_draws_by_its_number_and_the_seed_alone():
    first, _ = loop()
    first.run()
    again, _ = loop()
    again.next_epoch = 2  # as when it is resumed
    again.run()
    drawn, redrawn = first.epochs.drawn, again.epochs.drawn
    assert redrawn == drawn[2:] and len({number for _, number in drawn}) == 4


def test_without_validation_the_last_epoch_is_the_best():
    trained, kept = loop()
    trained.run()
    assert trained.selector.best_epoch == 3 and [found for _, _, found in kept] == [{}] * 4


def test_it_ends_when_the_selector_stops_it():
    trained, kept = loop([0.3, 0.2, 0.1, 0.9], stopping_step=1)
    trained.run()
    assert (trained.next_epoch, trained.selector.best_epoch, len(kept)) == (3, 0, 3)


def test_epochs_between_validations_are_kept_unmeasured_and_the_last_is_measured():
    trained, kept = loop([0.1, 0.2], number=3, eval_step=2)
    trained.run()
    assert [found for _, _, found in kept] == [{}, {"ndcg": 0.1}, {"ndcg": 0.2}]


def test_an_epoch_that_is_not_eligible_is_neither_the_best_nor_one_without_progress():
    begun: list[int] = []
    trained, _ = loop(
        [0.9, 0.8, 0.1, 0.2], stopping_step=0, begin_epoch=begun.append,
        eligible=lambda: begun[-1] >= 2,
    )  # fmt: skip
    trained.run()
    assert begun == [0, 1, 2, 3] and trained.selector.best_epoch == 3


def test_a_batch_that_fails_ends_it_and_keeps_what_was_kept():
    trained, kept = loop([0.1, 0.2, 0.3, 0.4])
    batches = trained.epochs.batches

    def failing(indices):
        if trained.next_epoch == 2:
            raise OSError("no space left")
        return batches(indices)

    trained.epochs.batches = failing
    with pytest.raises(OSError, match="no space left"):
        trained.run()
    assert len(kept) == 2 and trained.next_epoch == 2
