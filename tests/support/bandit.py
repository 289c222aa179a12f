"""A log of impressions, of which some were clicked, with the probability of each (planted μ)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ITEMS, OPENING = 8, 0  # OPENING is the context of a session's first event
HEADER = (
    "session_id:token\titem_id:token\ttimestamp:float\tpropensity:float\tevent:token\treward:float"
)


def planted_mu(seed: int = 0) -> np.ndarray:
    """μ(a | x) of a log whose context x is the item before, 1 … A, or OPENING: [A + 1, A]."""
    logits = np.random.default_rng(seed).normal(size=(ITEMS + 1, ITEMS))
    share = np.exp(logits)
    return np.asarray(share / share.sum(1, keepdims=True))


def click_chance(item: int) -> float:
    """How likely an impression of item 0 … A − 1 is clicked."""
    return 0.05 + 0.5 * item / ITEMS


def bandit_rows(sessions: int = 200, seed: int = 0) -> list[tuple[str, str, int, float, str, int]]:
    """Rows of the log: session, item, time, propensity, kind and reward of each impression."""
    rng, mu, rows = np.random.default_rng(seed), planted_mu(), []
    for session in range(sessions):
        context = OPENING
        for place in range(int(rng.integers(2, 8))):
            item = int(rng.choice(ITEMS, p=mu[context]))
            clicked = rng.random() < click_chance(item)
            rows.append((
                f"s{session}", f"i{item}", 1_600_000_000 + 1000 * session + place,
                float(mu[context, item]), "click" if clicked else "ignored", int(clicked),
            ))  # fmt: skip
            context = item + 1
    return rows


def write_bandit(folder: Path, rows: list[tuple[str, str, int, float, str, int]]) -> Path:
    """``folder/shown/shown.inter`` and its settings."""
    path = folder / "shown" / "shown.inter"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([HEADER, *("\t".join(map(str, row)) for row in rows)]) + "\n")
    path.with_suffix(".yaml").write_text(
        "USER_ID_FIELD: session_id\npurchase_events: []\nclick_events: [click]\n"
    )
    return path
