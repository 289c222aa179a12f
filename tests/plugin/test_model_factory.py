"""RecBole's own models, and the baselines that count, under the protocol of the policies."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from recbole_lpi.data.session_data import share_of
from recbole_lpi.evaluation import event_ranking as events
from recbole_lpi.evaluation.event_ranking import EvaluationPass, by_rows, rank_events, rank_policy
from recbole_lpi.plugin import configuration
from recbole_lpi.plugin.configuration import known_models
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.model_factory import GIVE_PROBABILITIES, make_model
from recbole_lpi.plugin.models import BASELINES, MODELS
from recbole_lpi.plugin.names import NEEDS_MORE
from recbole_lpi.plugin.row_learner import RowEpochs, RowLearner
from recbole_lpi.plugin.runner import make_config, run
from recbole_lpi.plugin.saved_model import load_data_and_model
from recbole_lpi.plugin.trainer import PolicyTrainer
from recbole_lpi.serving import load_policy
from recbole_lpi.serving.saved_policies import CountingPolicy
from recbole_lpi.settings import SettingError
from recbole_lpi.training.recorder import Recorder
from tests.support.logs import write_log

PLAIN = {
    "epochs": 1, "MAX_ITEM_LIST_LENGTH": 6, "show_progress": False, "topk": [3, 10],
    "hidden_size": 8,
}  # fmt: skip
RECBOLES = ["GRU4Rec", "SASRec", "NARM", "BERT4Rec", "STAMP", "SRGNN", "LightSANs", "FPMC"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the log and a logging policy of it in ``runs/mu``."""
    folder = tmp_path_factory.mktemp("shop")
    write_log(folder / "dataset")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        run("LoggingPolicy", "shop", (), {**PLAIN, "run_dir": "runs/mu"})
    return folder


