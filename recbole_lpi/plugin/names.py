"""Name the models of ours and of RecBole's without importing either."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import recbole_lpi

_FEATURES = "reads features of items beside their ids"
_GRAPH = "reads embeddings of a knowledge graph"
_ONE_ITEM = "scores one item at a time from features of users and items, not the whole catalogue"
# Sequential models of RecBole that a log of sessions cannot give what they need.
NEEDS_MORE = {
    "DIEN": _ONE_ITEM,
    "DIN": _ONE_ITEM,
    "FDSA": _FEATURES,
    "FEARec": "looks up other stored prefixes of the training data, and none is stored",
    "GRU4RecF": _FEATURES,
    "GRU4RecKG": _GRAPH,
    "KSR": _GRAPH,
    "S3Rec": "is pretrained on attributes of items",
    "SASRecF": _FEATURES,
}


def properties_folder() -> Path:
    """Find the folder of ``policy.yaml``, a file per policy, and ``dataset/``."""
    package = Path(recbole_lpi.__file__).parent
    installed = package / "properties"
    return installed if installed.is_dir() else package.parent / "properties"


def own_models() -> list[str]:
    """List policies and baselines that count: each has a property file of its own."""
    files = {file.stem for file in properties_folder().glob("*.yaml")}
    return sorted(files - {"policy", "recbole"})


def recboles_models() -> list[str]:
    """List RecBole's sequential models; ModuleNotFoundError if it is not installed."""
    folder = recbole_folder()
    modules = {file.stem for file in (folder / "model" / "sequential_recommender").glob("*.py")}
    named = (file.stem for file in (folder / "properties" / "model").glob("*.yaml"))
    return sorted(name for name in named if name.lower() in modules)


def recbole_folder() -> Path:
    """Find RecBole's folder; ModuleNotFoundError if it is not installed."""
    found = find_spec("recbole")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'recbole'", name="recbole")
    return Path(found.origin).parent


def models_in_words() -> str:
    """Spell every model that can be run, for a help text."""
    own = f"A policy or a baseline: {', '.join(own_models())}"
    try:
        others = [name for name in recboles_models() if name not in NEEDS_MORE]
    except ModuleNotFoundError:
        return own
    return f"{own}; or a model of RecBole: {', '.join(others)}"
