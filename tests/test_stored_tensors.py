"""Files that bring weights and are not what they say: one line that names the file."""

from __future__ import annotations

import os
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.plugin.runner import run
from recbole_lpi.plugin.saved_model import load_data_and_model
from recbole_lpi.policy.checkpoint import load_policy
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import load_optimizer, load_weights
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.settings import LEARNERS, SPARSE, TrainingSettings
from tests.support.logs import SMALL, broken_off_after, write_log

pytestmark = pytest.mark.recbole

WEIGHT = "item_embedding.weight"
GIVEN = {**SMALL, "epochs": 4, "learning_rate": 0.01, "logging_policy": "none"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished logging policy, and a run that broke off after two epochs, the first the best."""
    folder = tmp_path_factory.mktemp("made")
    before = os.getcwd()
    os.chdir(folder)
    write_log(folder / "dataset")
    run("LoggingPolicy", "shop", (), {**GIVEN, "epochs": 1, "run_dir": "mu"})
    calls = iter(range(1, 100))  # validation gets worse and worse
    patch = pytest.MonkeyPatch()
    with patch.context() as patched:
        patched.setattr(
            "recbole_lpi.training.measuring.evaluate",
            lambda *_: {"nll": Estimate(next(calls), 0.1, 9)},
        )
        with broken_off_after(1, patch):
            run("LoggingPolicy", "shop", (), {**GIVEN, "run_dir": "broken"})
    os.chdir(before)
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    shutil.copytree(made, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")


def changed(path: str, change) -> None:
    state = torch.load(path, weights_only=True)
    found = change(state)
    torch.save(found if isinstance(found, list) else state, path)


def set_weight(value):
    def change(state):
        weight = state["state_dict"][WEIGHT]
        state["state_dict"][WEIGHT] = value(weight) if callable(value) else value

    return change


def entry(name, value):
    return lambda state: state.__setitem__(name, value)


def without(name):
    return lambda state: state.pop(name)


def put(value):
    def change(weight):
        weight[-1, -1] = value
        return weight

    return change


def of_network(**values):
    return lambda state: state["policy"]["settings"]["network"].update(values)


def schema_1(**values):
    """A checkpoint as version 0.1 began to write them, with other settings of its run."""

    def change(state):
        del state["items"], state["policy"]
        state["schema"] = 1
        state["config"].update(values)

    return change


WEIGHTS = {
    "not a number": (set_weight(put(float("nan"))), "not finite"),
    "infinite": (set_weight(put(float("inf"))), "not finite"),
    "of other width": (set_weight(lambda w: w[:, :-1]), "is of shape"),
    "of one number shown a trillion times": (
        set_weight(lambda w: torch.zeros(1).expand(10**12)), "is of shape",
    ),
    "sparse": (set_weight(lambda w: w.to_sparse()), "no dense tensor"),
    "of whole numbers": (set_weight(lambda w: w.long()), "int64"),
    "text": (set_weight("weights"), "no dense tensor"),
    "a list": (set_weight([0.0]), "no dense tensor"),
    "on no device": (set_weight(lambda w: w.to("meta")), "no dense tensor"),
    "missing": (lambda s: s["state_dict"].pop(WEIGHT), "lacks the weights"),
    "too many": (lambda s: s["state_dict"].update(more=torch.zeros(1)), "the model has not"),
    "numbered": (lambda s: s["state_dict"].update({5: torch.zeros(1)}), "the model has not"),
    "a list of weights": (entry("state_dict", [torch.zeros(1)]), "'state_dict' is of type list"),
}  # fmt: skip


CHECKPOINTS = {
    **WEIGHTS,
    **{f"without {name}": (without(name), f"no '{name}'") for name in (
        "model", "config", "catalogue", "data", "n_items", "epoch", "valid_score", "state_dict",
    )},
    "config of text": (entry("config", "model: LPIRL"), "'config' is of type str"),
    "settings of other layers": (of_network(n_layers=7), "lacks the weights"),
    "settings of no layers": (of_network(n_layers="many"), "n_layers"),
    "settings that nobody reads": (of_network(n_layrs=1), "did you mean"),
    "settings that take all memory": (of_network(hidden_size=2**40, n_heads=1), ""),
    "settings of a list": (lambda s: s["policy"].update(settings=[1]), "'settings' is of type"),
    "largest reward of text": (lambda s: s["policy"].update(max_reward="1"), "'max_reward' is of"),
    "of schema 1, of other layers": (schema_1(n_layers=7), "lacks the weights"),
    "of schema 1, of no layers": (schema_1(n_layers="many"), "n_layers"),
    "of schema 1, that takes all memory": (schema_1(hidden_size=2**40, n_heads=1), ""),
    "of schema 1, of an encoder that was RecBole's": (
        schema_1(encoder="gru4rec"), "whose encoder gru4rec was another: train it again",
    ),
    "of schema 3": (entry("schema", 3), "update recbole_lpi"),
    "without names of items": (without("items"), "no 'items'"),
    "names of items of text": (entry("items", "i1"), "'items' is of type str"),
    "names without places": (lambda s: s["items"].pop("offsets"), "no 'offsets'"),
    "fewer names": (lambda s: s["items"].update(offsets=s["items"]["offsets"][:-1]), "of shape"),
    "names that overlap": (
        lambda s: s["items"]["offsets"].__setitem__(3, 0), "do not lie one after another",
    ),
    "names beyond the text": (
        lambda s: s["items"]["offsets"].__setitem__(-1, 10**9), "do not lie one after another",
    ),
    "other names": (lambda s: s["items"]["text"].__setitem__(-1, 65), "not those it was trained"),
    "names of no text": (lambda s: s["items"]["text"].fill_(255), "not what recbole_lpi writes"),
    "n_items of text": (entry("n_items", "25"), "'n_items' is of type str"),
    "catalogue of numbers": (entry("catalogue", 7), "'catalogue' is of type int"),
    "format of a tensor": (entry("format", torch.zeros(3)), "is not a recbole_lpi checkpoint"),
    "a list": (lambda s: [s], "does not load as plain tensors"),
}  # fmt: skip


@pytest.mark.parametrize("form", CHECKPOINTS)
def test_a_logging_policy_that_is_none(here, form):
    change, said = CHECKPOINTS[form]
    changed("mu/model.pth", change)
    with pytest.raises(SettingError, match=r"mu") as error:
        run("LPIRL", "shop", (), {**GIVEN, "run_dir": "new", "logging_policy": "mu"})
    assert said in str(error.value) and "\n" not in str(error.value)
    assert not Path("new").exists()


def test_a_checkpoint_of_schema_1_serves_as_before(here):
    items_alone = {"inputs": ["item"], "repeat_head": False, "fit_temperature": False}
    given = {**GIVEN, **items_alone, "epochs": 1}
    run("LoggingPolicy", "shop", (), {**given, "run_dir": "mu", "overwrite": True})
    given |= {"logging_policy": "mu"}
    now = run("LPIRL", "shop", (), {**given, "run_dir": "now"})
    changed("mu/model.pth", schema_1())
    assert run("LPIRL", "shop", (), {**given, "run_dir": "then"}).results == now.results
    assert load_policy("mu").items is None


@pytest.mark.parametrize("form", WEIGHTS)
def test_weights_that_recboles_loader_would_take(here, form):
    change, said = WEIGHTS[form]
    changed("mu/model.pth", change)
    with pytest.raises(SettingError, match=said):
        load_data_and_model("mu/model.pth")


def moments(change):
    return lambda state: change(state["optimizer"]["state"][0])


RESUMED = {
    **WEIGHTS,
    **{f"without {name}": (without(name), f"no '{name}'") for name in (
        "next_epoch", "waited", "stopped", "best_epoch", "best_valid_score", "best_valid_result",
        "optimizer", "scaler", "rng",
    )},
    "without its data": (without("data"), "no 'data'"),
    "after a milliard epochs": (entry("next_epoch", 10**9), "1000000000 epochs are done"),
    "after none": (entry("next_epoch", 0), "0 epochs are done"),
    "after half an epoch": (entry("next_epoch", 1.5), "'next_epoch' is of type float"),
    "best before the first": (entry("best_epoch", -5), "the best is epoch -5"),
    "best after the last": (entry("best_epoch", 2), "the best is epoch 2"),
    "best of another epoch than the model": (
        lambda s: s.update(next_epoch=3, best_epoch=1), "not of one run: epoch is 0",
    ),
    "best of another score than the model": (
        entry("best_valid_score", 0.99), "not of one run: valid_score",
    ),
    "waited longer than it ran": (entry("waited", 99), "99 validations went"),
    "stopped by a number": (entry("stopped", 1), "'stopped' is of type int"),
    "score not a number": (entry("best_valid_score", float("nan")), "no numbers"),
    "results of text": (entry("best_valid_result", {"ndcg@3": "much"}), "no numbers"),
    "random state too short": (entry("rng", torch.zeros(3, dtype=torch.uint8)), "RNG"),
    "random state of fractions": (entry("rng", torch.zeros(5056)), ""),
    "optimiser of nothing": (entry("optimizer", {}), "param_groups"),
    "optimiser without moments": (
        lambda s: s["optimizer"].update(state={}), "no step, exp_avg, exp_avg_sq",
    ),
    "optimiser without a moment": (moments(lambda s: s.pop("exp_avg")), "not step, exp_avg"),
    "optimiser without the moments of a parameter": (moments(dict.clear), "has nothing of"),
    "optimiser of other moments": (
        moments(lambda s: s.update(exp_avg=torch.zeros(2))), "'exp_avg' is of shape [2]",
    ),
    "optimiser that diverged": (
        moments(lambda s: s["exp_avg_sq"].fill_(float("nan"))), "not finite",
    ),
    "optimiser of another rate": (
        lambda s: s["optimizer"]["param_groups"][0].update(lr=1e30), "lr 1e+30",
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", RESUMED)
def test_a_resume_file_that_cannot_be(here, form):
    change, said = RESUMED[form]
    changed("broken/resume.pth", change)
    with pytest.raises(SettingError, match=r"broken/resume\.pth") as error:
        run(config_dict={"resume": "broken"})
    assert said in str(error.value) and "\n" not in str(error.value)
    assert RunFolder("broken").begun and RunFolder("broken").resume.is_file()


@pytest.mark.parametrize("form", WEIGHTS)
def test_a_best_epoch_of_a_resumed_run_that_cannot_be(here, form):
    """Refused before the epochs that are left are trained."""
    change, said = WEIGHTS[form]
    changed("broken/model.pth", change)
    with pytest.raises(SettingError, match=r"broken/model\.pth") as error:
        run(config_dict={"resume": "broken"})
    assert said in str(error.value)
    assert not RunFolder("broken").finished


def test_the_run_goes_on_where_the_file_is_right(here):
    assert torch.load("broken/resume.pth", weights_only=True)["best_epoch"] == 0
    run(config_dict={"resume": "broken"})
    assert RunFolder("broken").finished


def test_a_mask_in_an_encoder_may_be_infinite():
    layer: Any = torch.nn.Linear(2, 2)
    layer.register_buffer("mask", torch.tensor([0.0, float("-inf")]))
    load_weights(layer, layer.state_dict(), "here")
    layer.mask[0] = float("nan")
    with pytest.raises(SettingError, match="'mask' holds numbers that are not finite"):
        load_weights(layer, layer.state_dict(), "here")


@pytest.mark.parametrize("learner", [*LEARNERS, SPARSE])
def test_an_optimiser_has_kept_what_it_keeps(learner):
    """SGD keeps nothing; where a scaler may have skipped every step, nobody does."""
    table, rest = torch.nn.Parameter(torch.zeros(3, 2)), torch.nn.Parameter(torch.zeros(2))
    sparse = learner == SPARSE

    def made():
        return TrainingSettings(learner=learner).optimiser([table, rest], [table] if sparse else [])

    done, gradient = made(), torch.ones(3, 2)
    table.grad, rest.grad = gradient.to_sparse() if sparse else gradient, torch.ones(2)
    done.step()
    load_optimizer(made(), done.state_dict(), "here")
    for part in getattr(done, "parts", (done,)):
        part.state.clear()
    load_optimizer(made(), done.state_dict(), "here", stepped=False)
    with nullcontext() if learner == "sgd" else pytest.raises(SettingError, match="has no step"):
        load_optimizer(made(), done.state_dict(), "here")
