"""What RecBole's launcher spawns: to find it, a new process imports this package first."""

from __future__ import annotations

from typing import Any


def run_recboles(rank: int, *args: Any) -> Any:
    """RecBole's function of that name; each process is a new interpreter, which knows nothing."""
    from recbole.quick_start import quick_start

    return quick_start.recboles_run_recboles(rank, *args)
