"""The learning core without RecBole: what it imports, and a policy from a log to a ranking."""

from __future__ import annotations

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_lpi.data import Part, Reading, SessionData, Tokens, flat_sessions, split_sessions
from recbole_lpi.data.batches import History
from recbole_lpi.evaluation import EvaluationPass, rank_policy
from recbole_lpi.objectives import ObjectiveSettings
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings, load_policy
from recbole_lpi.settings import SettingError
from recbole_lpi.training import RunFolder, TrainingSettings, train_policy

ITEMS = [f"i{number}" for number in range(12)]
SETTINGS = PolicySettings(NetworkSettings(hidden_size=8, inner_size=16), max_length=6)
HOW = TrainingSettings(epochs=8, train_batch_size=32, learning_rate=0.01, topk=(3, 10), seed=1,
                       metrics=("hit", "ndcg", "js_divergence"))  # fmt: skip


def test_it_imports_neither_recbole_nor_pandas_and_no_torch_before_it_is_used():
    code = (
        "import sys, recbole_lpi.policy, recbole_lpi.training, recbole_lpi.evaluation\n"
        "import recbole_lpi.data, recbole_lpi.objectives, recbole_lpi.simulation\n"
        "rooms = [recbole_lpi.policy, recbole_lpi.training, recbole_lpi.evaluation]\n"
        "for room in [*rooms, recbole_lpi.data, recbole_lpi.simulation]:\n"
        "    assert all(getattr(room, name) is not None for name in room.__all__)\n"
        "assert not {'recbole', 'pandas'} & sys.modules.keys(), sys.modules.keys()\n"
    )
    early = "import sys, recbole_lpi.policy, recbole_lpi.training, recbole_lpi.evaluation\n"
    early += "import recbole_lpi.simulation\n"
    early += "assert not {'torch', 'recbole', 'pandas'} & sys.modules.keys()\n"
    for text in (code, early):
        done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_a_name_that_a_room_does_not_offer_is_no_attribute():
    import recbole_lpi.policy

    with pytest.raises(AttributeError, match=r"'recbole_lpi.policy' has no attribute 'Policy'"):
        recbole_lpi.policy.Policy  # noqa: B018


def parts(sessions: int = 90) -> list[SessionData]:
    """Training, validation and test part of sessions that walk up the items, and buy the last."""
    rng = np.random.default_rng(0)
    length = rng.integers(3, 8, sessions)
    session = np.repeat(np.arange(sessions), length)
    place = np.concatenate([np.arange(n) for n in length])
    first = np.repeat(rng.integers(0, len(ITEMS), sessions), length)
    last = place == np.repeat(length, length) - 1
    store = flat_sessions(
        session, (first + place) % len(ITEMS) + 1, place, np.where(last, 1.0, 0.2),
        last.astype(np.int64), ("click", "purchase"),
    )  # fmt: skip
    tokens, reading = Tokens(["[PAD]", *ITEMS]), Reading(max_length=6)
    cut: tuple[Part, ...] = split_sessions(store, "random", (0.7, 0.15, 0.15), 1)
    return [
        SessionData(store, part, len(ITEMS) + 1, reading, name, "walk", tokens)
        for part, name in zip(cut, ("training", "validation", "test"), strict=True)
    ]


def network(name: str, train: SessionData) -> PolicyNetwork:
    torch.manual_seed(0)
    kinds = train.sessions.event_names
    return PolicyNetwork(name, SETTINGS, train.item_num - 1, train.max_reward, event_names=kinds)


def test_a_policy_is_trained_kept_loaded_and_ranks(tmp_path):
    train, valid, test = parts()
    mu = network("LoggingPolicy", train)
    train_policy(mu, train, valid, HOW)
    policy, folder = network("LPIRL", train), RunFolder(tmp_path / "run")
    training = train_policy(policy, train, valid, HOW, logging_policy=mu, folder=folder)
    found = training.evaluate(test)
    assert found["ndcg@3"].mean > 0.4 and 0 < found["js_divergence"].mean < 0.69
    assert folder.finished and folder.read_metrics()["test"]["ndcg@3"]["mean"] == pytest.approx(
        found["ndcg@3"].mean
    )
    assert (
        training.verdicts.quality is not None and training.verdicts.quality.beats_floor
    )  # of the first policy

    loaded = load_policy(tmp_path / "run")
    assert loaded.items is not None and loaded.items.tolist() == ["[PAD]", *ITEMS]
    for name, value in policy.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], value), name
    device = torch.device("cpu")
    ours, theirs = (
        rank_policy(one.eval(), test, EvaluationPass(64, device))
        for one in (policy, loaded.network)
    )
    np.testing.assert_array_equal(ours.log_pi, theirs.log_pi)

    ids = {token: number for number, token in enumerate(loaded.items.tolist())}
    items = torch.tensor([[ids["i3"], ids["i4"], ids["i5"]]])
    history = History(items, kinds=torch.ones(1, 3).long(), gaps=torch.tensor([[0, 2, 2]]))
    best = int(loaded.network.last_factors(history, torch.tensor([3])).outputs().argmax()) + 1
    assert loaded.items[best] == "i6"


def test_without_a_folder_nothing_is_kept_and_the_last_epoch_is_the_best(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train, _, _ = parts()
    trained = train_policy(network("LPI", train), train, settings=HOW)
    assert trained.verdicts.quality is None  # without a validation part
    assert trained.loop is not None and trained.loop.selector.best_epoch == HOW.epochs - 1
    assert not list(Path().iterdir())


def test_a_folder_that_holds_a_run_is_not_written_over(tmp_path):
    train, _, _ = parts()
    folder = RunFolder(tmp_path / "run")
    train_policy(network("LPI", train), train, settings=HOW, folder=folder).finish()
    with pytest.raises(SettingError, match=r"holds a finished run"):
        train_policy(network("LPI", train), train, settings=HOW, folder=folder)


def test_a_folder_whose_run_failed_is_held_no_longer(tmp_path):
    train, _, _ = parts()
    folder, wild = RunFolder(tmp_path / "run"), replace(HOW, learning_rate=1e30)
    with pytest.raises(FloatingPointError):
        train_policy(network("LPI", train), train, settings=wild, folder=folder)

    def held_by_another() -> None:
        with folder.exclusive():
            assert folder.begun and not folder.finished

    with ThreadPoolExecutor(1) as other:
        other.submit(held_by_another).result()


def test_a_policy_that_needs_a_logging_policy_says_so():
    train, _, _ = parts()
    settings = replace(SETTINGS, objective=ObjectiveSettings(propensity="checkpoint"))
    kinds = train.sessions.event_names
    policy = PolicyNetwork("IPS", settings, train.item_num - 1, event_names=kinds)
    with pytest.raises(SettingError, match="needs a logging policy"):
        train_policy(policy, train, settings=HOW)


def test_the_script_of_the_docs_does_what_it_says(tmp_path, monkeypatch, capsys):
    page = (Path(__file__).parents[1] / "docs" / "without-recbole.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), "docs/without-recbole.md", "exec"), {})
    measured, recommended = capsys.readouterr().out.strip().splitlines()[-2:]
    assert measured.count("Estimate(mean=") == 2 and "'product 5'" in recommended
    assert (tmp_path / "runs" / "shop" / "model.pth").is_file()
