"""The examples of docs/recommending.md, on a run of the tests."""

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.plugin.runner import run
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole
DOCS = Path(__file__).parents[2] / "docs/recommending.md"
NAMES = {"199": "i3", "200": "i4", "242": "i5", "liked": "click", "rated": "purchase"}


def test_the_examples_recommend_items_of_the_data(log):
    run("LoggingPolicy", "shop", (), {**SMALL, "epochs": 1, "run_dir": "runs/first"})
    exported = CliRunner().invoke(app, ["export", "runs/first", "--format", "onnx"])
    assert exported.exit_code == 0, exported.output
    code = "\n".join(re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL))
    for ours, theirs in NAMES.items():
        code = code.replace(f'"{ours}"', f'"{theirs}"')
    scope: dict[str, Any] = {}
    exec(code, scope)
    again = scope["policy"].recommend(scope["sessions"], k=3)  # by onnxruntime
    assert (again.items == scope["found"].items).all()
    for name in ("found", "drawn"):
        found = scope[name]
        assert found.items.shape == (2, 3) and found.unknown == 0
        for items, chances in zip(found.items, found.propensities, strict=True):
            assert len(set(items)) == 3 and all(re.fullmatch(r"i\d+", item) for item in items)
            assert ((chances > 0) & (chances < 1)).all()
