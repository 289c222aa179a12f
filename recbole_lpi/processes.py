"""Whether this process is one of several, told without importing torch."""

from __future__ import annotations

import os

from recbole_lpi.settings import SettingError


class LostProcess(RuntimeError):
    """Another process of the run ended, or did not answer in time."""

    def __init__(self) -> None:
        super().__init__(
            "another process of this run ended, or did not answer within collective_timeout: see "
            "what it said, then start all of them again with --resume=<the run's folder>"
        )


def launched() -> bool:
    """Whether torchrun, or what sets the same variables, started several processes."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


def first_here() -> bool:
    """Whether this process is the first of its machine, or alone."""
    return not launched() or int(os.environ.get("LOCAL_RANK", "0")) == 0


def refuse_several(command: str) -> None:
    """Raise SettingError where several processes were launched for what is done by one."""
    if launched():
        raise SettingError(
            f"{command} shares its runs, not a run: start it as often as there are devices, each "
            "with a gpu_id, rather than by torchrun"
        )
