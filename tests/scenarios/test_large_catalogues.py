"""Runs under sampled softmax, with rows of tables updated where a step touched them."""

from pathlib import Path

import polars as pl
import pytest
import torch

from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.experiments.comparison import compare
from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder
from tests.support.logs import SMALL, broken_off_after, small

DRAWN = {"softmax": "sampled", "candidate_sampling": {"sample_num": 12}}
LAZY = {**DRAWN, "learner": "sparse_adam"}


def train(run_dir, model="LPIRL", **given):
    return run(model, "shop", (), {**small(model), "run_dir": run_dir, **given})


@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("LPIRL", {"advantage_estimator": "analytic", "clip_grad_norm": {"max_norm": 0.1}}),
        ("LPIRL", {"evaluate_first_event": True, "enable_amp": True, "tie_weights": False}),
        ("IPS", {"propensity": "checkpoint", "enable_scaler": True}),
        ("TopKIPS", {"candidate_sampling": {"distribution": "in_batch"}}),
        ("SNQN", {"candidate_sampling": {"distribution": "uniform", "sample_num": 25}}),
        ("IQL", {"encoder": "gru4rec", "reward_sampling": {"unit": "event"}}),
    ],
)
@pytest.mark.parametrize("learner", ["sparse_adam", "adam"])
def test_a_run(log, model, given, learner):
    done = train("runs/a", model, **{**LAZY, "learner": learner, **given}, learning_rate=0.01)
    assert done.results["test"]["ndcg@10"].mean > 0
    assert done.results["test"]["js_divergence"].mean > 0
    warned = [line for line in done.folder.log.read_text().splitlines() if "does not read" in line]
    assert not any(name in line for line in warned for name in LAZY)


def test_with_every_item_a_run_is_that_of_the_full_softmax(log):
    given = {"logging_policy": "none", "epochs": 1, "hidden_dropout_prob": 0.0,
             "attn_dropout_prob": 0.0, "reproducibility": True}  # fmt: skip
    every = {"distribution": "uniform", "sample_num": 25}
    found = [
        train("runs/a", **given).results["test"],
        train("runs/b", **given, softmax="sampled", candidate_sampling=every).results["test"],
    ]
    for name, estimate in found[0].items():
        assert found[1][name].mean == pytest.approx(estimate.mean, abs=1e-4), name


def test_a_run_goes_on_to_the_same_bits(log, monkeypatch):
    given = {**LAZY, "epochs": 4, "logging_policy": "none", "advantage_estimator": "analytic"}
    whole = train("runs/whole", **given)
    with broken_off_after(1, monkeypatch):
        train("runs/broken", **given)
    assert run(config_dict={"resume": "runs/broken"}).results == whole.results
    states = [
        torch.load(RunFolder(folder).resume, weights_only=True)
        for folder in ("runs/whole", "runs/broken")
    ]
    for name, value in states[0]["state_dict"].items():
        assert torch.equal(states[1]["state_dict"][name], value), name


def logging_policies():
    return [path for path in Path("runs/logging_policy").iterdir() if path.is_dir()]


def test_the_logging_policy_is_learnt_in_the_same_way(log):
    train("runs/full")
    (full,) = logging_policies()
    train("runs/lazy", **LAZY)
    (lazy,) = set(logging_policies()) - {full}
    config = RunFolder(lazy).read_config()
    assert {name: config[name] for name in LAZY} == LAZY
    train("runs/again", beta=0.7, **LAZY)
    assert len(logging_policies()) == 2
    train("runs/sgd", learner="sgd", **DRAWN)  # how a dense policy is learnt is its own affair
    (dense,) = set(logging_policies()) - {full, lazy}
    assert RunFolder(dense).read_config()["learner"] == "adam"


def test_divergences_on_candidates(log):
    exact = train("runs/exact")
    near = train("runs/near", divergence_candidates=24)
    for name in ("js_divergence", "kl_divergence"):
        for part in ("valid", "test"):
            true, found = exact.results[part][name], near.results[part][name]
            assert found.mean != true.mean
            assert found.mean == pytest.approx(true.mean, abs=3 * max(found.stderr, true.stderr))
    told = near.folder.log.read_text()
    assert "test js_divergence is estimated from 24 candidates an event: standard error" in told
    frames = [pl.read_parquet(folder.folder.events) for folder in (exact, near)]
    assert frames[1]["log_mu"].null_count() == len(frames[1])
    assert set(frames[1].columns) - set(frames[0].columns) == {"js_stderr", "kl_stderr"}
    assert frames[0].select("rank", "log_pi").equals(frames[1].select("rank", "log_pi"))
    table = read_events(near.folder.events)
    assert table.has_logging_policy and table.js_stderr is not None and table.js_stderr.all()
    baseline = run("GRU4Rec", "shop", (), {**SMALL, "divergence_candidates": 24, "epochs": 1})
    assert baseline.results["test"]["js_divergence"].mean > 0


def test_seeds_are_pooled_though_log_mu_is_not_kept(log):
    for seed in (3, 4):
        train(f"runs/{seed}", divergence_candidates=24, seed=seed, split_seed=1)
    (pooled,) = compare(["runs/3", "runs/4"], ["ndcg@10", "js_divergence"]).policies
    assert pooled.seeds == (3, 4)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"divergence_candidates": 1}, "divergence_candidates must be >= 2"),
        ({"divergence_candidates": 26}, "divergence_candidates is 26, and the catalogue has 25"),
        ({"softmax": "some"}, "softmax must be full or sampled, got 'some'"),
        ({"learner": "sparse_adam"}, "learner cannot be sparse_adam with softmax: full"),
        ({"candidate_sampling": {"sample_num": 5}}, "candidate_sampling needs softmax: sampled"),
        ({**LAZY, "weight_decay": 0.1}, "weight_decay cannot be 0.1 with learner: sparse_adam"),
        ({"softmax": "sampled"}, "sample_num is 2048, and the catalogue has 25 items"),
        (
            {
                "softmax": "sampled",
                "candidate_sampling": {"distribution": "in_batch"},
                "reward_sampling": {"unit": "event"},
            },
            "distribution cannot be in_batch with reward_sampling",
        ),
        *(
            ({"softmax": "sampled", "candidate_sampling": sampling}, said)
            for sampling, said in (
                ({"distribution": "zipf"}, "candidate_sampling: distribution must be one of"),
                ({"sample_num": 0}, "candidate_sampling: sample_num must be >= 1"),
                ({"alpha": -1}, "candidate_sampling: alpha must be >= 0"),
                ({"alpha": 1, "distribution": "uniform"}, "alpha is of popularity"),
                (
                    {"sample_num": 5, "distribution": "in_batch"},
                    "sample_num cannot be set in_batch",
                ),
                ({"number": 5}, "unknown setting 'number'"),
            )
        ),
    ],
)
def test_what_makes_no_sense_is_refused_before_any_work(log, given, said):
    with pytest.raises(SettingError, match=said):
        train("runs/a", **given)
    assert not Path("runs/a").exists()


def test_recboles_models_have_dense_gradients(log):
    with pytest.raises(SettingError, match="GRU4Rec of RecBole has dense gradients"):
        run("GRU4Rec", "shop", (), {**SMALL, "learner": "sparse_adam"})
