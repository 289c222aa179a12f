"""The example of docs/recommending.md, on a run of the tests."""

import re
from pathlib import Path

import pytest

from recbole_lpi.plugin.runner import run
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole
DOCS = Path(__file__).parents[2] / "docs/recommending.md"


def test_the_example_recommends_items_of_the_data(log):
    text = DOCS.read_text()
    run("LoggingPolicy", "shop", (), {**SMALL, "epochs": 1, "run_dir": "runs/first"})
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    code, example = code.rsplit("\n", 2)[0], code.rstrip().rsplit("\n", 1)[1]
    example = example.replace("199", "i3").replace("200", "i4")
    example = example.replace("liked", "click").replace("rated", "purchase")
    scope: dict[str, object] = {}
    exec(code, scope)
    found = eval(example, scope)
    assert len(set(found)) == 3 and all(re.fullmatch(r"i\d+", name) for name in found)
