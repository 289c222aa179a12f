"""Objectives: which settings go together, which make a difference, and which are refused."""

import re
from typing import Any

import pytest

from recbole_lpi.objectives import (
    ADVANTAGE_ESTIMATORS,
    BASELINES,
    OBJECTIVES,
    VALUE_ESTIMATORS,
    ObjectiveSettings,
)
from recbole_lpi.plugin.names import properties_folder
from recbole_lpi.yaml_values import read_file
from tests.support.plain_loops import shipped_settings

ANALYTIC = {"advantage_estimator": "analytic"}


def settings_with(**given: Any) -> ObjectiveSettings:
    return ObjectiveSettings(**given)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("PG", {"value_estimator": "sarsa"}, "learns no values"),
        ("RewardWeighted", {"advantage_estimator": "gae"}, "learns no values"),
        ("IPS", {"negative_samples": 3}, "learns no values"),
        ("SQN", {"advantage_baseline": "max"}, "its weight is not an advantage"),
        ("LPIRL", {"value_estimator": "double_q"}, r"learns V\(x\) alone"),
        ("LPIRL", {"advantage_baseline": "logging"}, "set advantage_baseline: policy or value"),
        ("SA2C", {"advantage_estimator": "gae"}, "and negative_samples cannot be 10 .*V.x. alone"),
        ("IQL", {"advantage_estimator": "gae"}, "set value_estimator: ~ or sarsa or monte_carlo"),
        ("LPIRL", {"negative_samples": 2}, "set negative_samples: 0"),
        (
            "LPIRL",
            ANALYTIC | {"advantage_baseline": "negatives"},
            "no negatives are drawn; set negative_samples",
        ),
        ("LPIRL", ANALYTIC | {"expectile": 0.7}, "as by advantage_baseline: value"),
        ("SQN", {"propensity": "checkpoint"}, "no importance ratio"),
        ("LPIRL", {"propensity": "logged"}, "no importance ratio"),
        ("LPICB", {"gamma": 0.5}, "contextual bandit"),
    ],
)
def test_settings_that_make_no_sense_are_refused_with_the_reason(name, settings, reason):
    with pytest.raises(ValueError, match=rf"cannot be .* for {name}: ") as refused:
        OBJECTIVES[name].check(name, shipped_settings(name, **settings))
    assert re.search(reason, str(refused.value))


@pytest.mark.parametrize("name", ["SQN", "SNQN", "SAC", "SA2C"])
def test_the_td_loss_is_shipped_with_the_weight_of_the_authors_code(name):
    """Theirs is cross-entropy + ½ · TD², and ours has no ½."""
    assert read_file(properties_folder() / f"{name}.yaml")["td_weight"] == 0.5
    assert read_file(properties_folder() / f"{name}.yaml")["gamma"] == 0.5


def test_the_form_of_q_is_read_where_there_is_a_q_alone():
    objective = OBJECTIVES["LPIRL"]
    assert "q_head" in objective.unread(ObjectiveSettings(advantage_estimator="td_residual"))
    assert "q_head" not in objective.unread(ObjectiveSettings(advantage_estimator="analytic"))


@pytest.mark.parametrize(
    ("setting", "rows"),
    [
        ("value_estimator", VALUE_ESTIMATORS),
        ("advantage_estimator", ADVANTAGE_ESTIMATORS),
        ("advantage_baseline", BASELINES),
    ],
)
def test_the_names_of_the_rows_are_what_a_setting_may_be(setting, rows):
    for name in rows:
        assert getattr(settings_with(**{setting: name}), setting) == name
    with pytest.raises(ValueError, match=f"{setting} must be one of {', '.join(rows)}, got 'best'"):
        settings_with(**{setting: "best"})


def test_heads_are_those_that_the_rows_need():
    def heads(name, **settings):
        return OBJECTIVES[name].heads(shipped_settings(name, **settings))

    assert heads("PG") == ()
    assert heads("IPS") == ("propensity",)
    assert heads("IPS", propensity="checkpoint") == ()
    assert heads("IPS", propensity="logged") == ()
    assert heads("SQN") == ("q",)
    assert heads("SQN", value_estimator="state_value") == ("q", "value")
    assert heads("LPIRL", advantage_estimator="gae") == ("value",)
    assert heads("LPIRL", **ANALYTIC) == ("q",)
    assert heads("LPIRL", **ANALYTIC, advantage_baseline="value") == ("q", "value")


def test_a_value_of_the_logging_policy_needs_one():
    needs = {
        name: OBJECTIVES["SQN"].needs_logging_policy(shipped_settings("SQN", value_estimator=name))
        for name in VALUE_ESTIMATORS
    }
    assert needs == dict.fromkeys(needs, False) | {"logging": True}


def test_two_q_heads_are_of_double_q_learning_alone():
    number = {
        name: OBJECTIVES["SQN"].q_heads(shipped_settings("SQN", value_estimator=name))
        for name in (None, *VALUE_ESTIMATORS)
    }
    assert number == dict.fromkeys(number, 1) | {None: 2, "double_q": 2}
    assert OBJECTIVES["LPIRL"].q_heads(shipped_settings("LPIRL")) == 0
