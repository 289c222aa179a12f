"""Small logs of a made-up shop as CSV, converted; what the tests of the converter share."""

from pathlib import Path
from typing import Any

import pandas as pd

from dataset_prep import csv as any_log
from dataset_prep.atomic import Summary
from dataset_prep.csv import Columns, Rewards

COLUMNS = Columns("user", "product", "when", "what")
REWARDS = Rewards({"view": 0.2, "buy": 1.0})
HEADER = "user,product,when,what\n"


def convert(folder: Path, text: str | bytes, *given: Any, **options: Any) -> Summary:
    """Write ``text`` to log.csv and convert it to the data set ``shop``, anew."""
    log = folder / "log.csv"
    log.write_bytes(text.encode() if isinstance(text, str) else text)
    defaults: list[Any] = [COLUMNS, REWARDS]
    arguments = [*given, *defaults[len(given) :]]
    return any_log.convert(log, folder / "shop", *arguments, overwrite=True, **options)


def events(folder: Path) -> list[tuple[str, str, float, str, float]]:
    """What RecBole's own reader finds in the data set ``shop``."""
    kinds = {"session_id": str, "item_id": str, "timestamp": float, "event": str, "reward": float}
    types = {f"{n}:{'token' if kind is str else 'float'}": kind for n, kind in kinds.items()}
    path = folder / "shop" / "shop.inter"
    frame = pd.read_csv(path, delimiter="\t", dtype=types, encoding="utf-8", engine="python")
    return list(frame.itertuples(index=False, name=None))