@pytest.fixture
def at_shop(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(shop)
    return shop


def go(model: str, name: str = "", **given):
    where = {"run_dir": f"runs/{name or model}", "logging_policy": "runs/mu", "overwrite": True}
    return run(model, "shop", (), {**PLAIN, **where, **given})


@pytest.mark.parametrize("model", [*RECBOLES, *BASELINES])
def test_a_baseline_ends_in_the_same_event_table(at_shop, model):
    finished = go(model)
    mu, ours = (pl.read_parquet(f"runs/{name}/events.parquet") for name in ("mu", model))
    logged = ["session_id", "position", "item_id", "event", "reward"]
    assert ours.columns == mu.columns and ours.select(logged).equals(mu.select(logged))
    np.testing.assert_allclose(ours["log_mu"], mu["log_pi"], atol=1e-6)
    assert (ours["rank"] >= 1).all() and ours["js"].is_between(0, np.log(2) + 1e-6).all()
    metrics, base = (json.loads(Path(f"runs/{x}/metrics.json").read_text()) for x in (model, "mu"))
    assert metrics["data"] == base["data"] and metrics["seed"] == base["seed"] == 2020
    more = {"js_divergence", "kl_divergence", "reward_weighted_ndcg@20"}  # the criterion of its own
    assert set(metrics["test"]) == set(base["test"]) | more
    assert metrics["test"]["js_divergence"]["mean"] > 0
    assert finished.folder.model.is_file()


@pytest.mark.parametrize("model", BASELINES)
def test_a_counting_baseline_is_served_as_it_was_evaluated(at_shop, model):
    folder = go(model, "served").folder
    log = pl.read_csv("dataset/shop/shop.inter", separator="\t", infer_schema=False)
    log = log.rename({name: name.partition(":")[0] for name in log.columns})
    log = log.sort("session_id", pl.col("timestamp").cast(float), maintain_order=True)
    items = dict(log.group_by("session_id").agg("item_id").iter_rows())
    events = pl.read_parquet(folder.events)
    where = events.select("session_id", "position").iter_rows()
    histories = [items[session][:position] for session, position in where]
    policy = load_policy(folder.path)
    log_pi = policy.log_prob(histories, events["item_id"].to_list())
    np.testing.assert_allclose(log_pi, events["log_pi"], atol=1e-5)
    found = policy.recommend(histories, k=2)
    np.testing.assert_allclose(found.scores[:, 0], events["greedy_log_pi"], atol=1e-5)
    clear = found.scores[:, 0] > found.scores[:, 1]
    assert (found.items[clear, 0] == events["greedy_item"].to_numpy()[clear]).all()

    served = policy.policy
    assert isinstance(served, CountingPolicy)
    _, loaded, *_ = load_data_and_model(str(folder.model))
    for name, array in loaded.policy.arrays().items():
        assert (array == served.counted.arrays()[name]).all()
    other = {name: value.flip(0) for name, value in loaded.state_dict().items()}
    loaded.load_state_dict({**loaded.state_dict(), "popularity": other["popularity"]})
    assert (loaded.policy.popularity == other["popularity"].numpy()).all()


def test_prefixes_and_windows_give_the_same_table(at_shop):
    """A logging policy read row by row against itself read by windows: no divergence."""
    config = configuration.make("LoggingPolicy", "shop", {**PLAIN, "MAX_ITEM_LIST_LENGTH": 3})
    train, _, test = PolicyDataset(config).build()
    torch.manual_seed(0)
    model = make_model(config, train).eval()
    mu = model.network
    with torch.no_grad():
        mu.item_embedding.weight.mul_(30)  # so that events differ
    device = torch.device("cpu")

    def logits(rows: np.ndarray) -> torch.Tensor:
        scores: torch.Tensor = model.full_sort_predict(test[rows])
        return scores[:, 1:]

    assert (test.windows.targets > 1).any() and (test.windows.inputs < 3).any()
    by_windows = rank_policy(mu, test, EvaluationPass(7, device))
    against = EvaluationPass(7, device, mu)
    table = rank_events(by_rows(logits, test), test, against)
    np.testing.assert_array_equal(table.rank, by_windows.rank)
    np.testing.assert_array_equal(table.item_id, by_windows.item_id)
    np.testing.assert_allclose(table.js, 0, atol=1e-6)
    shifted = rank_events(by_rows(lambda rows: logits(rows[::-1]), test), test, against)
    assert shifted.js.max() > 0.1  # the order of events matters


def test_few_logits_are_written_down_at_a_time(at_shop, monkeypatch):
    """Of rows, and for divergences on candidates; a policy's own events are ranked together."""
    config = configuration.make("LoggingPolicy", "shop", PLAIN)
    train, _, test = PolicyDataset(config).build()
    model, device = make_model(config, train).eval(), torch.device("cpu")
    mu = model.network
    sizes: list[int] = []
    ranked: Any = vars(events)["ranking_pass"]

    def seen(scores, action, *rest):
        sizes.append(len(action))
        return ranked(scores, action, *rest)

    monkeypatch.setattr(events, "ranking_pass", seen)
    monkeypatch.setattr(events, "MATRIX_ELEMENTS", 5 * 25)
    rows = by_rows(lambda rows: model.full_sort_predict(test[rows])[:, 1:], test)
    windows = events.by_windows(mu, device)
    most = {}
    for name, ranker, how in (
        ("rows", rows, EvaluationPass(100, device)),
        ("candidates", windows, EvaluationPass(100, device, mu, candidates=10)),
        ("windows", windows, EvaluationPass(100, device, mu)),
    ):
        sizes.clear()
        rank_events(ranker, test, how)
        most[name] = max(sizes)
    assert most["rows"] == 5 and most["candidates"] <= 5 and most["windows"] > 5


def test_shares_of_the_events_draw_other_candidates_each_always_the_same(at_shop, monkeypatch):
    config = configuration.make("LoggingPolicy", "shop", PLAIN)
    train, _, test = PolicyDataset(config).build()
    mu, device = make_model(config, train).network.eval(), torch.device("cpu")
    seeds: list[int] = []
    estimator: Any = vars(events)["DivergenceEstimator"]

    def seen(*given, seed):
        seeds.append(seed)
        return estimator(*given, seed=seed)

    monkeypatch.setattr(events, "DivergenceEstimator", seen)
    for share in (share_of(test, rank, 3) for rank in (0, 1, 2, 0)):
        rank_policy(mu, share, EvaluationPass(100, device, mu, candidates=10))
    assert len(set(seeds)) == 3 and seeds[0] == seeds[3]


def test_scores_that_are_not_finite_do_not_rank_first(at_shop):
    config = configuration.make("LoggingPolicy", "shop", PLAIN)
    test = PolicyDataset(config).build()[2]
    broken = by_rows(lambda rows: torch.full((len(rows), 25), torch.nan), test)
    with pytest.raises(FloatingPointError, match="not finite"):
        rank_events(broken, test, EvaluationPass(8, torch.device("cpu")))


def test_the_policy_of_a_model_that_gives_probabilities(at_shop):
    """log π of RepeatNet is the logarithm of its output, not a softmax of it."""
    assert "RepeatNet" in GIVE_PROBABILITIES
    config = make_config("RepeatNet", "shop", (), {**PLAIN, "embedding_size": 8})
    train, _, test = PolicyDataset(config).build()
    model = make_model(config, train).eval()
    cpu = torch.device("cpu")
    table = rank_events(RowLearner(config, model).ranker(test, cpu), test, EvaluationPass(8, cpu))
    with torch.no_grad():
        p = model.full_sort_predict(test[np.arange(len(test))])[:, 1:] + 1e-8
    wanted = (p / p.sum(1, keepdim=True)).log().numpy()
    np.testing.assert_allclose(
        table.log_pi, wanted[np.arange(len(test)), table.item_id - 1], atol=1e-5
    )


def test_settings_of_the_network_are_recboles_and_the_rest_is_the_protocol(at_shop, caplog):
    with caplog.at_level(logging.WARNING):
        given = {"beta": 2.0, "gamma": 0.9, "topk": [7]}
        read = {"enable_amp": True, "float32_matmul_precision": "high"}
        config = make_config("GRU4Rec", "shop", (), {**given, **read})
    policy = make_config("LPIRL", "shop", (), {})
    assert "GRU4Rec does not read beta, gamma, which other models do" in caplog.text
    assert [config[n] for n in ("hidden_size", "embedding_size", "loss_type")] == [128, 64, "CE"]
    for name in ("epochs", "learning_rate", "MAX_ITEM_LIST_LENGTH", "eval_args", "valid_metric"):
        assert config[name] == policy[name], name
    assert config["train_batch_size"] == 2048 and config["topk"] == [7]
    assert config["train_neg_sample_args"]["distribution"] == "none"
    pairs = make_config("GRU4Rec", "shop", (), {"loss_type": "BPR"})
    assert pairs["train_neg_sample_args"]["distribution"] == "uniform"
    with caplog.at_level(logging.WARNING):
        make_config("SessionKNN", "shop", (), {"k": 3, "epochs": 3})
    assert "SessionKNN does not read epochs, which other models do" in caplog.text


def test_a_stock_config_of_recboles_model_is_recboles(at_shop):
    """Before and after one under our protocol, and what both are."""
    from recbole.config import Config

    def stock() -> dict[str, Any]:
        given = {"train_neg_sample_args": None, "typo": 1}
        with configuration.hidden_argv():
            return dict(Config("GRU4Rec", "shop", config_dict=given).final_config_dict)

    before = stock()
    make_config("GRU4Rec", "shop", (), {})
    assert stock() == before
    assert before["epochs"] == 300 and before["learning_rate"] == 0.001 and before["typo"] == 1
    assert before["eval_args"]["split"] == {"LS": "valid_and_test"}
    assert before["checkpoint_dir"] == "saved" and "run_dir" not in before


def test_every_sequential_model_is_accepted_or_refused_with_a_reason(at_shop):
    recboles = set(known_models()) - set(MODELS) - set(BASELINES)
    assert set(NEEDS_MORE) < recboles
    for name, reason in NEEDS_MORE.items():
        with pytest.raises(SettingError, match=f"{name} of RecBole cannot run.*{reason}"):
            make_config(name, "shop", (), {})
    table = (Path(__file__).parents[2] / "docs" / "baselines.md").read_text()
    for name in recboles:
        assert (f"| `{name}` | no: " in table) == (name in NEEDS_MORE), name
        assert f"| `{name}` |" in table


@pytest.mark.parametrize(("model", "given", "said"), [
    ("SessionKNN", {"k": 0}, "k must be >= 1, got 0"),
    ("SessionKNN", {"sample_sise": 5}, "did you mean 'sample_size'"),
    ("Popularity", {"pseudo_count": 0}, "pseudo_count must be > 0"),
    ("Popularty", {}, "did you mean 'Popularity'"),
    ("GRU4Rec", {"epochs": 0}, "epochs must be >= 1"),
    ("GRU4Rec", {"hiden_size": 5}, "did you mean 'hidden_size'"),
    ("GRU4Rec", {"evaluate_first_event": True}, "cannot predict from an empty history"),
    ("GRU4Rec", {"eval_args": {"mode": "uni100"}}, "ranked in mode full"),
    ("GRU4Rec", {"repeatable": False}, "RecBole refuses the settings"),
])  # fmt: skip
def test_wrong_settings(at_shop, model, given, said):
    with pytest.raises(SettingError, match=said):
        make_config(model, "shop", (), given)


def test_counting_baselines_predict_the_first_event_too(at_shop):
    first = {"evaluate_first_event": True}
    run("LoggingPolicy", "shop", (), {**PLAIN, **first, "run_dir": "runs/mu-first"})
    for model in BASELINES:
        go(model, "first", **first, logging_policy="runs/mu-first")
        assert pl.read_parquet("runs/first/events.parquet")["position"].min() == 0


@pytest.mark.parametrize("model", ["BERT4Rec", "FPMC"])
def test_a_baseline_resumes_to_the_same_bits(at_shop, monkeypatch, model):
    """Masks and negative samples are those of a run that was never interrupted."""
    given = {"epochs": 3, "train_batch_size": 100, "stopping_step": 3, "logging_policy": "none"}
    whole = go(model, "whole", **given)

    class Killed(BaseException):
        pass

    def record(recorder, loop, *rest):
        recorded(recorder, loop, *rest)
        if loop.next_epoch == 2:
            raise Killed

    recorded = Recorder.record
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Recorder, "record", record)
        go(model, "killed", **given)
    assert run(config_dict={"resume": "runs/killed"}).results == whole.results
    ours, theirs = (
        torch.load(f"runs/{name}/resume.pth", weights_only=True)["state_dict"]
        for name in ("killed", "whole")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_logging_policy_of_a_baseline_is_the_one_of_a_default_policy(at_shop):
    given = {"logging_policy": "auto", "logging_policy_dir": "runs/auto", "logging_policy_seeds": 1}
    small = {key: value for key, value in PLAIN.items() if key != "hidden_size"}
    for model in ("GRU4Rec", "Popularity", "LPIRL"):
        run(model, "shop", (), {**small, **given, "run_dir": f"runs/auto-{model}"})
    assert len([path for path in Path("runs/auto").iterdir() if path.is_dir()]) == 1


def test_a_baselines_checkpoint_loads_by_recboles_call(at_shop):
    from recbole.quick_start import load_data_and_model

    finished = go("BERT4Rec", "loaded", logging_policy="none")
    config, model, _, _, _, test = load_data_and_model("runs/loaded/model.pth")
    found = PolicyTrainer(config, model).evaluate(test, load_best_model=False)
    assert found["ndcg@10"] == pytest.approx(finished.results["test"]["ndcg@10"].mean)


def test_models_that_embed_users_are_told_of(at_shop, caplog):
    with caplog.at_level(logging.WARNING):
        go("FPMC", "strangers")
        assert "FPMC has an embedding for each session" in caplog.text
        caplog.clear()
        go("FPMC", "friends", split="leave_one_out", logging_policy="none")
        assert "has an embedding" not in caplog.text


def test_a_baseline_learns_from_the_events_that_carry_a_policys_loss(at_shop, monkeypatch):
    """The last two of each training session, each once an epoch."""
    seen: list[torch.Tensor] = []
    batch = RowEpochs.batch

    def watched(epochs, index):
        seen.append(torch.as_tensor(index))
        return batch(epochs, index)

    monkeypatch.setattr(RowEpochs, "batch", watched)
    go("GRU4Rec", "last_two", loss_on_last=2)
    config = make_config("GRU4Rec", "shop", (), {**PLAIN, "loss_on_last": 2})
    train = PolicyDataset(config).build()[0]
    heads = train.sessions.offsets[train.part.session]
    last_two = [
        place
        for head, stop in zip(heads, train.part.stop, strict=True)
        for place in range(max(head + 1, stop - 2), stop)
    ]
    assert sorted(train.places[torch.cat(seen).numpy()]) == last_two
    assert len(last_two) < len(train)


def test_the_largest_reward_is_that_of_the_part(at_shop):
    parts = PolicyDataset(make_config("LPI", "shop", (), PLAIN)).build()
    train, valid = parts[:2]
    rewards = train.sessions.rewards.copy()
    rewards[valid.places[0]] = 7.0
    train.sessions = valid.sessions = replace(train.sessions, rewards=rewards)
    assert valid.max_reward == 7.0 and train.max_reward == 1.0
