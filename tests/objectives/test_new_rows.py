"""A new value estimator, baseline or advantage estimator is one row, defined and trained here.

Nothing else of the package is touched. Its loss and every gradient are compared with plain loops,
for which its formula is written down once more, for one event.
"""

import pytest
import torch

from recbole_lpi.objectives import (
    ADVANTAGE_ESTIMATORS,
    BASELINES,
    OBJECTIVES,
    VALUE_ESTIMATORS,
    AdvantageEstimator,
    Baseline,
    ObjectiveSettings,
    ValueEstimator,
)
from recbole_lpi.objectives.requirements import Requirement
from tests.support import plain_loops
from tests.support.plain_loops import best, check_against_loops, shipped_settings
from tests.support.tiny import batch, make


def q_of(critics):
    return critics.q


def v_of(critics):
    return critics.v


def value_of(critics):
    return critics.selector.value


def smaller_of_two(critics):
    """min(Q₁(x, a), Q₂(x, a)) at a = argmax Q₁(x, ·): clipped double Q (Fujimoto et al. 2018)."""
    best = critics.statistic
    return torch.minimum(critics.selector.of(best), critics.evaluator.of(best))


ROWS = [
    (VALUE_ESTIMATORS, ValueEstimator(smaller_of_two, statistic="argmax_q", q_heads=2),
     plain_loops.STATE_VALUES,
     lambda e: min(float(e.q(e.selector, best(e))), float(e.q(e.evaluator, best(e)))),
     "SQN", {"value_estimator": "new"}),
    (BASELINES, Baseline(of=value_of),
     plain_loops.BASELINE_VALUES, lambda e: float(e.value(e.selector.value)),
     "LPIRL", {"advantage_estimator": "analytic", "advantage_baseline": "new"}),
    (BASELINES, Baseline("logging_q", logging_policy=True),
     plain_loops.BASELINE_VALUES, lambda e: e.expected_q(e.logits_mu),
     "SA2C", {"advantage_baseline": "new", "negative_samples": 0}),
    (ADVANTAGE_ESTIMATORS, AdvantageEstimator("value", lambda e: e.need("return_") - e.need("v")),
     plain_loops.ADVANTAGES, lambda e: e.return_ - e.v().item(),
     "LPIRL", {"advantage_estimator": "new"}),
    (ADVANTAGE_ESTIMATORS,
     AdvantageEstimator("value", lambda e: e.need("advantage"), lambda r, discount, v, s: r - v),
     plain_loops.ADVANTAGES, lambda e: e.reward - e.v().item(),
     "LPIRL", {"advantage_estimator": "new"}),
]  # fmt: skip


@pytest.mark.parametrize(("table", "row", "oracle", "formula", "name", "settings"), ROWS)
def test_a_row_is_all_that_a_new_estimator_takes(
    table, row, oracle, formula, name, settings, monkeypatch
):
    monkeypatch.setitem(table, "new", row)
    monkeypatch.setitem(oracle, "new", formula)
    for seed in range(2):
        check_against_loops(name, settings, seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "row", "name", "settings"),
    [(table, row, name, settings) for table, row, _, _, name, settings in ROWS[:2]],
)
def test_a_policy_trains_with_it(table, row, name, settings, monkeypatch):
    monkeypatch.setitem(table, "new", row)
    policy = make(name, **settings)
    b = batch(policy.settings.objective.gamma)
    optimiser = torch.optim.Adam(policy.parameters(), 0.005)
    td_losses = []
    for _ in range(100):
        optimiser.zero_grad()
        parts = policy.losses(b).parts
        sum(parts.values()).backward()
        optimiser.step()
        td_losses.append(float(parts["td loss"]))
    assert sum(td_losses[-20:]) < sum(td_losses[:20]) / 2


def test_a_value_estimator_of_v_alone_is_refused_for_q_and_one_of_q_for_v(monkeypatch):
    monkeypatch.setitem(VALUE_ESTIMATORS, "of_v", ValueEstimator(of_v=v_of))
    monkeypatch.setitem(VALUE_ESTIMATORS, "of_q", ValueEstimator(of_q=q_of))
    for name, other in (("SQN", "of_v"), ("LPIRL", "of_q")):
        own = {"of_v": "of_q", "of_q": "of_v"}[other]
        OBJECTIVES[name].check(name, shipped_settings(name, value_estimator=own))
        with pytest.raises(ValueError, match=f"cannot be '{other}' for {name}: .* or {own}$"):
            OBJECTIVES[name].check(name, shipped_settings(name, value_estimator=other))


def test_what_a_row_asks_of_another_setting_is_checked_with_its_reason(monkeypatch):
    bootstraps = Requirement("gamma", lambda gamma: gamma > 0, (0.5,), "it bootstraps")
    row = ValueEstimator(q_of, requires=(bootstraps,))
    monkeypatch.setitem(VALUE_ESTIMATORS, "new", row)
    OBJECTIVES["SQN"].check("SQN", ObjectiveSettings(value_estimator="new"))
    with pytest.raises(ValueError, match="cannot be 0 for SQN: it bootstraps; set gamma: 0"):
        OBJECTIVES["SQN"].check("SQN", ObjectiveSettings(value_estimator="new", gamma=0))


def test_a_statistic_that_no_row_asked_for_is_named(monkeypatch):
    best = VALUE_ESTIMATORS["q_learning"].of_q
    monkeypatch.setitem(VALUE_ESTIMATORS, "new", ValueEstimator(best))
    with pytest.raises(ValueError, match="needs 'argmax_q', which no head and no row supplied"):
        make("SQN", value_estimator="new").losses(batch())


@pytest.mark.parametrize("both", [{}, {"statistic": "max_q", "of": lambda critics: critics.q}])
def test_a_baseline_is_a_statistic_or_a_function(both):
    with pytest.raises(ValueError, match="either a statistic of the catalogue or a function"):
        Baseline(**both)
