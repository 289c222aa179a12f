"""A policy in ONNX gives the lists of its network, on batches and lengths of every kind."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from recbole_lpi.data.batches import History
from recbole_lpi.policy import encoders
from recbole_lpi.serving import load_policy
from recbole_lpi.serving.onnx_export import Differs, export_onnx
from recbole_lpi.serving.onnx_graph import Graph
from recbole_lpi.serving.onnx_policy import load_onnx
from recbole_lpi.settings import SettingError
from tests.support.served import ITEMS, KINDS, histories, kept, network

POLICIES = {
    "as it is, opening sessions": {"first": True},
    "items alone, two layers": {
        "inputs": ("item",), "repeat_head": False, "n_layers": 2, "n_heads": 2,
        "hidden_act": "relu",
    },
    "own rows, tempered, no kinds": {
        "tie_weights": False, "fit_temperature": True, "inputs": ("item", "time_gap"),
    },
    "gru4rec": {"encoder": "gru4rec", "n_layers": 2, "encoder_args": {"hidden_size": 5}},
    "nextitnet": {"encoder": "nextitnet", "first": True, "encoder_args": {"block_num": 1}},
}  # fmt: skip


@pytest.mark.parametrize("given", POLICIES.values(), ids=POLICIES)
def test_the_graph_gives_the_lists_of_the_network(given, tmp_path):
    run = kept(network(**given), tmp_path / "run")
    asked = histories() + ([[]] if given.get("first") else [])
    found = export_onnx(run, tmp_path / "policy.onnx", asked, k=7)
    assert found.sessions == len(asked) and found.same > 30 and found.largest < 1e-4
    mine, theirs = load_onnx(found.graph, threads=1), load_policy(run)
    for how in (
        {"k": 5}, {"k": 12}, {"k": 5, "exclude_seen": True}, {"candidates": ["item 3", "item 4"]},
        {"k": 4, "sample": True, "seed": 3},
    ):  # fmt: skip
        ours, wanted = mine.recommend(asked, **how), theirs.recommend(asked, **how)
        np.testing.assert_allclose(ours.scores, wanted.scores, atol=1e-4)
        assert (ours.ids == wanted.ids).mean() > 0.98
    items = [f"item {1 + number % ITEMS}" for number in range(len(asked))]
    wanted_log = theirs.log_prob(asked, items)
    np.testing.assert_allclose(mine.log_prob(asked, items), wanted_log, atol=1e-4)
    assert mine.divergence(theirs, asked).max() < 1e-6


def test_the_graph_by_definition_before_it_is_traced():
    """A window of many places, of which the graph reads the last."""
    made = network(first=True)
    draws = torch.Generator().manual_seed(0)
    items = torch.randint(1, 9, (50, 5), generator=draws)
    length = torch.randint(1, 6, (50,), generator=draws)
    real = torch.arange(5) < length[:, None]
    given = [torch.where(real, x, 0) for x in (items, items % 2 + 1, items % 7)]
    ids, best, log_pi = Graph(made, 3)(*given)
    wanted = made.last_factors(History(*given), length).outputs().log_softmax(-1)
    torch.testing.assert_close(log_pi, wanted)
    assert (log_pi.gather(1, ids - 1) == best).all() and (best[:, 0] == log_pi.amax(1)).all()


def test_what_cannot_be_exported_is_refused_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = "tests.support.served:StepByStep"
    monkeypatch.setattr(encoders, "named_by_user", {path})
    run = kept(network(encoder=path), tmp_path / "run")
    graph = tmp_path / "policy.onnx"
    graph.write_text("an earlier one")
    with pytest.raises(Differs, match="cannot be exported"):
        export_onnx(run, graph, histories())
    assert graph.read_text() == "an earlier one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policy.onnx", "run"]


def test_a_graph_that_gives_other_lists_is_not_written(tmp_path, monkeypatch):
    """As if the head that scores repeats had been lost on the way."""
    monkeypatch.setattr(Graph, "_seen", lambda graph, history, length: None)
    run = kept(network(), tmp_path / "run")
    with pytest.raises(Differs, match="gives other lists than the network: in that of history"):
        export_onnx(run, tmp_path / "policy.onnx", histories())
    assert not list(tmp_path.glob("policy*"))


def test_the_two_files_are_of_one_export(tmp_path):
    run, graph = kept(network(), tmp_path / "run"), tmp_path / "policy.onnx"
    export_onnx(run, graph, histories(4), k=3)
    about = json.loads((tmp_path / "policy.json").read_text())
    assert about["items"][:2] == ["[PAD]", "item 1"] and about["event_names"] == list(KINDS)
    code = (
        "import sys, recbole_lpi.serving as serving\n"
        f"found = serving.load_onnx({str(tmp_path)!r}).recommend([[('item 1', 'click', 1.6e9)]])\n"
        "assert found.items.shape == (1, 20), found.items\n"
        "assert not {'torch', 'recbole'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    about["schema"] = 9
    (tmp_path / "policy.json").write_text(json.dumps(about))
    with pytest.raises(SettingError, match="has schema 9"):
        load_onnx(graph)
    (tmp_path / "policy.json").write_text(json.dumps({**about, "schema": 1, "k": "many"}))
    with pytest.raises(SettingError, match="k must be"):
        load_onnx(graph)
    (tmp_path / "policy.json").write_text(json.dumps({**about, "schema": 1}))
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(SettingError, match="export again"):
        load_onnx(graph)
    with pytest.raises(SettingError, match="no file of ONNX"):
        load_onnx(tmp_path / "run")


def test_nothing_to_check_on_and_a_wrong_name_are_refused(tmp_path):
    run = kept(network(), tmp_path / "run")
    with pytest.raises(SettingError, match="none of the sessions to check on"):
        export_onnx(run, tmp_path / "policy.onnx", [[("gone", "click", 1.6e9)]])
    with pytest.raises(SettingError, match=r"must end in \.onnx"):
        export_onnx(run, tmp_path / "policy", histories())
