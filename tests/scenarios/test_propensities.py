"""Propensities of a log of impressions, from its file to what policies learn and files hold."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recbole_lpi.data.identity import data_hash
from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.models import MODELS
from recbole_lpi.plugin.runner import make_config, run
from recbole_lpi.policy.loss_parts import events_of
from recbole_lpi.policy.losses import Heads, compute_losses
from recbole_lpi.settings import SettingError
from tests.support.bandit import bandit_rows, write_bandit
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole

ROWS = bandit_rows()
GIVEN: dict[str, Any] = {
    "split": "random", "split_ratio": [0.6, 0.2, 0.2], "valid_metric": "click_ndcg@3",
    "evaluate_first_event": True,
}  # fmt: skip


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def dataset(**given) -> PolicyDataset:
    return PolicyDataset(make_config("IPS", "shown", (), SMALL | GIVEN | given))


def by_event(data: PolicyDataset) -> dict[tuple[str, float], float]:
    """Propensity by session and time, which name an event."""
    s = data.sessions
    users = data.field2id_token[data.uid_field][np.repeat(data.user_of_session, s.lengths)]
    assert s.propensities is not None
    return dict(zip(zip(users, s.timestamps.tolist(), strict=True), s.propensities.tolist(),
                    strict=True))  # fmt: skip


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"load_col": {"inter": ["session_id", "item_id"]}},
        {"val_interval": {"item_id": ["i1", "i3", "i4", "i6"]}},
        {"rm_dup_inter": "first"},
        {"user_inter_num_interval": "[4,inf)"},
    ],
    ids=["all", "load_col", "items", "repeats", "long"],
)
@pytest.mark.parametrize("cache", ["none", "kept"])
def test_propensities_go_with_their_events(given, cache):
    """Of a log in any order, filtered or not, read or mapped from the cache."""
    rows = [ROWS[n] for n in np.random.default_rng(1).permutation(len(ROWS))]
    write_bandit(Path("dataset"), rows)
    expected = {(row[0], float(row[2])): np.float32(row[3]) for row in ROWS}
    for _ in range(2):
        found = by_event(dataset(session_cache_dir=cache, **given))
        assert len(found) > 0 and found.items() <= expected.items()
        assert ("items" in str(given)) or len(found) <= len(expected)


@pytest.mark.parametrize("value", ["0", "-0.1", "1.01", "nan", "", "1e-60", "inf"])
def test_what_is_no_propensity_is_refused_by_its_line(value):
    rows = list(ROWS)
    rows[6] = (*rows[6][:3], value, *rows[6][4:])
    write_bandit(Path("dataset"), rows)
    with pytest.raises(SettingError, match=r"shown\.inter, line 8: propensity is .*at most 1") as e:
        dataset()
    assert "(PROPENSITY_FIELD: none)" in str(e.value) and "\n" not in str(e.value)
    assert dataset(PROPENSITY_FIELD="none").sessions.propensities is None


def test_the_column_can_have_another_name():
    path = write_bandit(Path("dataset"), ROWS)
    path.write_text(path.read_text().replace("propensity:float", "shown_with:float"))
    assert dataset().sessions.propensities is None
    assert dataset(PROPENSITY_FIELD="shown_with").sessions.propensities is not None
    with pytest.raises(SettingError, match="no column 'shon_with', which PROPENSITY_FIELD names"):
        dataset(PROPENSITY_FIELD="shon_with")


def test_another_propensity_makes_another_log():
    write_bandit(Path("dataset"), ROWS)
    first = data_hash(dataset().build()[0])
    rows = [*ROWS[:-1], (*ROWS[-1][:3], 0.5, *ROWS[-1][4:])]
    write_bandit(Path("dataset"), rows)
    assert data_hash(dataset().build()[0]) != first


@pytest.mark.parametrize("model", ["IPS", "IPSPG", "TopKIPS"])
def test_losses_divide_by_the_logged_propensity(model):
    """The policy's loss of a planted log, worked event by event from its rows."""
    write_bandit(Path("dataset"), ROWS)
    config = make_config(
        model, "shown", (),
        SMALL | GIVEN | {"propensity": "logged", "hidden_dropout_prob": 0.0,
                         "attn_dropout_prob": 0.0, "weight_clip": 3.0, "slate_size": 2},
    )  # fmt: skip
    train = PolicyDataset(config).build()[0]
    policy = MODELS[model](config, train).network.eval()
    assert "propensity" not in policy.heads
    batch = train.batch(train.training_windows.take(np.arange(20)))
    parts = policy.losses(batch).parts
    assert list(parts) == ["policy loss"]
    logged = {(row[0], row[2]): row[3] for row in ROWS}
    log_pi = policy.factors(batch.history, batch.counts).outputs().log_softmax(-1)
    total, event = torch.zeros(()), 0
    for b, position in batch.counts.nonzero().tolist():
        place, item = int(batch.place[b, position]), int(batch.action[b, position])
        name = train.session_tokens[int(batch.session[b])]
        own = log_pi[event, item - 1]
        ratio = float(own.detach().exp()) / logged[name, int(train.sessions.timestamps[place])]
        weight = min(ratio, 3.0)
        if model == "TopKIPS":
            weight *= 2 * (1 - float(own.detach().exp()))
        weight *= float(batch.reward[b, position] if model == "IPS" else batch.return_[b, position])
        total = total - weight * own
        event += 1
    torch.testing.assert_close(parts["policy loss"], total / event, rtol=1e-5, atol=1e-7)
    assert total > 0


