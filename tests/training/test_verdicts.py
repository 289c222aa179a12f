"""What is doubtful of a model's choices is said of one that learns; of the data, of any."""

import math

import numpy as np
import pytest

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.verdicts import Verdicts

N = 100


def table() -> EventTable:
    """Every first choice is the item of the event before; half of the items were never trained."""
    item, none = np.arange(N) + 1, np.full(N, math.nan)
    return EventTable(
        session=np.arange(N), position=np.ones(N, int), item_id=item,
        event=np.full(N, "click", object), reward=none, rank=np.ones(N), greedy_item=item,
        log_pi=none, log_mu=none, js=none, kl=none, previous_item=item,
        trained=np.arange(N) % 2 == 0,
    )  # fmt: skip


@pytest.mark.parametrize("learns", [True, False])
def test_choices_are_doubted_where_something_is_learnt(learns):
    told = Verdicts()
    told.warn_of(table(), {}, TrainingSettings(), learns)
    of_choices = [warning for warning in told.warnings if "the item of the event before" in warning]
    assert len(of_choices) == learns
    assert any("50 of 100 held-out events" in warning for warning in told.warnings)
    assert len(told.warnings) == 1 + learns
