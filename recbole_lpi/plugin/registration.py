"""Make RecBole know the policies, without importing it.

A finder on ``sys.meta_path`` answers for the modules in which RecBole looks for a model, and adds
to a few of RecBole's modules when they are imported. So neither package imports the other before
it is asked for something, and it does not matter which a program names first.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MODELS_OF_RECBOLE = "recbole.model.sequential_recommender"

# Packages of earlier versions that scripts import, and what takes their place.
MOVED = {
    "recbole_lpi.models": "import from recbole_lpi.plugin.models",
    "recbole_lpi.host": "recbole_lpi.host.runner.run is recbole_lpi.run",
}


def register() -> None:
    """Make RecBole know the policies; a second call changes nothing."""
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    sys.meta_path.insert(0, _Finder())
    for name, amend in AMENDMENTS.items():
        if name in sys.modules:
            amend(sys.modules[name])


def _policies() -> list[str]:
    """List the names of the policies; asked for late, for torch takes seconds to import."""
    return list(importlib.import_module("recbole_lpi.objectives").OBJECTIVES)


def _compatibility() -> Any:
    """Import what RecBole needs of today's numpy, no earlier than it is needed."""
    return importlib.import_module("recbole_lpi.plugin.compatibility")


class _Finder(MetaPathFinder):
    """A finder of modules that answers for RecBole's where ours are to be in them."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name in MOVED:
            raise ModuleNotFoundError(
                f"{name} is gone: {MOVED[name]} (CHANGELOG.md says where its modules are)",
                name=name,
            )
        package, _, module = name.rpartition(".")
        if package == MODELS_OF_RECBOLE and module in map(str.lower, _policies()):
            return ModuleSpec(name, _Models())
        if name in AMENDMENTS:
            return _amended(PathFinder.find_spec(name, path, target), AMENDMENTS[name])
        return None


class _Models(Loader):
    """A loader of a module of RecBole's models that has ours in it."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(importlib.import_module("recbole_lpi.plugin.models").MODELS)


def _amended(spec: ModuleSpec | None, amend: Callable[[ModuleType], None]) -> ModuleSpec | None:
    """Return the spec of a module that is amended as soon as it has been executed."""
    if spec is None or spec.loader is None:
        return spec
    execute = spec.loader.exec_module

    def execute_and_amend(module: ModuleType) -> None:
        with _compatibility().stand_in_for_ray():
            execute(module)
        amend(module)

    spec.loader.exec_module = execute_and_amend  # type: ignore[method-assign]
    return spec


def _numpy(module: ModuleType) -> None:
    """Give numpy the names that RecBole uses."""
    _compatibility().restore_numpy_aliases()


def _folders(module: ModuleType) -> None:
    """Let RecBole make a folder that another process makes too."""
    module.__dict__["ensure_dir"] = _compatibility().ensure_dir


def _settings(module: ModuleType) -> None:
    """Let RecBole's Config read the settings of the policies."""
    importlib.import_module("recbole_lpi.plugin.configuration").amend(module.Config)


def _data_set(module: ModuleType) -> None:
    """Let RecBole find the data set of a policy."""
    _offer(module, "Dataset", "recbole_lpi.plugin.dataset", "PolicyDataset")


def _trainer(module: ModuleType) -> None:
    """Let RecBole find the trainer of a policy."""
    _offer(module, "Trainer", "recbole_lpi.plugin.trainer", "PolicyTrainer")


def _offer(module: ModuleType, suffix: str, home: str, name: str) -> None:
    """Let ``module.<Policy><suffix>`` be our class ``name``, of the module ``home``."""

    def of_policy(attribute: str) -> object:
        if attribute.endswith(suffix) and attribute[: -len(suffix)] in _policies():
            return getattr(importlib.import_module(home), name)
        raise AttributeError(f"module {module.__name__!r} has no attribute {attribute!r}")

    module.__dict__["__getattr__"] = of_policy


def _metrics(module: ModuleType) -> None:
    """Add our metrics to RecBole's."""
    importlib.import_module("recbole_lpi.plugin.recbole_metrics").add_to(module)


def _collector(module: ModuleType) -> None:
    """Let RecBole's collector keep what our metrics need."""
    importlib.import_module("recbole_lpi.plugin.recbole_metrics").amend_collector(module.Collector)


def _loading(module: ModuleType) -> None:
    """Let ``load_data_and_model`` read our checkpoints, and leave RecBole's to RecBole.

    And processes that ``run`` spawns import this package before RecBole.
    """
    recboles = module.load_data_and_model

    def load_data_and_model(model_file: str, **given: object) -> tuple[object, ...]:
        checkpoint = importlib.import_module("recbole_lpi.policy.checkpoint")
        if given or checkpoint.is_ours(model_file):
            saved = importlib.import_module("recbole_lpi.plugin.saved_model")
            return tuple(saved.load_data_and_model(model_file, **given))
        return tuple(recboles(model_file))

    load_data_and_model.__doc__ = recboles.__doc__
    module.__dict__["recboles_run_recboles"] = module.run_recboles
    spawned = importlib.import_module("recbole_lpi.plugin.spawned")
    module.__dict__["run_recboles"] = spawned.run_recboles
    module.__dict__["load_data_and_model"] = load_data_and_model
    package = sys.modules.get("recbole.quick_start")
    if package is not None and hasattr(package, "load_data_and_model"):
        package.__dict__["load_data_and_model"] = load_data_and_model


AMENDMENTS: dict[str, Callable[[ModuleType], None]] = {
    "recbole": _numpy,
    "recbole.utils.utils": _folders,
    "recbole.config.configurator": _settings,
    "recbole.data.dataset": _data_set,
    "recbole.trainer": _trainer,
    "recbole.evaluator.register": _metrics,
    "recbole.evaluator.collector": _collector,
    "recbole.quick_start.quick_start": _loading,
}
