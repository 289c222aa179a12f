"""RePlay's SASRec, cross-entropy over the whole catalogue, read by its ParquetModule."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lightning
import polars as pl
from replay.data import FeatureHint, FeatureSource, FeatureType
from replay.data.nn import ParquetModule, TensorFeatureInfo, TensorFeatureSource, TensorSchema
from replay.nn.lightning import LightningModule
from replay.nn.lightning.optimizer import OptimizerFactory
from replay.nn.sequential import SasRec
from replay.nn.transform.template import make_default_sasrec_transforms
from torch import Tensor

from benchmarks.peers.protocol import Recorder, left_padded, lightning_callback


def main(run: Path) -> None:
    """Train and record the run of this folder."""
    recorder = Recorder(run)
    settings, log = recorder.settings, recorder.log
    lightning.seed_everything(settings.seed)
    padding = log.items  # ids are 0 … A − 1, as RePlay counts
    sessions = log.train.group_by("session", maintain_order=True).agg(
        item_id=pl.col("item").cast(pl.Int64) - 1
    )
    sessions = sessions.filter(pl.col("item_id").list.len() > 1).select("item_id")
    sessions.write_parquet(run / "sessions.parquet")
    schema = TensorSchema(
        [
            TensorFeatureInfo(
                "item_id", FeatureType.CATEGORICAL, is_seq=True, feature_hint=FeatureHint.ITEM_ID,
                feature_sources=[TensorFeatureSource(FeatureSource.INTERACTIONS, "item_id")],
                cardinality=log.items, padding_value=padding, embedding_dim=settings.hidden,
            )
        ]
    )  # fmt: skip
    data = ParquetModule(
        settings.batch,
        {"train": {"item_id": {"shape": settings.length + 1, "padding": padding}}},
        make_default_sasrec_transforms(schema),
        train_path=str(run / "sessions.parquet"),
    )
    model = SasRec.from_params(
        schema, embedding_dim=settings.hidden, num_heads=settings.heads,
        num_blocks=settings.layers, max_sequence_length=settings.length,
        dropout=settings.dropout, hidden_dim=settings.inner,
    )  # fmt: skip
    optimiser = {"learning_rate": settings.learning_rate, **json.loads(settings.more)}
    module = LightningModule(model, OptimizerFactory(**optimiser))

    def score(history: Tensor, length: Tensor) -> Tensor:
        item = left_padded(history, length) - 1
        item = item.where(item >= 0, padding)
        scores: Tensor = model(feature_tensors={"item_id": item}, padding_mask=item != padding)[
            "logits"
        ]
        return scores

    trainer = lightning.Trainer(
        max_epochs=10**6, accelerator="cpu", devices=1, logger=False, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, limit_val_batches=0,
        callbacks=[lightning_callback(lightning.Callback, recorder, lambda: model, score)],
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    recorder.finish(model, score, "replay-rec", "lightning", "numpy")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
