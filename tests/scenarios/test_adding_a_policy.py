"""The example of docs/adding-a-policy.md, run as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_lpi.objectives import OBJECTIVES, Estimates, ObjectiveSettings
from recbole_lpi.plugin.models import MODELS
from recbole_lpi.plugin.registration import MODELS_OF_RECBOLE
from tests.support.logs import SMALL

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-policy.md"


@pytest.fixture
def blocks() -> list[str]:
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [str(block) for block in found]


@pytest.fixture
def names(blocks: list[str]) -> Any:
    """What the first block defines; the registration is undone afterwards."""
    defined: dict[str, Any] = {}
    exec(compile(blocks[0], str(PAGE), "exec"), defined)
    yield defined
    OBJECTIVES.pop("CRR"), MODELS.pop("CRR")
    sys.modules.pop(f"{MODELS_OF_RECBOLE}.crr", None)


def test_a_policy_takes_at_most_15_lines(blocks):
    lines = [line for line in blocks[0].splitlines() if line.strip()]
    assert 8 < len(lines) <= 15


def test_its_weight_is_what_the_page_says(names):
    a = torch.tensor([0.4, 0.4])
    estimates = Estimates(a, a, a, q=torch.tensor([0.5, 0.3]), v=torch.tensor([0.4, 0.4]))
    weight = names["better_than_average"](estimates, ObjectiveSettings())
    assert weight.tolist() == [1.0, 0.0]


def test_it_runs_as_the_page_says(names, blocks, log, capsys, monkeypatch):
    from recbole_lpi.plugin import runner

    small = SMALL | {"logging_policy": "none"}
    whole = runner.run
    with monkeypatch.context() as patch:  # the page's settings, on a small network
        patch.setattr(
            runner, "run",
            lambda model, dataset, config_dict: whole(model, dataset, (), small | config_dict),
        )  # fmt: skip
        exec(compile(blocks[1], str(PAGE), "exec"), {})
    assert "Estimate(mean=0." in capsys.readouterr().out
    assert len(list(Path("runs/shop").glob("CRR-*/events.parquet"))) == 1


def test_recboles_own_entry_point_knows_it(names, log):
    from recbole.quick_start import run_recbole

    given = SMALL | {"logging_policy": "none", "epochs": 1}
    found = run_recbole(model="CRR", dataset="shop", config_dict=given)
    assert 0 <= found["test_result"]["purchase_ndcg@10"] <= 1
