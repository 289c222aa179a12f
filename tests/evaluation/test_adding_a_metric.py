"""The examples of docs/adding-a-metric.md, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.measures import MEASURES
from recbole_lpi.evaluation.metrics import Kinds, evaluate, names_at
from recbole_lpi.training.settings import TrainingSettings

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-metric.md"
NAMES = ("log_likelihood", "purchase_log_likelihood", "conversion")


@pytest.fixture
def added():
    before = dict(MEASURES)
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)), {})
    yield
    MEASURES.clear()
    MEASURES.update(before)


def test_the_rows_of_the_page_are_measured(added):
    nothing = np.full(4, np.nan)
    table = EventTable(
        session=np.arange(4),
        position=np.zeros(4, int),
        item_id=np.array([1, 2, 3, 4]),
        event=np.array(["buy", "view", "buy", "view"], dtype=object),
        reward=np.ones(4),
        rank=np.ones(4),
        greedy_item=np.array([1, 2, 9, 4]),
        log_pi=np.array([-1.0, -2.0, -3.0, -6.0], np.float32),
        log_mu=nothing,
        js=nothing,
        kl=nothing,
    )
    found = evaluate(table, names_at(NAMES, [5]), Kinds(("buy",), ("view",)))
    assert [found[name].mean for name in NAMES] == pytest.approx([-3, -2, 1 / 3])
    settings = TrainingSettings(metrics=NAMES, valid_metric="conversion")
    assert settings.metric_names == list(NAMES)
