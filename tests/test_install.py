"""The installer behind make: uv is told what pip is told, and pip does what uv cannot."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "install.py"
CONFIGURATION = """\
:env:.find-links='/wheels /more'
global.constraint='/caps.txt'
global.extra-index-url='https://cpu.example/simple'
global.find-links='/never'
global.no-index='false'
install.trusted-host='cpu.example'
"""


@pytest.fixture
def installer() -> Any:
    spec = importlib.util.spec_from_file_location("installer", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("fails", "by", "said"),
    [
        ((), "uv", ""),
        (("uv pip",), "pip", "uv could not install that: pip does"),
        (("uv --version", "pip install -q uv"), "pip", "uv cannot be had: pip installs"),
    ],
)
def test_uv_or_else_pip_installs_from_the_same_places(
    installer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    fails: tuple[str, ...], by: str, said: str,
) -> None:  # fmt: skip
    commands = []

    def run(command: list[str], **given: object) -> subprocess.CompletedProcess[str]:
        commands.append(" ".join(command[2:]))  # without "python -m"
        failed = any(commands[-1].startswith(start) for start in fails)
        return subprocess.CompletedProcess(command, int(failed), stdout=CONFIGURATION)

    monkeypatch.setattr(installer.subprocess, "run", run)
    assert installer.install(["-c", "lock.txt", "-e", "."]) == 0
    assert capsys.readouterr().err.startswith(said) and (by == "pip") == bool(said)
    if by == "pip":
        assert commands[-1] == "pip install -q -c lock.txt -e ."
    else:
        assert commands[-1].endswith(
            " --index-strategy unsafe-best-match --index https://cpu.example/simple"
            " --find-links /wheels --find-links /more --constraints /caps.txt"
            " --allow-insecure-host cpu.example -c lock.txt -e ."
        )
