"""Roles of settings: what a setting decides, said once, where its field is defined.

Whoever asks which settings may stand beside the data, come back from a run's file or tell two
policies apart asks for roles (``recbole_lpi.plugin.setting_names``), and keeps no list of names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, field
from enum import Enum
from typing import Any


class Role(Enum):
    """What a setting decides; each has one role."""

    NAME = "which model, on which data"
    LOG = "which events are read from which columns, and what each is worth"
    FEATURES = "further columns and files, which make a data set that no cache keeps"
    COLUMNS = "columns that RecBole derives or passes over; none changes the events"
    FILTER = "which of the events read are kept"
    KINDS = "which kinds of event count as purchases and as clicks"
    TARGETS = "which held-out events are predicted"
    SPLIT = "which sessions or events train, validate and test"
    WINDOWS = "what of a session a model reads and learns from"
    SAMPLING = "which of the training sessions or events an epoch draws"
    SEED = "what is drawn at random"
    MODEL = "what one model is: its network, its objective, its counts"
    CODE = "which module is imported as part of the model"
    TRAINING = "how a model is trained; nothing to one that only counts"
    SPEED = "how the same training is computed faster"
    SELECTION = "which epoch is kept"
    MEASURING = "what is measured, how, and by what"
    MADE = "a file that another run made, or a word for one to be made or done without"
    CACHE = "a folder that holds what later runs find again"
    PLACE = "where the data lie"
    MACHINE = "what one machine computes on, waits for and shows"
    HOUSEKEEPING = "how RecBole logs, prints and stores; no model is another by it"
    FOLDER = "which folder one run is kept in"
    CALL = "what one call does, and no run keeps"
    LAUNCH = "what a launcher of processes adds for each"
    DERIVED = "what RecBole works out from other settings; nobody gives it"


# Roles of what a data set is, which may stand in a file beside it.
OF_DATA = (
    Role.LOG, Role.FEATURES, Role.COLUMNS, Role.FILTER, Role.KINDS, Role.TARGETS, Role.SPLIT,
    Role.WINDOWS,
)  # fmt: skip


def setting(
    role: Role,
    default: Any = MISSING,
    *,
    factory: Callable[[], Any] | None = None,
    name: str | None = None,
    policies_alone: bool = False,
    empty: Any = None,
) -> Any:
    """Define a field of a settings dataclass.

    Args:
        role: what the setting decides.
        default: the field's default; none: the setting must be given.
        factory: makes the default where it is mutable.
        name: what users call it, where that is no fit name for the field.
        policies_alone: only policies take its value from ``policy.yaml``.
        empty: what leaving it empty means, as it would be written out.
    """
    metadata = {"role": role, "name": name, "policies_alone": policies_alone, "empty": empty}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def role_of(owner: type, field: Field[Any]) -> Role:
    """Return the role of a field: its own, else ``owner.ROLE``; LookupError for neither."""
    role = field.metadata.get("role") or getattr(owner, "ROLE", None)
    if not isinstance(role, Role):
        raise LookupError(
            f"{owner.__name__}.{field.name} has no role: define it by recbole_lpi.roles.setting"
        )
    return role


def name_of(field: Field[Any]) -> str:
    """Return the name by which users set a field."""
    return str(field.metadata.get("name") or field.name)
