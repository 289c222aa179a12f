"""Repeated deployment in a shop that is small enough to learn from in a second."""

import json

import numpy as np
import pytest

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.experiments import deployment, deployment_report
from recbole_lpi.experiments.deployment import (
    Round,
    deploy,
    divergence,
    result_path,
    results_of,
    work,
)
from recbole_lpi.experiments.deployment_plan import (
    Contender,
    DeploymentSettings,
    read_contenders,
)
from recbole_lpi.plugin.names import properties_folder
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation import Shop, ShopSettings, roll_out

SMALL = DeploymentSettings(sessions=300, rounds=2, epochs=1, rollouts=400)
PG = Contender("PG", "PG", {"gamma": 0.9})


@pytest.fixture(scope="module")
def shop():
    return Shop(ShopSettings(n_items=25, max_events=6, dimension=2))


def test_each_round_is_measured_before_the_same_users(shop):
    first, second = deploy(shop, PG, SMALL, seed=1)
    assert (first.number, second.number) == (1, 2)
    assert first.step == first.gain  # what was live was the first logging policy
    live = roll_out(shop, shop.logging_policy, SMALL.rollouts, deployment.OTHER_USERS + 1)
    assert first.value.mean - first.gain.mean == pytest.approx(live.rewards.mean())
    assert second.value.mean - second.step.mean == pytest.approx(first.value.mean)
    assert 0 < second.js <= np.log(2)


def test_every_shipped_contender_can_learn(shop):
    contenders, settings = read_contenders(properties_folder() / "deployment" / "policies.yaml")
    assert settings == DeploymentSettings()
    log = roll_out(shop, shop.logging_policy, 60, seed=1)
    for contender in contenders:
        network = deployment.learn(shop, log, contender, SMALL, seed=1)
        assert network.name == contender.model and not network.training


def test_a_policy_does_not_differ_from_itself(shop):
    log = roll_out(shop, shop.logging_policy, 20, seed=1).sessions
    assert divergence(shop.logging_policy, shop.logging_policy, log) == pytest.approx(0, abs=1e-9)


def test_what_has_run_is_not_run_again(shop, tmp_path):
    said: list[str] = []
    work(shop, [PG], SMALL, [0], tmp_path, said.append)
    assert len(said) == 2 and said[0].startswith("PG, seed 0, round 1: reward of a session ")
    path = result_path(tmp_path, PG, 0)
    kept = results_of(path, PG, SMALL)
    work(shop, [PG], SMALL, [0], tmp_path, said.append)
    assert len(said) == 2 and kept == list(deploy(shop, PG, SMALL, 0))
    other = Contender("PG", "PG", {"gamma": 0.5})
    assert results_of(path, other, SMALL) is None
    assert "gamma" in json.loads(path.read_text())["made_by"]


@pytest.mark.parametrize(
    ("plan", "wrong"),
    [
        ("contenders: {}", "has no contenders"),
        ("contenders: {LPI: {model: LPJ}}", "LPI: model must be one of"),
        ("contenders: {LPI: {}}\ndeployment: {rounds: 0}", "rounds must be >= 1"),
        ("contenders: {LPI: {}}\ndeployment: {round: 1}", "round"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(plan, wrong, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(plan)
    with pytest.raises(SettingError, match=wrong):
        read_contenders(path)


def rounds(*gains):
    steps = np.diff([0.0, *gains])
    return [
        Round(n, Estimate(1 + g, 0.01, 9), Estimate(g, 0.01, 9), Estimate(s, 0.01, 9), 0.1)
        for n, (g, s) in enumerate(zip(gains, steps, strict=True), 1)
    ]


def test_the_table_says_where_values_rose_and_fell():
    results = {"LPI": [rounds(0.1, 0.3), rounds(0.3, 0.1)], "SQN": [rounds(-0.2, -0.2)]}
    text = deployment_report.markdown(results, Estimate(1.0, 0.01, 9))
    assert "| LPI | 2 | +0.2000 ± 0.1000 | +0.2000 ± 0.1000 |" in text
    assert "| SQN | 1 | -0.2000 ± 0.0100 | -0.2000 ± 0.0100 |" in text
    assert "| LPI | 2 / 0, 0.100 | 1 / 1, 0.100 |" in text
    assert "| SQN | 0 / 1, 0.100 | 0 / 0, 0.100 |" in text


def test_lines_are_named_at_their_ends_and_names_do_not_overlap():
    results = {name: [rounds(0.1, gain)] for name, gain in (("A", 0.2), ("B", 0.2001), ("C", 0.5))}
    figure = deployment_report.over_rounds(results, Estimate(1.0, 0.01, 9))
    named = {t.get_text(): t.get_position()[1] for t in figure.axes[0].texts}
    assert set(named) == set(results)
    assert named["B"] - named["A"] > 0.01 and named["C"] == pytest.approx(1.5)
