"""RecBole's SASRec: its data set with a row per prefix, its trainer, its cross-entropy.

Two favours, without which an epoch takes about twice as long: torch's anomaly detection, which
one of RecBole's modules turns on for everybody, is turned off again, and the allocator keeps freed
memory (``time_to_quality.py`` starts every peer so).
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

import recbole_lpi  # noqa: F401  (lets RecBole run on today's numpy, without ray)
from benchmarks.peers.ours import NAME, check_items, score_of, write_inter
from benchmarks.peers.protocol import Recorder, Settings
from recbole_lpi.plugin.configuration import hidden_argv


class _Enough(Exception):
    pass


def configuration(settings: Settings, folder: Path) -> dict[str, Any]:
    """RecBole's own defaults where this says nothing. All of the file is for training."""
    return {
        "data_path": str(folder), "seed": settings.seed, "checkpoint_dir": str(folder / "saved"),
        "USER_ID_FIELD": "session_id",
        "load_col": {"inter": ["session_id", "item_id", "timestamp"]}, "normalize_all": False,
        "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "order": "TO", "group_by": None,
                      "mode": "full"},
        "n_layers": settings.layers, "n_heads": settings.heads, "hidden_size": settings.hidden,
        "inner_size": settings.inner, "hidden_dropout_prob": settings.dropout,
        "attn_dropout_prob": settings.dropout, "MAX_ITEM_LIST_LENGTH": settings.length,
        "train_batch_size": settings.batch, "learning_rate": settings.learning_rate,
        "train_neg_sample_args": None, "epochs": 10**6, "show_progress": False,
        **json.loads(settings.more),
    }  # fmt: skip


def main(run: Path) -> None:
    """Train and record the run of this folder."""
    from recbole.config import Config
    from recbole.data import create_dataset
    from recbole.data.dataloader import TrainDataLoader
    from recbole.trainer import Trainer
    from recbole.utils import get_model, init_seed

    recorder = Recorder(run)
    settings = recorder.settings

    class Timed(Trainer):  # type: ignore[misc]
        def _train_epoch(self, train_data: Any, epoch: int, *args: Any, **kwargs: Any) -> Any:
            if epoch == 0:
                recorder.begin()
            loss = super()._train_epoch(train_data, epoch, *args, **kwargs)
            if recorder.epoch(self.model, score_of(self.model)):
                raise _Enough
            return loss

    write_inter(recorder.log.train, run / "data")
    with hidden_argv():
        config = Config(
            model=settings.model, dataset=NAME, config_dict=configuration(settings, run / "data")
        )
    init_seed(settings.seed, True)
    train = create_dataset(config).build()[0]
    check_items(train)
    loader = TrainDataLoader(config, train, None, shuffle=True)
    init_seed(settings.seed, True)
    model = get_model(settings.model)(config, train).to(config["device"])
    torch.autograd.set_detect_anomaly(False)
    with suppress(_Enough):
        Timed(config, model).fit(loader, None, verbose=False, saved=False)
    recorder.finish(model, score_of(model), "recbole", "numpy")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
