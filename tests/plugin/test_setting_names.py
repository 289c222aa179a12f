"""Roles of settings: every field has one, and a new field is all that a new setting takes."""

from __future__ import annotations

import importlib.util
import pkgutil
import re
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, get_args, get_type_hints

import pytest
from recbole.utils.argument_list import dataset_arguments

import recbole_lpi
from recbole_lpi import settings
from recbole_lpi.evaluation.off_policy import ReportSettings
from recbole_lpi.experiments.deployment_plan import DeploymentSettings
from recbole_lpi.plugin import setting_names
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.plugin.properties import (
    policies_alone,
    properties_folder,
    settings_of_the_data,
)
from recbole_lpi.plugin.setting_names import SETTINGS, known, names
from recbole_lpi.policy.settings import PolicySettings
from recbole_lpi.roles import OF_DATA, Role, role_of, setting
from recbole_lpi.simulation.sardine_world import SardineSettings
from recbole_lpi.simulation.shop_settings import ShopSettings
from recbole_lpi.training.fitted_q import FitSettings
from recbole_lpi.yaml_values import read_file

OF_RECBOLE = tuple(dataset_arguments)  # its models of knowledge graphs add to the list
# What commands and functions take that are no run: their settings are in no property file.
NOT_OF_A_RUN = {
    ReportSettings, FitSettings, DeploymentSettings, ShopSettings, SardineSettings,
}  # fmt: skip
OF_BASELINES = {kind for model in BASELINES.values() for kind in model.setting_classes}


def every_settings_class() -> set[type]:
    """Every dataclass of the package called Settings, but for the one that bundles others."""
    importlib.import_module("recbole.quick_start")  # which some of our modules are imported by
    found = set()
    for module in pkgutil.walk_packages(recbole_lpi.__path__, "recbole_lpi."):
        if module.name == "recbole_lpi.__main__":
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, type) and is_dataclass(value) and value.__name__ != "Settings":
                found |= {value} if value.__name__.endswith("Settings") else set()
    return found - {PolicySettings}


def nested(kinds: set[type]) -> set[type]:
    """Those that are the value of a setting: their own fields are words of it, no settings."""

    def inside(hint: Any) -> set[Any]:
        return {hint}.union(*map(inside, get_args(hint)))

    hints = [hint for kind in kinds for hint in get_type_hints(kind).values()]
    return kinds & set().union(*map(inside, hints))


def test_every_field_of_every_settings_class_has_a_role():
    kinds = every_settings_class()
    top = kinds - nested(kinds)
    assert top == {*SETTINGS, *OF_BASELINES, *NOT_OF_A_RUN}
    for kind in top - NOT_OF_A_RUN:
        for field in fields(kind):
            assert isinstance(role_of(kind, field), Role)


def test_a_field_without_a_role_is_an_error(monkeypatch):
    @dataclass(frozen=True)
    class MoreSettings:
        colour: str = "red"

    monkeypatch.setattr(setting_names, "SETTINGS", (*SETTINGS, MoreSettings))
    with pytest.raises(LookupError, match=r"MoreSettings.colour has no role"):
        known.__wrapped__()


def test_a_setting_has_one_role_wherever_it_is_read(monkeypatch):
    @dataclass(frozen=True)
    class MoreSettings:
        ROLE: ClassVar[Role] = Role.MODEL

        topk: int = 5

    monkeypatch.setattr(setting_names, "SETTINGS", (*SETTINGS, MoreSettings))
    with pytest.raises(LookupError, match=r"topk is Role.MEASURING and, in MoreSettings, Role.MOD"):
        known.__wrapped__()


def test_a_new_field_is_in_every_set_that_its_role_says(monkeypatch):
    @dataclass(frozen=True)
    class MoreSettings:
        column: str = setting(Role.LOG, "c", name="MORE_FIELD")
        folder: str = setting(Role.CACHE, "runs/more")

    monkeypatch.setattr(setting_names, "SETTINGS", (*SETTINGS, MoreSettings))
    for cached in (known, names, setting_names.shared_settings):
        cached.cache_clear()
    try:
        assert "MORE_FIELD" in settings_of_the_data() and "folder" not in settings_of_the_data()
        assert {"folder", "MORE_FIELD"} <= setting_names.shared_settings()
        assert "folder" in names(Role.CACHE) and names(Role.CACHE, of=MoreSettings) == ("folder",)
        read = settings.read(MoreSettings, settings.Values(MORE_FIELD="d"))
        assert (read.column, read.folder) == ("d", "runs/more")
    finally:
        for cached in (known, names, setting_names.shared_settings):
            cached.cache_clear()


def test_every_setting_of_the_property_file_has_a_role():
    assert read_file(properties_folder() / "policy.yaml").keys() - {"tune"} <= known().keys()


def test_what_recbole_calls_arguments_of_the_data_set_are_settings_of_the_data():
    assert set(OF_RECBOLE) <= set(names(*OF_DATA))


def test_settings_that_policies_alone_read():
    found = policies_alone()
    assert {"gamma", "beta", "loss_on_last", "compile", "encoder", "softmax"} <= found
    assert not {"learner", "seed", "enable_amp", "training_windows", "reward_sampling"} & found


def test_the_settings_reference_is_that_of_the_dataclasses():
    docs = Path(__file__).parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("settings_page", docs / "settings_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (docs / "settings-reference.md").read_text("utf-8")
    assert written == module.page(), "run python docs/settings_page.py"
    for name in ("beta", "repeat_head", "valid_metric", "gamma", "learning_rate"):
        assert re.search(rf"^\| `{name}` \| [^|]+ \| \w", written, re.M), name
