"""Take settings back from a run's own files, which somebody else may have written.

They say what the run is. Where it reads, writes and computes here, and what code it imports, only
the user of this call says.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin.names import properties_folder
from recbole_lpi.plugin.run_description import OF_THE_CALL
from recbole_lpi.plugin.setting_names import names
from recbole_lpi.policy.settings import EARLIER
from recbole_lpi.roles import Role
from recbole_lpi.settings import SettingError
from recbole_lpi.yaml_values import read_file

DATA_PATH = "dataset/"  # RecBole's
OF_THE_PLACE = frozenset(names(Role.PLACE, Role.CACHE, Role.MACHINE))
GIVEN_AGAIN = OF_THE_PLACE | frozenset(names(Role.CODE, Role.MADE))


def again(
    stored: Mapping[str, Any], given: Mapping[str, Any], source: str | Path
) -> dict[str, Any]:
    """Merge the settings of the run that ``source`` keeps with those that the user gives again.

    A policy of before there were some settings is what it was, not what is default now.

    Raises:
        SettingError: ``given`` would make another run of it, or ``stored`` holds what no run keeps.
    """
    for name in OF_THE_CALL.intersection(stored):
        raise SettingError(
            f"{source}: {name} is a setting of one call, and no run keeps it: remove the line"
        )
    for name, value in given.items():
        _refuse_another_run(name, value, stored, source)
    found = {**(EARLIER if stored.get("model") in OBJECTIVES else {}), **stored, **given}
    for name in names(Role.CACHE):
        if name not in given and name in found:
            found[name] = _folder_here(name, found[name], source)
    if "data_path" not in given:
        found["data_path"] = _data_here(found)
    return found


def refuse_links(folder: Path) -> None:
    """Raise SettingError if what is written to a run's files would go elsewhere."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise SettingError(f"{path} is a link: a run's files are its own, copy it there")


def _refuse_another_run(
    name: str, value: Any, stored: Mapping[str, Any], source: str | Path
) -> None:
    """Raise SettingError for a setting that would make another run of a stored one."""
    if name not in GIVEN_AGAIN:
        raise SettingError(
            f"{source} goes on as it was, and takes no other {name}: of its settings only "
            f"those of the machine can be given again, {', '.join(sorted(GIVEN_AGAIN))}"
        )
    kept, words = stored.get(name), ("auto", "none", None)
    if name in names(Role.CODE) and value != kept:
        raise SettingError(f"{source} has {name} {kept}: it cannot go on with {name} {value}")
    if name in names(Role.MADE) and value != kept and (value in words or kept in words):
        raise SettingError(f"{source} has {name} {kept}: it cannot go on with {name} {value}")


def _folder_here(name: str, folder: Any, source: str | Path) -> Any:
    """Return a folder of caches that lies beneath this one; else warn, and return the default."""
    if folder in (None, "none") or Path(str(folder)).resolve().is_relative_to(Path.cwd()):
        return folder
    own = read_file(properties_folder() / "policy.yaml")[name]
    logging.getLogger().warning(
        f"{name}: {own} is used, not {folder}, which {source} names and lies outside of this "
        f"folder; --{name}={folder} would use it"
    )
    return own


def _data_here(stored: Mapping[str, Any]) -> Any:
    """Find where the run's data are: where it read them or, gone from there, RecBole's place."""
    dataset, kept = str(stored.get("dataset")), stored.get("data_path") or DATA_PATH
    inter = Path(dataset, f"{dataset}.inter")
    if Path(str(kept), inter).is_file() or not Path(DATA_PATH, inter).is_file():
        return kept
    logging.getLogger().warning(
        f"data_path: {dataset} is read from {DATA_PATH}, since it is not in {kept} any more"
    )
    return DATA_PATH
