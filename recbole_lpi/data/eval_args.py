"""RecBole's ``eval_args``: how parts are split and events are ranked, every word of it checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from recbole_lpi import settings
from recbole_lpi.settings import Config


@dataclass(frozen=True)
class Split:
    """The word ``split`` of RecBole's ``eval_args``; ValueError if it is none, or two.

    Attributes:
        RS: shares of training, validation and test sessions.
        LS: ``valid_and_test``, the last event of each session tested, the one before it validated.
    """

    EXAMPLE: ClassVar[str] = "{RS: [0.8, 0.1, 0.1]} or {LS: valid_and_test}"

    RS: tuple[float | None, float, float] | None = None
    LS: Literal["valid_and_test"] | None = None

    def __post_init__(self) -> None:
        if self.RS is not None and self.LS is not None:
            raise ValueError("RS and LS are two kinds of split: give one of them")


@dataclass(frozen=True)
class EvalArgs:
    """RecBole's ``eval_args``. ValueError names the word and what it may be.

    Attributes:
        split: the kind of split, and its shares.
        order: ``RO``, at random, or ``TO``, by time.
        group_by: of a split that RecBole could make, the only one: by whole sessions.
        mode: ``full``, every event ranked among the whole catalogue; or that for each part.
    """

    EXAMPLE: ClassVar[str] = "{split: {RS: [0.8, 0.1, 0.1]}, order: TO}"

    split: Split = field(default_factory=Split)
    order: Literal["RO", "TO"] = "RO"
    group_by: str = "user"
    mode: Any = "full"

    def __post_init__(self) -> None:
        if self.group_by != "user":
            raise ValueError(
                f"group_by must be user, for parts are split by whole sessions: got {self.group_by}"
            )
        modes = self.mode if isinstance(self.mode, Mapping) else {"valid": self.mode}
        unknown = [str(part) for part in modes if part not in ("valid", "test")]
        if unknown:
            raise ValueError(f"mode has parts valid and test, not {', '.join(unknown)}")
        other = [mode for mode in modes.values() if mode != "full"]
        if other:
            raise ValueError(f"mode: events are ranked in mode full, got mode {other[0]}")

    @classmethod
    def of(cls, config: Config) -> EvalArgs:
        """Read it from RecBole's config; SettingError for a word that nothing reads."""
        given = config["eval_args"]
        if isinstance(given, Mapping) and given.get("group_by", "user") is None:
            given = {**given, "group_by": "none"}  # how RecBole spells it
        return settings.coerce("eval_args", {} if given is None else given, cls)  # type: ignore[no-any-return]
