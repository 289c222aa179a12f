"""A small log of clicks and purchases, as the converters write them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import recbole_lpi  # noqa: F401  (registers the policies)

HEADER = "session_id:token\titem_id:token\ttimestamp:float\tevent:token\treward:float"
SMALL: dict[str, Any] = {
    "hidden_size": 8, "inner_size": 16, "epochs": 2, "train_batch_size": 32,
    "MAX_ITEM_LIST_LENGTH": 6, "show_progress": False, "topk": [3, 10],
    "logging_policy_seeds": 1,
}  # fmt: skip


def small(model: str) -> dict[str, object]:
    """SMALL, with a warm-up that leaves an epoch to the weights of those that have one."""
    return SMALL | ({"warmup_epochs": 1} if model in ("SAC", "SA2C") else {})


def write_log(folder: Path, sessions: int = 120, items: int = 25, seed: int = 0) -> Path:
    """``folder/shop/shop.inter``: sessions that walk up the items, and buy some."""
    rng = np.random.default_rng(seed)
    lines = [HEADER]
    for session in range(sessions):
        item, time = int(rng.integers(items)), 1_500_000_000 + 1000 * session
        for _ in range(int(rng.integers(2, 9))):
            buys = rng.random() < 0.2
            event, reward = ("purchase", 1.0) if buys else ("click", 0.2)
            lines.append(f"s{session}\ti{item}\t{time}\t{event}\t{reward}")
            item, time = (item + int(rng.integers(1, 3))) % items, time + 1
    path = folder / "shop" / "shop.inter"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    path.with_suffix(".yaml").write_text("USER_ID_FIELD: session_id\n")
    return path


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log's file; the test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return write_log(tmp_path / "dataset")


@contextmanager
def broken_off_after(epoch: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is trained in it is interrupted once ``epoch`` is kept."""
    from recbole_lpi.training.recorder import Recorder  # imports torch, which takes a second

    recorded = Recorder.record

    def break_off(recorder: Any, loop: Any, *rest: Any) -> None:
        recorded(recorder, loop, *rest)
        if loop.next_epoch == epoch + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Recorder, "record", break_off)
        yield
