"""A policy of this package: whole sessions, one pass each."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor

import recbole_lpi  # noqa: F401  (lets RecBole run on today's numpy, without ray)
from benchmarks.peers.protocol import Log, Recorder, Settings
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.runner import make_config
from recbole_lpi.training.distributed import ALONE
from recbole_lpi.training.learner import PolicyLearner
from recbole_lpi.training.loop import TrainingLoop
from recbole_lpi.training.selection import Selector
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.step import TrainingStep

NAME = "peers"


class Timed(TrainingLoop):
    """Hands every epoch to the recorder of the comparison."""

    def __init__(self, comparison: Recorder, model: Any, *parts: Any, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.comparison, self.model = comparison, model

    def train_epoch(self, epoch: int, *shown: bool) -> dict[str, float]:
        """Train the epoch, and stop when the comparison has seen enough."""
        if epoch == 0:
            self.comparison.begin()
        losses = super().train_epoch(epoch, *shown)
        self.selector.stopped = self.comparison.epoch(self.model, score_of(self.model))
        return losses


def loop_of(comparison: Recorder, config: Any, model: Any, train: PolicyDataset) -> Timed:
    """The loop over the epochs of a policy, each without validation."""
    s, learner, device = TrainingSettings.of(config), PolicyLearner(model.network), config["device"]
    tables = model.network.sparse_parameters
    step = TrainingStep(
        model.network, learner.losses, s.optimiser(model.network.parameters(), tables),
        device=torch.device(device), clip=s.clip_grad_norm,
    )  # fmt: skip
    return Timed(
        comparison, model, model.network, learner.epochs(train, s, torch.device(device), ALONE),
        step, Selector(s.valid_metric), number=s.epochs, seed=s.seed,
        begin_epoch=learner.begin_epoch,
    )  # fmt: skip


def score_of(model: Any) -> Any:
    """Scores of any of RecBole's sequential models whose ids are the log's."""

    def score(history: Tensor, length: Tensor) -> Tensor:
        rows = {model.ITEM_SEQ: history, model.ITEM_SEQ_LEN: length}
        scores: Tensor = model.full_sort_predict(rows)
        return scores.view(len(history), -1)[:, 1:]

    return score


def write_inter(frame: pl.DataFrame, folder: Path) -> None:
    """Atomic file whose times are the places in ``frame``: exact in RecBole's float32."""
    if len(frame) > 2**24:
        raise SystemExit(f"{len(frame)} events: RecBole's float32 times tell at most 2^24 apart")
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    frame.with_row_index("timestamp").select(
        pl.col("session").alias("session_id:token"),
        pl.col("item").alias("item_id:token"),
        pl.col("timestamp").alias("timestamp:float"),
        pl.col("event").alias("event:token"),
        pl.col("reward").alias("reward:float"),
    ).write_csv(folder / NAME / f"{NAME}.inter", separator="\t")


def check_items(dataset: Any) -> None:
    """RecBole numbers items as they appear first, and so is the log: ids must be the same."""
    tokens = dataset.field2id_token[dataset.iid_field][1:]
    if any(int(token) != i for i, token in enumerate(tokens, 1)):
        raise SystemExit("RecBole's item ids are not those of the log")


def configuration(settings: Settings, log: Log, folder: Path) -> dict[str, Any]:
    """Settings of the run; the split by time is that of the log, whose parts stand in order."""
    number = log.frame.group_by("part").agg(pl.col("session").n_unique()).sort("part")["session"]
    return {
        "data_path": str(folder), "seed": settings.seed, "split": "session_end",
        "split_ratio": [None, int(number[1]), int(number[2])],
        "USER_ID_FIELD": "session_id",
        "load_col": {"inter": ["session_id", "item_id", "timestamp", "event", "reward"]},
        "n_layers": settings.layers, "n_heads": settings.heads, "hidden_size": settings.hidden,
        "inner_size": settings.inner, "hidden_dropout_prob": settings.dropout,
        "attn_dropout_prob": settings.dropout, "MAX_ITEM_LIST_LENGTH": settings.length,
        "train_batch_size": settings.batch, "learning_rate": settings.learning_rate,
        "inputs": ["item"], "repeat_head": False,  # as the others read them
        "logging_policy": "none", "epochs": 10**6, "show_progress": False,
        **json.loads(settings.more),
    }  # fmt: skip


def main(run: Path) -> None:
    """Train and record the run of this folder."""
    from recbole.utils import init_seed

    from recbole_lpi.plugin.model_factory import make_model

    recorder = Recorder(run)
    settings = recorder.settings
    write_inter(recorder.log.frame, run / "data")
    config = make_config(
        settings.model, NAME, (), configuration(settings, recorder.log, run / "data")
    )
    train = PolicyDataset(config).build()[0]
    check_items(train)
    init_seed(settings.seed, True)
    model = make_model(config, train)
    loop_of(recorder, config, model, train).run()
    recorder.finish(model, score_of(model), "recbole_lpi", "numpy")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
