"""The command ``report``: what it writes, what it says, what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from tests.support.finished_runs import made as made  # a fixture

pytestmark = pytest.mark.recbole


def ran(*arguments):
    return CliRunner().invoke(app, ["report", *arguments], env={"COLUMNS": "200"})


@pytest.fixture
def runs(made):
    """A policy that ranks every purchase a place higher than the logging policy does."""
    base = np.random.default_rng(0).integers(2, 10, 400)
    made("mu", base, model="LoggingPolicy")
    made("own", base - 1, mu=-1.5)
    return base


def test_it_writes_one_file_and_says_what_it_decided(runs):
    result = ran("own", "mu", "--output=out/report.html")
    assert result.exit_code == 0, result.output
    assert "LPIRL (beta=1.0): ship. The next purchase stands higher in its lists" in result.output
    assert [path.name for path in Path("out").iterdir()] == ["report.html"]
    written = Path("out/report.html").read_text()
    assert "<h1>Ship LPIRL (beta=1.0)</h1>" in written
    assert "The rank of the next logged item is not what a policy would earn." in written
    assert "Not to be reached: data set &#39;shop_1%&#39; is not there" in written
    assert "recbole-lpi report own mu --max_js=0.2 --level=0.95" in written


def test_the_budget_is_the_users(runs):
    assert "hold. It moves further" in ran("own", "mu", "--output=a.html", "--max_js=0.1").output
    far = ran("own", "mu", "--output=a.html", "--max-js=none")
    assert "ship" in far.output and "No budget was set" in Path("a.html").read_text()


def test_against_turns_the_question_round(runs):
    result = ran("mu", "--against=own", "--output=a.html", "--max_js=none")
    assert result.exit_code == 0, result.output
    assert "LoggingPolicy: hold. The next purchase stands lower" in result.output
    assert "beside LPIRL (beta=1.0)" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["own", "--output=a.pdf"], "--output must end in .html, got a.pdf"),
        (["own", "--output=a.html", "--max_js=far"], "max_js must be a number, or none, got far"),
        (["own", "--output=a.html", "--max_js=-1"], "max_js must be ≥ 0"),
        (["own", "--output=a.html", "--level=0.3"], "level must be between 0.5 and 1"),
        (["own", "--output=a.html", "--topk=0"], "topk must be ≥ 1"),
        (["own", "--output=a.html", "--against=own"], "every run is one of --against"),
        (["nothing", "--output=a.html"], "nothing is no run folder"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(runs, arguments, said):
    result = ran(*arguments)
    assert result.exit_code == 2 and said in result.output
    assert not Path("a.html").exists()
