"""Local policy improvement for recommender systems, as a RecBole plug-in.

Importing this package is all it takes: RecBole then knows the policies by name, with their data
set, trainer, metrics and default settings. RecBole itself is not imported until somebody does.
``recbole_lpi.run`` trains, measures and keeps one model; ``recbole_lpi.load_policy`` recommends
with it, and needs neither RecBole nor the data.
"""

from typing import TYPE_CHECKING, Any

from recbole_lpi.plugin.registration import register

if TYPE_CHECKING:
    from recbole_lpi.plugin.runner import run as run
    from recbole_lpi.serving.onnx_policy import load_onnx as load_onnx
    from recbole_lpi.serving.saved_policies import load_policy as load_policy

__version__ = "0.1.0"
__all__ = ["load_onnx", "load_policy", "register", "run"]


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is: torch and RecBole take seconds."""
    if name == "run":
        from recbole_lpi.plugin.runner import run

        return run
    if name == "load_policy":
        from recbole_lpi.serving.saved_policies import load_policy

        return load_policy
    if name == "load_onnx":
        from recbole_lpi.serving.onnx_policy import load_onnx

        return load_onnx
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


register()
