"""Every shell block of README and docs: its commands are there and take what is written.

The tutorial is also run, as it is written.
"""

from __future__ import annotations

import importlib
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.evaluation.off_policy.estimate_verdicts import VerdictSettings
from recbole_lpi.evaluation.off_policy.estimator_settings import EstimatorSettings
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.plugin.setting_names import known
from recbole_lpi.simulation.shop_settings import ShopSettings

pytestmark = pytest.mark.recbole

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
BLOCK = re.compile(r"^( *)```(sh|python)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
OF_COMMANDS = (ReportSettings, EstimatorSettings, VerdictSettings, ShopSettings)
SETTINGS = {*known(), "config_files", "resume"}
OF_BASELINES = {kind for model in BASELINES.values() for kind in model.setting_classes}
SETTINGS |= {field.name for owner in (*OF_COMMANDS, *OF_BASELINES) for field in fields(owner)}
# Programs that are not ours: what follows them is not looked at.
OTHERS = {
    "make",
    "pip",
    "source",
    "cd",
    "git",
    "createdb",
    "export",
    "curl",
    "kill",
    "echo",
    "sudo",
}
BEFORE = re.compile(r"(?:nice|[A-Z_]+=\S*|-n|\d+)")  # of a command, and not it


def commands(page: Path) -> list[list[str]]:
    """The words of each command in the shell blocks of a page."""
    found = []
    for _, language, block in BLOCK.findall(page.read_text("utf-8")):
        if language == "sh":
            whole = re.sub(r"\\\n\s*", " ", block)
            found += [shlex.split(line, comments=True) for line in _lines(whole)]
    return [words for words in found if words]


def _lines(block: str) -> list[str]:
    """Commands of a block; a quoted text that goes over several lines stays in one."""
    lines: list[str] = []
    for line in block.splitlines():
        if lines and lines[-1].count('"') % 2:
            lines[-1] += "\n" + line
        else:
            lines.append(line)
    return lines


def parse(words: list[str]) -> None:
    """Parse a command without running it; the error says what is wrong."""
    while words and BEFORE.fullmatch(words[0]):
        words = words[1:]
    if not words or words[0].rpartition("/")[2] in OTHERS:
        return
    if any("[" in word and word.startswith("[--") for word in words):  # a synopsis
        return
    if words[0] in (
        "for",
        "done;",
        "do",
    ):  # loops of a shell, whose commands have lines of their own
        return
    if words[0].startswith("--"):  # settings alone, of any run
        words = ["recbole-lpi", "run", *words]
    program, *rest = words
    if program == "torchrun":
        while rest[0].startswith("--"):
            rest = rest[1:]
        program, rest = "python", rest
    if program.endswith("python"):
        script, *rest = rest
        if script == "-m" and rest[:1] == ["recbole_lpi"]:
            _parse(typer.main.get_command(app), rest[1:])
        if script in ("-c", "-m"):
            return
        assert (ROOT / script).is_file(), f"no file {script}"
        if script.startswith("dataset_prep/"):
            module = importlib.import_module(f"dataset_prep.{Path(script).stem}")
            alone = typer.Typer(add_completion=False)
            alone.command()(module.main)
            _parse(typer.main.get_command(alone), rest)
        elif script == "run_recbole_lpi.py":
            _parse(typer.main.get_command(app), ["run", *rest])
        return
    assert program == "recbole-lpi", f"{program} is no program of ours"
    _parse(typer.main.get_command(app), rest)


def _parse(command: Any, words: list[str]) -> None:
    while hasattr(command, "get_command"):
        name, *words = words
        found = command.get_command(None, name)
        assert found is not None, f"there is no command {name}"
        command = found
    with command.make_context(command.name, list(words)) as context:
        given = [word for word in (*context.args, *_settings(context)) if word != "…"]
        unknown = {word.partition("=")[0].removeprefix("--") for word in given} - SETTINGS
        assert not unknown - {"overwrite", "download"}, f"nothing reads {unknown}"


def _settings(context: Any) -> list[str]:
    """Settings that a command takes among its runs."""
    lists = [value for value in context.params.values() if isinstance(value, list)]
    return [str(word) for words in lists for word in words if str(word).startswith("--")]


WITH_COMMANDS = [page for page in PAGES if commands(page)]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_every_command_takes_what_is_written(page):
    for words in commands(page):
        try:
            parse(words)
        except Exception as error:
            pytest.fail(f"{shlex.join(words)}: {error!r}")


@pytest.mark.parametrize(
    "line",
    ["recbole-lpi compre a", "recbole-lpi run --gama=1", "recbole-lpi compare a --topp=5",
     "python dataset_prep/csv.py --inputt a", "python dataset_prep/nothing.py", "recbole a"],
)  # fmt: skip
def test_a_command_that_is_not_there_is_found(line):
    with pytest.raises(Exception, match=r"[Nn]o .*|reads"):
        parse(shlex.split(line))


def test_the_tutorial_does_what_it_says(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ran = 0
    for _, language, block in BLOCK.findall((ROOT / "docs/tutorial.md").read_text("utf-8")):
        if language == "python":
            exec(compile(block, "tutorial.md", "exec"), {})
            assert "propensity" in capsys.readouterr().out
            continue
        for line in _lines(re.sub(r"\\\n\s*", " ", block)):
            program, *words = shlex.split(line, comments=True)
            if words[:2] == ["prepare", "csv"]:  # of a log of one's own
                continue
            assert program == "recbole-lpi"
            done = CliRunner().invoke(app, words)
            assert done.exit_code == 0, f"{line}: {done.output}\n{done.exception!r}"
            ran += 1
    assert ran >= 9
    for made in (
        "estimates/forest.svg",
        "figures/learning.svg",
        "figures/weights.csv",
        "report.html",
    ):
        assert Path(made).stat().st_size > 500
