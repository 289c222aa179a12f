"""The tests over the corners of what is supported, and the main job from a wheel: ``make matrix``.

A corner is a Python and pins; what is not pinned is the newest release that fits. Pythons that are
not installed are skipped. ``nox --list`` names the sessions, ``nox -s wheel`` runs one of them.
"""

from __future__ import annotations

from pathlib import Path

import nox
from packaging.requirements import Requirement

nox.options.default_venv_backend = "venv"
nox.options.error_on_missing_interpreters = False

HERE = Path(__file__).parent
PROJECT = nox.project.load_toml(HERE / "pyproject.toml")["project"]
RECBOLE = "recbole==1.2.1"


def lowest() -> list[str]:
    """Every direct dependency at the lower end of its range."""
    pins = []
    for requirement in map(Requirement, PROJECT["dependencies"]):
        floor = next(part.version for part in requirement.specifier if part.operator == ">=")
        pins.append(f"{requirement.name}=={floor}")
    return pins


CORNERS: dict[str, tuple[str, list[str]]] = {
    "lowest": ("3.10", lowest()),
    "ray": ("3.11", ["torch==2.13.0", "numpy<2", "pandas<3", "ray==2.6.3", "setuptools<81"]),
    "today": ("3.11", ["torch==2.13.0", "numpy>=2", "pandas>=3"]),
    "py312": ("3.12", ["torch==2.14.*"]),
    "py313": ("3.13", ["torch==2.14.*"]),
}
SHOWN = ("numpy", "pandas", "polars", "torch", "ray")


def install(session: nox.Session, what: str, pins: list[str]) -> None:
    """``what`` under the pins, RecBole beside it, and a line that says what came of it."""
    file = Path(session.create_tmp(), "pins.txt")
    file.write_text("\n".join(pins) + "\n")
    # pip of old Pythons does not know today's metadata.
    session.install(
        "--upgrade", "pip", "setuptools<81" if "setuptools<81" in pins else "setuptools"
    )
    session.install("-c", str(file), *[pin for pin in pins if pin.startswith("torch")])
    session.install("-c", str(file), what, *[pin for pin in pins if pin.startswith("ray")])
    session.install("--no-deps", RECBOLE)
    code = (
        "import importlib.metadata as m, platform\n"
        f"found = {{d.name: d.version for d in m.distributions() if d.name in {SHOWN}}}\n"
        "print('python', platform.python_version(), *sorted(found.items()))"
    )
    session.run("python", "-c", code)


def tests(session: nox.Session, pins: list[str]) -> None:
    """The tests in one corner."""
    install(session, ".[test]", pins)
    session.run("pytest", "-q")


def register(name: str, python: str, pins: list[str]) -> None:
    """A session for a corner."""

    @nox.session(name=name, python=python)
    def corner(session: nox.Session) -> None:
        tests(session, pins)


for name, (python, pins) in CORNERS.items():
    register(name, python, pins)


@nox.session(python="3.11")
def wheel(session: nox.Session) -> None:
    """The main job from a wheel in an empty environment, in a folder that is not the checkout."""
    folder = Path(session.create_tmp())
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder), str(HERE))
    (built,) = folder.glob("*.whl")
    session.run("pip", "uninstall", "-q", "-y", "build", "pyproject_hooks", "packaging")
    install(session, str(built), ["torch==2.13.0"])
    session.chdir(folder)
    session.run("recbole-lpi", "run", "--model=LPIRL", "--dataset=ml-100k", "--epochs=2")
    session.run("recbole-lpi", "prepare", "yoochoose", "--help", silent=True)
