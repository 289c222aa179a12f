"""Local policy improvement for recommender systems, as a RecBole plug-in.

Importing this package is all it takes: RecBole then knows the policies by name, with their data
set, trainer, metrics and default settings. RecBole itself is not imported until somebody does.
``recbole_lpi.run`` trains, measures and keeps one model.
"""

from typing import TYPE_CHECKING, Any

from recbole_lpi.plugin.registration import register

if TYPE_CHECKING:
    from recbole_lpi.plugin.runner import run as run

__version__ = "0.1.0"
__all__ = ["register", "run"]


def __getattr__(name: str) -> Any:
    """Import ``run`` when it is asked for: torch and RecBole take seconds."""
    if name == "run":
        from recbole_lpi.plugin.runner import run

        return run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


register()
