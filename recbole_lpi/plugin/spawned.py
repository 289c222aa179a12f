"""Hold the function that RecBole's launcher spawns, so that a process imports us first."""

from __future__ import annotations

from typing import Any


def run_recboles(rank: int, *args: Any) -> Any:
    """Call RecBole's function of that name in a new interpreter, which knows the policies."""
    from recbole.quick_start import quick_start

    return quick_start.recboles_run_recboles(rank, *args)
