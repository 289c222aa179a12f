"""Folders of finished runs, written by hand: nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.training.run_folder import RunFolder

CONFIG = {
    "dataset": "shop_1%", "USER_ID_FIELD": "session_id", "ITEM_ID_FIELD": "item_id",
    "TIME_FIELD": "timestamp", "seed": 1, "split_seed": 2020, "beta": 1.0, "gamma": 0.5,
    "item_inter_num_interval": "[0,inf)", "rating_to_reward": {0: 0, 4: 1},
    "purchase_events": ["purchase"], "click_events": ["click"], "logging_policy": "none",
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "mode": "full"},
}  # fmt: skip
MakeRun = Callable[..., Path]


def make_run(
    folder: Path,
    ranks: Sequence[float],
    model: str = "LPIRL",
    kinds: Sequence[str] | None = None,
    mu: float | None = None,
    data: str | None = None,
    log_pi: float = -1.0,
    seen: Sequence[bool] | None = None,
    **settings: object,
) -> Path:
    """A run whose event i is of session i // 2: a click, then a purchase unless ``kinds`` says.

    ``mu`` is the log μ of every event, and the JS divergence is −mu / 10; None: not measured.
    """
    n = len(ranks)
    place = np.arange(n)
    measured = np.full(n, np.nan if mu is None else mu, np.float32)
    table = EventTable(
        session=place // 2,
        position=place % 2 + 1,
        item_id=place + 1,
        event=np.array(kinds or ["click", "purchase"] * (n // 2), dtype=object),
        reward=np.full(n, 0.2, np.float32),
        rank=np.asarray(ranks, np.float32),
        greedy_item=np.ones(n, int),
        log_pi=np.full(n, log_pi, np.float32),
        log_mu=measured,
        js=-measured / 10,
        kl=-measured / 5,
        seen=None if seen is None else np.array(seen),
    )
    run = RunFolder(folder)
    run.write_config({**CONFIG, "model": model, **settings})
    run.write_metrics({"model": model, **({"data": data} if data else {})})
    tokens = np.array([f"t{number}" for number in range(n + 1)])
    table.write(run.events, tokens, tokens)
    return folder


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    """``made("a", ranks, …)``: ``make_run`` in a folder of the test's own, its working folder."""
    monkeypatch.chdir(tmp_path)
    return lambda name, ranks, *args, **kwargs: make_run(Path(name), ranks, *args, **kwargs)
