"""RecTools' SASRec, softmax loss, through ``fit``; it trains on the last ``length`` + 1 events."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from torch import Tensor

from benchmarks.peers.protocol import Recorder, left_padded, lightning_callback


def main(run: Path) -> None:
    """Train and record the run of this folder."""
    recorder = Recorder(run)
    settings, log = recorder.settings, recorder.log
    seed_everything(settings.seed)
    frame = log.train
    places = np.arange(len(frame))
    interactions = pd.DataFrame(
        {
            Columns.User: frame["session"].to_numpy(),
            Columns.Item: frame["item"].to_numpy(),
            Columns.Weight: 1.0,
            Columns.Datetime: pd.Timestamp("2000-01-01") + pd.to_timedelta(places, unit="s"),
        }
    )

    def score(history: Tensor, length: Tensor) -> Tensor:
        """Items it does not know, in no training window, score −∞; it skips them in histories."""
        known = model.data_preparator.get_known_item_ids().astype(np.int64)
        ids = torch.zeros(log.items + 1, dtype=torch.long)
        ids[torch.from_numpy(known)] = torch.arange(1, len(known) + 1)
        read = ids[history]
        kept = read > 0
        read = read.gather(1, torch.argsort((~kept).long(), dim=1, stable=True))
        rows = model.torch_model.item_model.get_all_embeddings()
        states = model.torch_model.encode_sessions({"x": left_padded(read, kept.sum(1))}, rows)
        scores = (states[:, -1] @ rows.T)[:, ids[1:]]
        return torch.as_tensor(scores.masked_fill(ids[1:] == 0, -torch.inf))

    def trainer() -> Trainer:
        return Trainer(
            max_epochs=10**6, accelerator="cpu", devices=1, logger=False,
            enable_progress_bar=False, enable_model_summary=False, enable_checkpointing=False,
            callbacks=[lightning_callback(Callback, recorder, lambda: model.torch_model, score)],
        )  # fmt: skip

    model = SASRecModel(
        n_factors=settings.hidden, n_blocks=settings.layers, n_heads=settings.heads,
        dropout_rate=settings.dropout, session_max_len=settings.length, loss="softmax",
        batch_size=settings.batch, lr=settings.learning_rate, get_trainer_func=trainer,
        **json.loads(settings.more),
    )  # fmt: skip
    model.fit(Dataset.construct(interactions))
    recorder.finish(model.torch_model, score, "rectools", "pytorch-lightning", "numpy")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
