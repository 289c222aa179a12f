"""Where the programs begin: nothing is imported before Ctrl-C is understood."""

from __future__ import annotations

import sys


def program() -> None:
    """Start ``recbole-lpi``."""
    _start([], "recbole-lpi")


def run_program() -> None:
    """Start ``run_recbole_lpi.py``: the command ``run`` without its name."""
    _start(["run"], "run_recbole_lpi.py")


def _start(command: list[str], name: str) -> None:
    try:
        from recbole_lpi.cli.app import app

        app([*command, *sys.argv[1:]], prog_name=name)
    except KeyboardInterrupt:  # while modules are imported, before anything was begun
        print("interrupted", file=sys.stderr)
        sys.exit(130)