def test_a_log_without_propensities_is_refused_with_the_cure():
    path = write_bandit(Path("dataset"), ROWS)
    path.write_text(path.read_text().replace("propensity:float", "other:float"))
    with pytest.raises(SettingError) as told:
        run("IPS", "shown", config_dict={**SMALL, **GIVEN, "propensity": "logged"})
    said = str(told.value)
    assert "shown has none" in said and "column propensity:float" in said and "\n" not in said
    assert not list(Path("runs").rglob("model.pth"))  # no logging policy was trained before


def test_sessions_of_one_impression_each_are_a_bandit_without_memory():
    """As of the Open Bandit Dataset: split, learnt from and measured, from no history."""
    rows = [(f"s{n}", *row[1:]) for n, row in enumerate(ROWS)]
    write_bandit(Path("dataset"), rows)
    given = {**SMALL, **GIVEN, "propensity": "logged", "run_dir": "runs/it"}
    found = run("IPS", "shown", config_dict=given)
    table = read_events(Path("runs/it/events.parquet"))
    assert (table.position == 0).all() and len(table) == found.results["test"]["nll"].count
    assert len(np.unique(table.greedy_item)) == 1  # every state is the same
    with pytest.raises(SettingError, match="the training part has nothing to predict"):
        run("IPS", "shown", config_dict=given | {"evaluate_first_event": False, "run_dir": None})


def test_a_run_says_which_events_were_shown_and_not_taken(caplog):
    logging.getLogger().setLevel(logging.INFO)
    write_bandit(Path("dataset"), ROWS)
    dataset().build()
    ignored = sum(row[4] == "ignored" for row in ROWS)
    assert f"events ignored ({ignored}) have reward 0, as what was shown and not taken" in (
        caplog.text
    )
    assert "neither purchase_events nor" not in caplog.text
    lowest, highest = min(row[3] for row in ROWS), max(row[3] for row in ROWS)
    assert f"propensities as logged (propensity): {lowest:.3g} to {highest:.3g}" in caplog.text
    caplog.clear()
    dataset(click_events=["none"]).build()
    assert "events click are neither purchase_events nor click_events" in caplog.text


def test_rows_of_impressions_have_no_weight_where_the_reward_is_the_weight():
    """So that what was shown and not taken moves no policy weighed by its reward."""
    write_bandit(Path("dataset"), ROWS)
    given = SMALL | GIVEN | {"propensity": "logged"}
    config = make_config("IPS", "shown", (), given)
    train = PolicyDataset(config).build()[0]
    policy = MODELS["IPS"](config, train).network.eval()
    batch = train.batch(train.training_windows.take(np.arange(20)))
    ignored = batch.reward[batch.counts] == 0
    assert 0 < ignored.sum() < len(ignored)
    state = policy.forward(batch.history)[batch.counts].detach().requires_grad_()
    found = compute_losses(
        events_of(batch, state, 1.0), policy.factors_of(state, None), policy.objective,
        policy.settings.objective, Heads(),
    )  # fmt: skip
    found.policy.loss.backward()
    assert state.grad is not None
    assert (found.policy.weight[ignored] == 0).all() and (state.grad[ignored] == 0).all()
    assert (found.policy.weight[~ignored] > 0).all()


@pytest.mark.parametrize("model", ["LoggingPolicy", "LPI", "SQN", "IPS"])
def test_a_log_of_impressions_trains_and_is_measured(model):
    write_bandit(Path("dataset"), ROWS)
    given = {**SMALL, **GIVEN, "run_dir": "runs/it", "fit_temperature": False}
    if model == "IPS":
        given["propensity"] = "logged"
    run(model, "shown", config_dict=given)
    table = read_events(Path("runs/it/events.parquet"))
    frame = pl.read_parquet("runs/it/events.parquet")
    expected = {(row[0], row[4], row[3]) for row in ROWS}
    rows = zip(frame["session_id"], frame["event"], np.exp(frame["log_propensity"].to_numpy()),
               strict=True)  # fmt: skip
    near = {(s, kind, round(p, 5)) for s, kind, p in expected}
    assert {(s, kind, round(float(p), 5)) for s, kind, p in rows} <= near
    assert table.has("log_propensity") and set(table.event) == {"click", "ignored"}
    metrics = json.loads(Path("runs/it/metrics.json").read_text())
    assert np.isfinite(metrics["test"]["click_ndcg@3"]["mean"])
    told = metrics["logging_policy_quality"]["agreement"]
    held = table.log_propensity
    assert held is not None and told["nll"] == pytest.approx(-held.mean(dtype=np.float64))
    assert told["divergence"]["count"] == len(held) == sum(told["count"])
