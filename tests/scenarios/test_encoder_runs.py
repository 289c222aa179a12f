"""Runs with another encoder: trained, resumed, loaded again, and compared with their own kind."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
import torch

from recbole_lpi.plugin import logging_policy
from recbole_lpi.plugin.runner import make_config, run
from recbole_lpi.plugin.trainer import PolicyTrainer
from recbole_lpi.settings import SettingError
from recbole_lpi.training.loop import TrainingLoop
from recbole_lpi.training.run_folder import RunFolder
from tests.support.logs import SMALL

OWN = """
import torch
from torch import nn

class Mean(nn.Module):
    def __init__(self, *, hidden_size, max_length, turns=1):
        super().__init__()
        self.turn = nn.Linear(hidden_size, hidden_size)
        self.turns = turns

    def forward(self, items):
        state = items.cumsum(1) / torch.arange(1, items.shape[1] + 1)[:, None]
        for _ in range(self.turns):
            state = self.turn(state)
        return state
"""
ENCODERS = [
    {"encoder": "gru4rec", "encoder_args": {"hidden_size": 5}},
    {"encoder": "nextitnet", "encoder_args": {"block_num": 1, "dilations": [1, 2]}},
    {"encoder": "mean_encoder:Mean", "encoder_args": {"turns": 2}},
]


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    path = tmp_path / "modules" / "mean_encoder.py"
    path.parent.mkdir()
    path.write_text(OWN)
    monkeypatch.syspath_prepend(path.parent)
    yield path
    sys.modules.pop("mean_encoder", None)


def train(run_dir, model="LPIRL", **given):
    return run(model, "shop", (), {**SMALL, "run_dir": run_dir, **given})


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda e: e["encoder"])
def test_a_run_breaks_off_goes_on_and_is_loaded_again(log, monkeypatch, encoder):
    class Killed(BaseException):
        pass

    def killed_in_epoch_1(loop, epoch, *rest):
        if epoch == 1:
            raise Killed
        return train_epoch(loop, epoch, *rest)

    whole = train("runs/whole", **encoder)
    assert "js_divergence" in whole.results["test"]
    train_epoch = TrainingLoop.train_epoch
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(TrainingLoop, "train_epoch", killed_in_epoch_1)
        train("runs/killed", **encoder)
    assert not RunFolder("runs/killed").finished
    resumed = run(config_dict={"resume": "runs/killed"})
    assert resumed.results == whole.results
    from recbole.quick_start import load_data_and_model

    config, model, _, _, _, test = load_data_and_model(str(whole.folder.model))
    assert {name: config[name] for name in encoder} == encoder
    saved = torch.load(whole.folder.model, weights_only=True)
    assert saved["config"]["encoder_args"] == encoder["encoder_args"]
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, saved["state_dict"][name]), name
    trainer = PolicyTrainer(config, model)
    again = trainer.evaluate(test, load_best_model=False)
    found = whole.results["test"]
    for name in ("ndcg@10", "purchase_hit@3"):
        assert again[name] == pytest.approx(found[name].mean, abs=1e-6)
    # Its logging policy, of the same encoder, serves another run by name.
    (mu,) = (path for path in Path("runs/logging_policy").iterdir() if path.is_dir())
    given = train("runs/given", logging_policy=str(mu), **encoder)
    assert given.results["test"]["js_divergence"] == found["js_divergence"]


def test_each_encoder_has_a_logging_policy_of_its_own(log, own):
    from recbole_lpi.plugin.dataset import PolicyDataset

    data, valid, _ = PolicyDataset(make_config("LPIRL", "shop", (), SMALL)).build()

    def identity(**encoder):
        config = make_config("LPIRL", "shop", (), SMALL | encoder)
        return logging_policy.identity(config, data, valid)

    two = {"encoder": "nextitnet", "encoder_args": {"block_num": 1, "kernel_size": 2}}
    swapped = {"encoder": "nextitnet", "encoder_args": {"kernel_size": 2, "block_num": 1}}
    assert identity(**two) == identity(**swapped)
    ids = [identity(**encoder) for encoder in [{}, two, *ENCODERS]]
    ids.append(identity(encoder="mean_encoder:Mean", encoder_args={"turns": 3}))
    own.write_text(OWN.replace("return state", "return state.tanh()"))
    ids.append(identity(**ENCODERS[2]))
    assert len(set(ids)) == len(ids) == 7


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"encoder": "bert4rec"}, "encoder cannot be bert4rec: its attention goes both ways"),
        ({"encoder": "nowhere:Net"}, "encoder nowhere:Net: module 'nowhere' cannot be imported"),
        ({"encoder": 3}, "encoder must be text, got 3"),
        ({"encoder_args": {"n_layers": 2}}, "encoder_args is of the other encoders"),
        ({"encoder": "gru4rec", "encoder_args": [5]}, "encoder_args must be a mapping"),
        ({"encoder": "mean_encoder:Mean", "encoder_args": {"turns": {1: 2}}}, "turns must be"),
        ({"encoder": "mean_encoder:Mean", "encoder_args": {"turn": 2}}, "encoder_args {'turn': 2}"),
    ],
)
def test_a_wrong_encoder_is_refused_before_any_work(log, wrong, said):
    log.unlink()  # not even the data are looked for
    before = torch.get_rng_state()
    with pytest.raises(SettingError, match=said):
        train("runs/a", **wrong)
    assert torch.equal(torch.get_rng_state(), before)
    assert not Path("runs").exists()


def test_the_trial_of_an_encoder_leaves_the_random_state(log):
    before = torch.get_rng_state()
    for encoder in [{}, *ENCODERS]:
        make_config("LPIRL", "shop", (), SMALL | encoder)
    assert torch.equal(torch.get_rng_state(), before)


def test_settings_that_the_encoder_does_not_read_are_named(log, caplog):
    given = {**SMALL, "encoder": "gru4rec", "n_heads": 2, "n_layers": 2}
    with caplog.at_level(logging.WARNING):
        make_config("LPIRL", "shop", (), given)
    assert "encoder gru4rec does not read inner_size, n_heads" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        make_config("LPIRL", "shop", (), {**given, "encoder": "sasrec"})
    assert "does not read" not in caplog.text
