"""How every figure looks, and how it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from recbole_lpi.files import replacing
from recbole_lpi.settings import SettingError

SUFFIXES = (".png", ".svg", ".pdf")
# Okabe and Ito (2008), without yellow, which is too light for a point on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
SETTINGS: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "recbole_lpi", "font.size": 9}


def check_suffix(path: Path, option: str = "--figure") -> None:
    """Raise SettingError unless a figure can be written by that name."""
    if path.suffix.lower() not in SUFFIXES:
        raise SettingError(f"{option} must end in one of {', '.join(SUFFIXES)}, got {path}")


def write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the suffix; beside, then renamed into place."""
    check_suffix(path)
    kind = path.suffix.lower().removeprefix(".")
    undated: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind, {})
    with matplotlib.rc_context(SETTINGS), replacing(path) as scratch:
        figure.savefig(scratch, format=kind, metadata=undated)
