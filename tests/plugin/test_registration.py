"""RecBole's own entry points, with our policies in them."""

from __future__ import annotations

import importlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.plugin import registration
from recbole_lpi.plugin.models import MODELS
from tests.support import fresh
from tests.support.logs import SMALL, small, write_log

HEAVY = {"recbole", "torch", "polars", "pandas", "numpy", "matplotlib"}


def python(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_function_run_is_imported_when_it_is_asked_for():
    python(
        "import sys, recbole_lpi\n"
        f"assert not {HEAVY} & set(sys.modules)\n"
        "from recbole_lpi import run\n"
        "from recbole_lpi.plugin import runner\n"
        "assert run is runner.run and not hasattr(recbole_lpi, 'ruin')"
    )


def test_importing_ours_imports_nothing_that_takes_long():
    python(f"import sys, recbole_lpi; assert not {HEAVY} & set(sys.modules)")


@pytest.mark.parametrize("command", ["", "run", "compare", "sweep", "table1", "prepare"])
def test_help_is_there_at_once(command):
    """RecBole, torch and polars take seconds to import, and none is needed for words."""
    heavy = HEAVY - ({"polars", "numpy", "pandas"} if command == "prepare" else set())
    arguments = [word for word in (command, "--help") if word]
    python(
        "import sys\nfrom typer.testing import CliRunner\nfrom recbole_lpi.cli.app import app\n"
        f"done = CliRunner().invoke(app, {arguments})\n"
        "assert done.exit_code == 0 and 'Usage: ' in done.output, done.output\n"
        f"assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)"
    )


def test_help_names_every_model_that_runs():
    from recbole_lpi.plugin.configuration import known_models
    from recbole_lpi.plugin.models import BASELINES
    from recbole_lpi.plugin.names import NEEDS_MORE, models_in_words, own_models

    assert set(own_models()) == {*MODELS, *BASELINES}
    shown = CliRunner().invoke(app, ["run", "--help"], terminal_width=500).output
    assert models_in_words() in " ".join(shown.split())
    for model in known_models():
        named = model in re.findall(r"\w+", models_in_words())
        assert named == (model not in NEEDS_MORE), model


@pytest.mark.parametrize("program", ["run_program", "program"])
def test_an_interrupt_while_modules_are_imported_is_one_line(program):
    done = subprocess.run(
        [sys.executable, "-c", f"""
import sys
class Impatient:
    def find_spec(self, name, *_):
        if name == 'recbole_lpi.cli.app':
            raise KeyboardInterrupt
sys.meta_path.insert(0, Impatient())
from recbole_lpi.cli.start import {program}
{program}()"""],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "interrupted\n")


def test_the_learning_core_does_not_import_recbole():
    python(
        "import sys, recbole_lpi.objectives.td, recbole_lpi.objectives.weights\n"
        "import recbole_lpi.nn.heads, recbole_lpi.nn.sasrec, recbole_lpi.nn.catalogue\n"
        "assert not {'recbole', 'pandas', 'polars'} & set(sys.modules)"
    )


def test_a_wrong_command_line_is_refused_before_recbole_is_imported():
    python(
        "import sys\nfrom typer.testing import CliRunner\nfrom recbole_lpi.cli.app import app\n"
        "done = CliRunner().invoke(app, ['run', '--model=LPIRL', 'beta=1'])\n"
        "assert done.exit_code == 2 and 'is not --setting=value' in done.stderr\n"
        "assert 'recbole' not in sys.modules"
    )


@pytest.mark.parametrize(
    "first", ["recbole_lpi", "recbole.config", "recbole.data", "recbole_lpi.plugin.dataset"]
)
def test_either_package_may_be_imported_first(first):
    done = fresh.run(
        f"import {first}, recbole_lpi\n"
        "from recbole.utils import get_model, get_trainer\n"
        "from recbole.config import Config\n"
        "import recbole.data.dataset\n"
        "assert get_model('LPIRL').__module__ == 'recbole_lpi.plugin.models'\n"
        "assert get_trainer(None, 'LPIRL').__name__ == 'PolicyTrainer'\n"
        "assert recbole.data.dataset.LPIRLDataset.__name__ == 'PolicyDataset'\n"
        "config = Config(model='LPIRL', dataset='ml-100k')\n"
        "assert config['advantage_baseline'] == 'policy'\n"
    )
    assert done.status == 0, done.said


def test_registering_twice_is_registering_once():
    before = list(sys.meta_path)
    registration.register()
    assert sys.meta_path == before


def test_recboles_own_classes_are_left_alone():
    import recbole.data.dataset
    from recbole.utils import ModelType, get_model, get_trainer

    assert get_model("SASRec").__module__ == "recbole.model.sequential_recommender.sasrec"
    assert get_trainer(ModelType.SEQUENTIAL, "SASRec").__module__ == "recbole.trainer.trainer"
    assert not hasattr(recbole.data.dataset, "SASRecDataset")


@pytest.mark.parametrize("model", sorted(MODELS))
def test_stock_run_recbole_and_load_data_and_model(log, model):
    from recbole.quick_start import load_data_and_model, run_recbole
    from recbole.utils import get_trainer

    given = {**small(model), "run_dir": f"runs/{model}"}
    result = run_recbole(model=model, dataset="shop", config_dict=given)
    assert 0 < result["test_result"]["purchase_ndcg@10"] <= 1
    assert ("js_divergence" in result["test_result"]) == (model != "LoggingPolicy")
    config, loaded, _, _, _, test_data = load_data_and_model(f"runs/{model}/model.pth")
    assert type(loaded) is MODELS[model] and config["hidden_size"] == SMALL["hidden_size"]
    again = get_trainer(config["MODEL_TYPE"], model)(config, loaded).evaluate(
        test_data, load_best_model=False
    )
    for name, value in again.items():
        assert value == result["test_result"][name], name


def test_nothing_that_lies_where_recbole_keeps_data_is_unpickled(log):
    """RecBole unpickles saved data sets and loaders that it finds in checkpoint_dir."""
    from recbole.quick_start import load_data_and_model, run_recbole

    class Bomb:
        def __reduce__(self):
            return os.system, ("touch executed",)

    Path("saved").mkdir()
    for name in ("shop-PolicyDataset.pth", "shop-for-LoggingPolicy-dataloader.pth"):
        Path("saved", name).write_bytes(pickle.dumps(Bomb()))
    given = {**SMALL, "run_dir": "runs/a", "checkpoint_dir": "saved"}
    run_recbole(model="LoggingPolicy", dataset="shop", config_dict=given)
    load_data_and_model("runs/a/model.pth")
    assert not Path("executed").exists()


def test_a_checkpoint_of_another_catalogue_is_refused_everywhere(log):
    from recbole.quick_start import load_data_and_model, run_recbole
    from recbole.utils import get_trainer

    from recbole_lpi.settings import SettingError

    run_recbole(model="LoggingPolicy", dataset="shop", config_dict={**SMALL, "run_dir": "runs/a"})
    config, model, _, _, _, test_data = load_data_and_model("runs/a/model.pth")
    write_log(Path("dataset"), items=30, seed=5)
    with pytest.raises(SettingError, match="is of another catalogue"):
        load_data_and_model("runs/a/model.pth")
    run_recbole(model="LoggingPolicy", dataset="shop", config_dict={**SMALL, "run_dir": "runs/b"})
    trainer = get_trainer(config["MODEL_TYPE"], "LoggingPolicy")(config, model)
    with pytest.raises(SettingError, match="is of another catalogue"):
        trainer.evaluate(test_data, model_file="runs/b/model.pth")


@pytest.mark.parametrize("model", sorted(MODELS))
def test_the_objective_of_recboles_hyper_tuning(log, model):
    from recbole.quick_start import objective_function

    found = objective_function({**small(model), "model": model, "dataset": "shop"})
    criterion = "nll" if model == "LoggingPolicy" else "reward_weighted_ndcg@20"
    assert found["model"] == model and found["valid_score_bigger"] == (criterion != "nll")
    assert found["best_valid_score"] == found["best_valid_result"][criterion]


def test_our_metrics_in_recboles_own_evaluation(log):
    """A model of RecBole's, its trainer, its split; purchases and clicks counted by a loop."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.trainer import Trainer
    from recbole.utils import get_model, init_seed

    given = {
        "metrics": ["NDCG", "purchase_ndcg", "click_hit", "average_reward@1"], "topk": [3],
        "valid_metric": "NDCG@3", "epochs": 1, "metric_decimal_place": 12, "hidden_size": 8,
        "train_neg_sample_args": None, "USER_ID_FIELD": "session_id", "show_progress": False,
        "load_col": {"inter": ["session_id", "item_id", "timestamp", "event", "reward"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"},
        "reward_field": "reward", "event_field": "event", "normalize_all": False,
    }  # fmt: skip
    config = Config(model="SASRec", dataset="shop", config_dict=given)
    init_seed(1, True)
    train, valid, test = data_preparation(config, create_dataset(config))
    model = get_model("SASRec")(config, train.dataset)
    trainer = Trainer(config, model)
    trainer.fit(train, valid, saved=False)
    found = trainer.evaluate(test, load_best_model=False)

    purchase, click, all_events, collected = [], [], [], []
    model.eval()
    names = test.dataset.field2id_token["event"]
    for interaction, _, _, positive in test:
        scores = model.full_sort_predict(interaction).view(len(interaction), -1).detach()
        scores[:, 0] = -np.inf
        for row, item in enumerate(positive):
            better = sum(float(s) > float(scores[row, item]) for s in scores[row])
            gain = 1 / np.log2(better + 2) if better < 3 else 0.0
            all_events.append(gain)
            reward = float(interaction["reward"][row])
            collected.append(reward if better == 0 else 0.0)
            if names[interaction["event"][row]] == "purchase":
                purchase.append(gain)
            else:
                click.append(float(better < 3))
    assert purchase and click
    for name, values in (
        ("ndcg@3", all_events), ("purchase_ndcg@3", purchase), ("click_hit@3", click),
        ("average_reward@1", collected),
    ):  # fmt: skip
        assert found[name] == pytest.approx(np.mean(values), abs=1e-6), name


@pytest.mark.parametrize(("name", "needs"), [
    ("nll", "a policy"), ("purchase_perplexity", "a policy"), ("new_hit", "each session"),
])  # fmt: skip
def test_likelihood_and_novelty_are_refused_where_only_top_k_lists_are_kept(log, name, needs):
    from recbole.config import Config
    from recbole.evaluator import Evaluator

    from recbole_lpi.settings import SettingError

    given = {"metrics": [name], "train_neg_sample_args": None, "valid_metric": name}
    config = Config(model="SASRec", dataset="shop", config_dict=given)
    assert config["valid_metric_bigger"] == (name == "new_hit")
    with pytest.raises(SettingError, match=f"{name} needs the whole of {needs}"):
        Evaluator(config).evaluate({})


def test_divergence_is_refused_where_only_top_k_lists_are_kept(log):
    from recbole.config import Config
    from recbole.evaluator import Evaluator

    from recbole_lpi.settings import SettingError

    config = Config(
        model="SASRec", dataset="shop",
        config_dict={"metrics": ["js_divergence"], "train_neg_sample_args": None,
                     "valid_metric": "js_divergence"},
    )  # fmt: skip
    assert config["valid_metric_bigger"] is False
    with pytest.raises(SettingError, match="js_divergence needs the whole of two policies"):
        Evaluator(config).evaluate({})


@pytest.mark.parametrize("first_event", [False, True])
def test_ranks_and_metrics_equal_recboles_own(log, first_event):
    """Our event table against RecBole's collector and metrics, on the same scores."""
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.evaluator import Collector, Evaluator
    from recbole.utils import init_seed

    from recbole_lpi.evaluation.event_ranking import EvaluationPass, rank_policy
    from recbole_lpi.plugin.trainer import PolicyTrainer

    metrics = ["hit", "ndcg", "mrr", "recall", "precision"]
    given = {
        **SMALL, "metrics": metrics, "metric_decimal_place": 12, "valid_metric": "ndcg@10",
        "evaluate_first_event": first_event, "logging_policy": "none",
    }  # fmt: skip
    config = Config(model="LoggingPolicy", dataset="shop", config_dict=given)
    init_seed(3, True)
    train, valid, test = data_preparation(config, create_dataset(config))
    model = MODELS["LoggingPolicy"](config, train.dataset)
    trainer = PolicyTrainer(config, model)
    trainer.fit(train, valid, saved=False)
    ours = trainer.evaluate(test)

    collector, evaluator = Collector(config), Evaluator(config)
    ranks = []
    for interaction, _, row, item in test:
        with torch.no_grad():
            scores = model.full_sort_predict(interaction)
        collector.eval_batch_collect(scores, interaction, row, item)
        ranks += [
            1 + sum(float(s) > float(scores[r, i]) for s in scores[r])
            for r, i in zip(row.tolist(), item.tolist(), strict=True)
        ]
    recboles = evaluator.evaluate(collector.get_data_struct())
    assert set(recboles) == {name for name in ours if not name.startswith(("repeat_", "new_"))}
    for name in recboles:
        assert ours[name] == pytest.approx(recboles[name], abs=1e-6), name
    table = rank_policy(model.network, test.dataset, EvaluationPass(64, torch.device("cpu")))
    # RecBole's loader gives rows in the order of the windows; the table in that of the store.
    np.testing.assert_array_equal(table.rank, np.array(ranks)[np.argsort(test.dataset.places)])


def test_recboles_launcher_from_a_script_whose_imports_are_guarded(log):
    """Its processes are new interpreters, in which nobody has imported this package."""
    Path("mine.py").write_text(
        f"""
if __name__ == "__main__":
    import recbole_lpi
    from recbole.quick_start import run
    given = dict({SMALL!r}, epochs=1, run_dir="runs/a", state="ERROR")
    run("LoggingPolicy", "shop", nproc=2, config_dict=given, ip="127.0.0.1", port="29531")
"""
    )
    done = subprocess.run([sys.executable, "mine.py"], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    assert Path("runs/a/metrics.json").is_file()


@pytest.mark.parametrize(
    ("old", "now"),
    [
        ("recbole_lpi.models", "recbole_lpi.plugin.models"),
        ("recbole_lpi.host.runner", "is recbole_lpi.run"),
    ],
)
def test_a_script_for_an_earlier_version_is_told_where_to_look(old, now):
    with pytest.raises(ModuleNotFoundError, match=rf"is gone: .*{now}.*CHANGELOG.md"):
        importlib.import_module(old)
