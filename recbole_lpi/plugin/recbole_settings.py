"""Type RecBole's own settings, which it would fail on in the middle of its work, or ignore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from recbole_lpi import settings
from recbole_lpi.data.eval_args import EvalArgs
from recbole_lpi.plugin.recbole_table import TABLE
from recbole_lpi.roles import Role, setting
from recbole_lpi.settings import Config, SettingError

FILES = ("inter", "user", "item")  # what a data set of sessions is read from
Columns = Annotated[
    dict[str, Literal["*"] | list[str]],
    "{inter: [user_id, item_id]}",
]


@dataclass(frozen=True)
class Discretization:
    """A setting of how a column is cut into buckets: the method, and into how many."""

    EXAMPLE: ClassVar[str] = "{method: ED, bucket: 10}"

    method: Literal["ED", "LD"] = "LD"
    bucket: int | None = None


@dataclass(frozen=True)
class NegativeSampling:
    """A setting of how RecBole's models draw negative items (``train_neg_sample_args``)."""

    EXAMPLE: ClassVar[str] = "{distribution: uniform, sample_num: 1}"

    distribution: Literal["uniform", "popularity", "none", "None"] | None = "uniform"
    sample_num: Any = 1
    alpha: Any = 1.0
    dynamic: bool = False
    candidate_num: int = 0


@dataclass(frozen=True, kw_only=True)
class RecBoleSettings:
    """Settings that RecBole reads itself; ValueError names one that is wrong.

    Attributes:
        seed: of everything that is drawn at random.
        reproducibility, state: whether torch is deterministic, and the level of RecBole's log.
        load_col, unload_col: columns to read, or to leave, by the suffix of their file.
        additional_feat_suffix: suffixes of further files.
        seq_len: longest sequence, by column.
        user_inter_num_interval, item_inter_num_interval: numbers of events that a session, or an
            item, may have; ``DataSettings.of`` reads them.
        rm_dup_inter: of events of one session with one item, which stays; None: all.
    """

    seed: int = setting(Role.SEED)
    reproducibility: bool = setting(Role.HOUSEKEEPING)
    state: str | None = setting(Role.HOUSEKEEPING, None)
    use_gpu: bool = setting(Role.MACHINE)
    show_progress: bool = setting(Role.MACHINE)
    data_path: str = setting(Role.PLACE)
    field_separator: str = setting(Role.LOG)
    seq_separator: str = setting(Role.LOG)
    load_col: Columns | None = setting(Role.LOG, None)
    unload_col: Columns | None = setting(Role.LOG, None)
    seq_len: Annotated[dict[str, int], "{column: 20}"] | None = setting(Role.LOG, None)
    additional_feat_suffix: tuple[str, ...] = setting(Role.FEATURES, ())
    numerical_features: list[str] | None = setting(Role.FEATURES, None)
    discretization: (
        Annotated[dict[str, Discretization], "{price: {method: ED, bucket: 10}}"] | None
    ) = setting(Role.FEATURES, None)
    user_inter_num_interval: Any = setting(Role.FILTER, None, empty="[0,inf)")
    item_inter_num_interval: Any = setting(Role.FILTER, None, empty="[0,inf)")
    val_interval: Annotated[dict[str, Any], "{rating: '[3,inf)'}"] | None = setting(
        Role.FILTER, None
    )
    filter_inter_by_user_or_item: bool = setting(Role.FILTER, empty=False)
    rm_dup_inter: Literal["first", "last"] | None = setting(Role.FILTER, None)
    train_neg_sample_args: NegativeSampling | None = setting(
        Role.TRAINING, None, policies_alone=True
    )

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
    """Read every setting of RecBole's once; SettingError for the first that is wrong."""
    for name, entry in TABLE.items():
        if entry.refused and values.get(name):
            raise SettingError(f"{name} is not offered: {entry.refused}")
    for name, value in values.items():
        if _holds_nul(value):
            raise SettingError(f"{name} holds a NUL character, which no name or path can")
    EvalArgs.of(config)
    return settings.read(RecBoleSettings, config)


def _holds_nul(value: Any) -> bool:
    """Tell whether a NUL character is anywhere in a value."""
    if isinstance(value, Mapping):
        return any(_holds_nul(inner) for pair in value.items() for inner in pair)
    if isinstance(value, (list, tuple)):
        return any(map(_holds_nul, value))
    return isinstance(value, str) and "\0" in value
