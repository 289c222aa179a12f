"""List RecBole's own settings that no field of a dataclass types, and what each decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recbole_lpi.roles import Role


@dataclass(frozen=True)
class Entry:
    """A row of the table: what one of RecBole's settings decides, and who reads it.

    Attributes:
        role: what it decides.
        read_by: which of the models that run here read it: all, RecBole's own alone, or none.
        refused: why it is not offered, where it would change a run of another model; else "".
    """

    role: Role
    read_by: Literal["all", "recbole", "none"] = "all"
    refused: str = ""


def _refused(role: Role, **reasons: str) -> dict[str, Entry]:
    """Make rows for settings that are not offered, each with its reason."""
    return {name: Entry(role, refused=reason) for name, reason in reasons.items()}


def _unread(role: Role, *names: str, by_recboles: bool = False) -> dict[str, Entry]:
    """Make rows for settings that no model reads here, or RecBole's own alone."""
    return {name: Entry(role, "recbole" if by_recboles else "none") for name in names}


def _read(role: Role, *names: str) -> dict[str, Entry]:
    """Make rows for settings that every model reads."""
    return {name: Entry(role) for name in names}


_NO_READER = "no model that runs here reads it"
TABLE: dict[str, Entry] = {
    **_refused(
        Role.HOUSEKEEPING,
        dataset_save_path="RecBole would unpickle a file",
        dataloaders_save_path="RecBole would unpickle a file",
        save_dataset="RecBole would pickle the data",
        save_dataloaders="RecBole would pickle the data",
    ),
    **_refused(
        Role.FEATURES, benchmark_filename="parts are split by whole sessions; see split"
    ),
    **_refused(
        Role.HOUSEKEEPING, log_wandb="trackers: [wandb] has Weights & Biases follow a run"
    ),
    **_refused(
        Role.LOG,
        threshold="events have rewards, not labels; see rating_to_reward",
        preload_weight=_NO_READER,
        alias_of_user_id=_NO_READER,
        alias_of_item_id=_NO_READER,
    ),
    **_refused(
        Role.COLUMNS,
        unused_col="leave columns out by load_col",
        alias_of_entity_id=_NO_READER,
        alias_of_relation_id=_NO_READER,
        normalize_field="rewards and times keep their units",
        normalize_all="rewards and times keep their units",
    ),
    **_read(Role.NAME, "model", "dataset"),
    **_read(Role.LOG, "LABEL_FIELD"),
    **_unread(Role.LOG, "encoding"),
    **_read(
        Role.COLUMNS,
        "NEG_PREFIX", "ITEM_LIST_LENGTH_FIELD", "LIST_SUFFIX", "POSITION_FIELD", "ENTITY_ID_FIELD",
        "HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD",
    ),
    **_read(Role.SPLIT, "eval_args"),
    **_unread(Role.TRAINING, "shuffle"),
    **_unread(Role.MODEL, "repeatable"),
    **_unread(Role.MODEL, "transform", "require_pow", by_recboles=True),
    **_read(Role.MACHINE, "gpu_id"),
    **_unread(Role.HOUSEKEEPING, "worker", "loss_decimal_place", "metric_decimal_place"),
    **_read(Role.HOUSEKEEPING, "wandb_project", "url", "verbose"),
    **_read(
        Role.CALL,
        "config_files", "device", "nproc", "world_size", "ip", "port", "offset", "group_offset",
    ),
    **_unread(Role.CALL, "checkpoint_dir"),
    **_read(Role.LAUNCH, "local_rank", "single_spec"),
    **_unread(Role.DERIVED, "valid_metric_bigger"),
    **_read(
        Role.DERIVED,
        "MODEL_TYPE", "MODEL_INPUT_TYPE", "eval_type", "valid_neg_sample_args",
        "test_neg_sample_args", "MASK_INDEX", "MASK_ITEM_SEQ", "POS_ITEMS", "NEG_ITEMS",
        "INVERSE_ITEM_SEQ",
    ),
}  # fmt: skip


def unread(by_recboles: bool) -> set[str]:
    """List settings of RecBole that its own models under our protocol, or ours, do not read."""
    readers = ("none",) if by_recboles else ("none", "recbole")
    return {name for name, entry in TABLE.items() if entry.read_by in readers}
