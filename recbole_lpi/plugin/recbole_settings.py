"""RecBole's own settings, typed: what it would fail on in the middle of its work, or ignore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from recbole_lpi import settings
from recbole_lpi.data.eval_args import EvalArgs
from recbole_lpi.settings import Config, SettingError

FILES = ("inter", "user", "item")  # what a data set of sessions is read from
# Settings of RecBole that would change a run of another model, and cannot change one here.
_NO_READER = "no model that runs here reads it"
NOT_OFFERED = {
    "dataset_save_path": "RecBole would unpickle a file",
    "dataloaders_save_path": "RecBole would unpickle a file",
    "save_dataset": "RecBole would pickle the data",
    "save_dataloaders": "RecBole would pickle the data",
    "benchmark_filename": "parts are split by whole sessions; see split",
    "log_wandb": "curves are kept for TensorBoard, in the run folder",
    "threshold": "events have rewards, not labels; see rating_to_reward",
    "preload_weight": _NO_READER,
    "unused_col": "leave columns out by load_col",
    "alias_of_user_id": _NO_READER,
    "alias_of_item_id": _NO_READER,
    "alias_of_entity_id": _NO_READER,
    "alias_of_relation_id": _NO_READER,
    "normalize_field": "rewards and times keep their units",
    "normalize_all": "rewards and times keep their units",
}
Columns = Annotated[
    dict[str, Literal["*"] | list[str]],
    "{inter: [user_id, item_id]}",
]


@dataclass(frozen=True)
class Discretization:
    """Of a column: RecBole's method, and into how many buckets."""

    EXAMPLE: ClassVar[str] = "{method: ED, bucket: 10}"

    method: Literal["ED", "LD"] = "LD"
    bucket: int | None = None


@dataclass(frozen=True)
class NegativeSampling:
    """RecBole's ``train_neg_sample_args``, of its models that learn from negative items."""

    EXAMPLE: ClassVar[str] = "{distribution: uniform, sample_num: 1}"

    distribution: Literal["uniform", "popularity", "none", "None"] | None = "uniform"
    sample_num: Any = 1
    alpha: Any = 1.0
    dynamic: bool = False
    candidate_num: int = 0


@dataclass(frozen=True)
class RecBoleSettings:
    """Settings that RecBole reads itself. ValueError names the setting and what it may be.

    Attributes:
        seed: of everything that is drawn at random.
        load_col, unload_col: columns to read, or to leave, by the suffix of their file.
        additional_feat_suffix: suffixes of further files.
        seq_len: longest sequence, by column.
        rm_dup_inter: of events of one session with one item, which stays; None: all.
    """

    seed: int
    reproducibility: bool
    use_gpu: bool
    show_progress: bool
    filter_inter_by_user_or_item: bool
    data_path: str
    field_separator: str
    seq_separator: str
    state: str | None = None
    load_col: Columns | None = None
    unload_col: Columns | None = None
    additional_feat_suffix: tuple[str, ...] = ()
    numerical_features: list[str] | None = None
    seq_len: Annotated[dict[str, int], "{column: 20}"] | None = None
    discretization: (
        Annotated[dict[str, Discretization], "{price: {method: ED, bucket: 10}}"] | None
    ) = None
    val_interval: Annotated[dict[str, Any], "{rating: '[3,inf)'}"] | None = None
    rm_dup_inter: Literal["first", "last"] | None = None
    train_neg_sample_args: NegativeSampling | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in [0, 2^32), got {self.seed}")
        if len(self.field_separator.encode()) != 1:
            raise ValueError(
                f"field_separator must be one character of ASCII, got {self.field_separator!r}"
            )
        for suffix in self.additional_feat_suffix:
            if not suffix.isidentifier():
                raise ValueError(f"additional_feat_suffix must be like 'useremb', got {suffix!r}")
        for name, columns in (("load_col", self.load_col), ("unload_col", self.unload_col)):
            known = (*FILES, *self.additional_feat_suffix)
            for suffix in columns or ():
                if suffix not in known:
                    raise ValueError(
                        f"{name}: no file of suffix '{suffix}' is read, only {', '.join(known)}"
                    )
        for suffix in self.unload_col or ():
            if self.load_col is not None and self.load_col.get(suffix) != "*":
                raise ValueError(
                    f"unload_col: load_col says already which columns of {suffix} are read: "
                    "change that, or set load_col: ~ to read all others"
                )


def check(values: Mapping[str, Any], config: Config) -> RecBoleSettings:
    """Every setting of RecBole's, read once; SettingError for the first that is wrong."""
    for name, reason in NOT_OFFERED.items():
        if values.get(name):
            raise SettingError(f"{name} is not offered: {reason}")
    for name, value in values.items():
        if _holds_nul(value):
            raise SettingError(f"{name} holds a NUL character, which no name or path can")
    EvalArgs.of(config)
    return settings.read(RecBoleSettings, config)


def _holds_nul(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_nul(inner) for pair in value.items() for inner in pair)
    if isinstance(value, (list, tuple)):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value
