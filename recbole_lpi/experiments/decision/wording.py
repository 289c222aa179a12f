"""How a report spells numbers: a true minus, and a dash where there is none."""

from __future__ import annotations

import math


def signed(value: float, digits: int = 4) -> str:
    """Spell a difference with its sign."""
    return _minus(f"{value:+.{digits}f}") if math.isfinite(value) else "–"


def number(value: float | None, digits: int = 4) -> str:
    """Spell a number."""
    return "–" if value is None or not math.isfinite(value) else _minus(f"{value:,.{digits}f}")


def p_value(p: float) -> str:
    """Spell a p-value as the tables do, and never over two lines: ``p < .001``, ``p = .021``."""
    if p < 0.001:
        return "p\u00a0<\u00a0.001"
    return "p\u00a0=\u00a0" + ("1" if p >= 0.9995 else f"{p:.3f}".removeprefix("0"))


def share(value: float | None, digits: int = 1) -> str:
    """Spell a share as a percentage."""
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def relative(difference: float, baseline: float) -> str:
    """Spell a difference as a share of what it is beside: ``+2.6 %``; by itself beside 0."""
    if not baseline or not math.isfinite(baseline):
        return signed(difference)
    return _minus(f"{100 * difference / abs(baseline):+.1f} %")


def sentence(clause: str) -> str:
    """Make a sentence of a clause."""
    return f"{clause[0].upper()}{clause[1:].rstrip('.')}." if clause else ""


def _minus(words: str) -> str:
    return words.replace("-", "−")
