"""Find names of settings by the roles that their fields give them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.objectives import ObjectiveSettings
from recbole_lpi.plugin.recbole_settings import RecBoleSettings
from recbole_lpi.plugin.recbole_table import TABLE
from recbole_lpi.policy.settings import NetworkSettings, SoftmaxSettings
from recbole_lpi.roles import Role, name_of, role_of
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.settings import RunSettings, TrainingSettings

# Every dataclass of settings that more than one kind of model reads, or that policies read.
SETTINGS: tuple[type[Any], ...] = (
    DataSettings, TrainingSettings, AccelerationSettings, RunSettings, NetworkSettings,
    SoftmaxSettings, ObjectiveSettings, RecBoleSettings,
)  # fmt: skip
OF_POLICIES = (Role.MODEL, Role.CODE)


@dataclass(frozen=True)
class Known:
    """A known setting: its role, its first dataclass (None: RecBole's), and whose it is."""

    role: Role
    owner: type[Any] | None
    policies_alone: bool


@cache
def known() -> dict[str, Known]:
    """Map the name of every setting to what is known of it.

    Raises:
        LookupError: a field has no role, or a setting has two.
    """
    found: dict[str, Known] = {}
    for owner in SETTINGS:
        for field in fields(owner):
            name, role = name_of(field), role_of(owner, field)
            if found.get(name, Known(role, owner, False)).role != role:
                raise LookupError(f"{name} is {found[name].role} and, in {owner.__name__}, {role}")
            alone = bool(field.metadata.get("policies_alone")) or role in OF_POLICIES
            found.setdefault(name, Known(role, owner, alone))
    for name, entry in TABLE.items():
        if name in found:
            raise LookupError(f"{name} is typed by {found[name].owner}, and in RecBole's table too")
        found[name] = Known(entry.role, None, entry.role in OF_POLICIES)
    return found


@cache
def names(*roles: Role, of: type[Any] | None = None) -> tuple[str, ...]:
    """List the settings that have one of ``roles``, role by role as they are defined.

    Args:
        of: only fields of this dataclass, by the names that users give them.
    """
    among = known() if of is None else [name_of(field) for field in fields(of)]
    return tuple(name for role in roles for name in among if known()[name].role is role)


@cache
def shared_settings() -> frozenset[str]:
    """List settings whose value in ``policy.yaml`` every model takes, not policies alone."""
    return frozenset(name for name, setting in known().items() if not setting.policies_alone)


def empty_values(of: type[Any], role: Role) -> dict[str, Any]:
    """Map each setting of ``role`` to what leaving it empty means."""
    return {
        name_of(field): field.metadata.get("empty")
        for field in fields(of)
        if role_of(of, field) is role
    }
