"""What one setting asks of the others, and the error that says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Requirement:
    """What a row of a table asks of another setting.

    Attributes:
        setting: the name of the other setting.
        holds: whether a value of it will do.
        such_as: values of it that will do, which the error proposes.
        why: the reason, as the error gives it.
    """

    setting: str
    holds: Callable[[Any], bool]
    such_as: tuple[object, ...]
    why: str

    def check(self, name: str, settings: object) -> None:
        """ValueError where ``settings`` of the policy ``name`` do not meet the requirement."""
        if not self.holds(getattr(settings, self.setting)):
            refuse(name, settings, self.why, {self.setting: self.such_as})


def check_allowed(
    name: str, settings: object, why: str, allowed: Mapping[str, tuple[object, ...]]
) -> None:
    """ValueError for the settings of the policy ``name`` whose value is not among those allowed."""
    wrong = {key: may for key, may in allowed.items() if getattr(settings, key) not in may}
    if wrong:
        refuse(name, settings, why, wrong)


def refuse(name: str, settings: object, why: str, wrong: Mapping[str, tuple[object, ...]]) -> None:
    """ValueError that names every setting in ``wrong``, its value, the reason and the cures."""
    found = " and ".join(f"{key} cannot be {getattr(settings, key)!r}" for key in wrong)
    cures = ", ".join(
        f"{key}: {' or '.join('~' if value is None else str(value) for value in may)}"
        for key, may in wrong.items()
    )
    raise ValueError(f"{found} for {name}: {why}; set {cures}")
