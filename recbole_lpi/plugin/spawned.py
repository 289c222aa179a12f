"""Hold what RecBole's launcher spawns: to find it, a process imports this package first."""

from __future__ import annotations

from typing import Any


def run_recboles(rank: int, *args: Any) -> Any:
    """Call RecBole's function of that name, in a new interpreter that now knows the policies."""
    from recbole.quick_start import quick_start

    return quick_start.recboles_run_recboles(rank, *args)
