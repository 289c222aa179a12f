"""Where the property files are: in the checkout, or inside an installed package."""

from __future__ import annotations

from pathlib import Path

import recbole_lpi


def properties_folder() -> Path:
    """The folder of ``policy.yaml``, a file per policy, and ``dataset/``."""
    package = Path(recbole_lpi.__file__).parent
    installed = package / "properties"
    return installed if installed.is_dir() else package.parent / "properties"


def property_files(model: str, dataset: str) -> list[Path]:
    """Defaults of all policies, of this model and of the data set, where there are any."""
    ours = properties_folder()
    files = [ours / "policy.yaml", ours / f"{model}.yaml", ours / "dataset" / f"{dataset}.yaml"]
    return [file for file in files if file.is_file()]


def file_beside(dataset: str, data_path: str | Path) -> Path:
    """Where settings that belong to the data lie: with it."""
    return Path(data_path) / dataset / f"{dataset}.yaml"
