"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.support")  # so that suites say what they found

from tests.support.logs import log as log  # noqa: E402  (a fixture)

if "PYTEST_XDIST_WORKER" in os.environ:  # read by torch, which is not imported yet
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--core", action="store_true", help="only quick tests without RecBole; importing it fails"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "recbole: needs RecBole; not for --core")
    config.addinivalue_line("markers", "slow: many draws or another process; not for --core")
    if config.getoption("--core"):
        sys.meta_path.insert(0, _NoRecBole())


class _NoRecBole(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: object = None) -> None:
        if name.partition(".")[0] == "recbole":
            raise ImportError("not with --core: mark what needs RecBole with pytest.mark.recbole")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With --core, files that are marked as a whole are not even imported: that takes RecBole."""
    if not config.getoption("--core") or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.recbole\n" in collection_path.read_text() or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--core"):
        left_out = [
            item for item in items if {"recbole", "slow"} & {m.name for m in item.iter_markers()}
        ]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """RecBole takes what it finds on the command line for settings; pytest's are none."""
    monkeypatch.setattr(sys, "argv", sys.argv[:1])


@pytest.fixture(autouse=True)
def no_anomaly_detection() -> None:
    """One of RecBole's model files turns it on for all of torch: every step then takes twice."""
    if "torch" in sys.modules:
        sys.modules["torch"].autograd.set_detect_anomaly(False)
