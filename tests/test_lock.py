"""The lock file pins, for every supported Python, releases that the project accepts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]
LOCKED = [
    Requirement(line)
    for line in (ROOT / "lock.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def project() -> list[Requirement]:
    """Every requirement of the project and its extras; Python 3.10 has no reader of TOML."""
    text = (ROOT / "pyproject.toml").read_text()
    start = text.index("dependencies = [")
    listed = text[start : text.index("[project.scripts]")]
    found = re.findall(r'"([A-Za-z0-9_.-]+(?:[<>=!~][^"]*)?)"', listed)
    return [Requirement(one) for one in found if one != "MIT"]


def environment(python: str) -> dict[str, str]:
    return {
        "python_version": python, "python_full_version": f"{python}.9", "os_name": "posix",
        "sys_platform": "linux", "platform_system": "Linux", "platform_machine": "x86_64",
        "platform_python_implementation": "CPython", "implementation_name": "cpython",
    }  # fmt: skip


@pytest.mark.parametrize("python", PYTHONS)
def test_one_release_of_everything_that_is_required_is_pinned(python: str) -> None:
    pinned: dict[str, str] = {}
    for one in LOCKED:
        if one.marker is None or one.marker.evaluate(environment(python)):
            assert canonicalize_name(one.name) not in pinned, one.name
            (pin,) = one.specifier
            assert pin.operator == "==", one
            pinned[canonicalize_name(one.name)] = pin.version
    required = project()
    assert {"torch", "polars", "pytest", "sphinx", "nox"} <= {one.name for one in required}
    for one in required:
        release = pinned[canonicalize_name(one.name)]
        assert one.specifier.contains(release, prereleases=True), (one, release)


def test_the_known_good_torch_is_the_locked_one() -> None:
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    (torch,) = (str(one) for one in LOCKED if one.name == "torch")
    assert torch in constraints
