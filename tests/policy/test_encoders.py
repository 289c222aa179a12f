"""Every encoder gives a state at each position that no later item changes; others are refused."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import ClassVar

import pytest
import torch
import yaml
from torch import nn

from recbole_lpi import settings
from recbole_lpi.data.batches import Batch
from recbole_lpi.policy.backbones import BACKBONES, NextItNetArguments
from recbole_lpi.policy.encoders import allow, code_hash, make_encoder, unread_settings
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.no_encoders import NO_ENCODER
from recbole_lpi.policy.settings import NetworkSettings, PolicySettings
from recbole_lpi.settings import SettingError
from tests.support.encoders import EncoderSuite

D, LENGTH = 8, 7
OWN = '''
import torch
from torch import nn

class Mean(nn.Module):
    """The mean of the items so far, turned."""

    def __init__(self, *, hidden_size, max_length, turns=1):
        super().__init__()
        self.turn = nn.ModuleList(nn.Linear(hidden_size, hidden_size) for _ in range(turns))

    def forward(self, items):
        count = torch.arange(1, items.shape[1] + 1, device=items.device)[:, None]
        state = items.cumsum(1) / count
        for turn in self.turn:
            state = turn(state)
        return state

class Pooled(Mean):
    def forward(self, items):
        return super().forward(items) + items.mean(1, keepdim=True)

class Ahead(Mean):
    def forward(self, items):
        return super().forward(items) + 1e-3 * items.roll(-1, 1)

class Counting(Mean):  # the length of a session tells of later items, too
    def forward(self, items):
        return super().forward(items) / (items != 0).any(-1).sum(1)[:, None, None].clamp(min=1)

class LeftPadded(Mean):
    def forward(self, items):
        opens = (items[:, :1] == 0).all(-1, keepdim=True)
        return super().forward(items) + opens * items.mean(1, keepdim=True)

class RightPadded(Mean):
    def forward(self, items):
        return super().forward(items) + (items[:, -1:] == 0).all(-1, keepdim=True)

class Dropped(Mean):
    def forward(self, items):
        return nn.functional.dropout(super().forward(items), 0.5, self.training)

class BatchLast(Mean):
    def __init__(self, *, hidden_size, max_length):
        super().__init__(hidden_size=hidden_size, max_length=max_length)
        self.gru = nn.GRU(hidden_size, hidden_size)

    def forward(self, items):
        return self.gru(items)[0]

class Last(Mean):
    def forward(self, items):
        return super().forward(items)[:, -1]

class Tuple(Mean):
    def forward(self, items):
        return super().forward(items), None

class FullLength(Mean):
    def forward(self, items):
        return super().forward(items) * torch.ones(7)[:, None]

class Masked(Mean):
    def forward(self, items):
        here = (items != 0).any(-1, keepdim=True)
        return (items * here).cumsum(1) / here.cumsum(1)

class Broken(Mean):
    def __init__(self, **given):
        raise KeyError("no\\nluck")

def function(**given):
    return Mean(**given)
'''


@pytest.fixture(autouse=True)
def own(tmp_path, monkeypatch):
    """A module of the user's, ``shop_encoders``, that can be imported."""
    path = tmp_path / "shop_encoders.py"
    path.write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield path
    sys.modules.pop("shop_encoders", None)


def make(encoder="sasrec", arguments=None, max_length=LENGTH, **network):
    torch.manual_seed(0)
    allow(encoder)
    given = {"hidden_size": D, "inner_size": 16, "n_layers": 2, "initializer_range": 0.5, **network}
    return make_encoder(
        NetworkSettings(encoder=encoder, encoder_args=arguments or {}, **given), max_length
    )


class OfSettings(EncoderSuite):
    """The encoder that ``name`` and ``arguments`` stand for."""

    size, length = D, LENGTH
    name: str
    arguments: ClassVar[dict[str, object]] = {}

    def make(self):
        return make(self.name, self.arguments, hidden_dropout_prob=0.0)


class TestSASRec(OfSettings):
    name = "sasrec"


class TestGRU4Rec(OfSettings):
    name = "gru4rec"


class TestGRU4RecOfAnotherWidth(OfSettings):
    name, arguments = "gru4rec", {"hidden_size": 5}


class TestNextItNet(OfSettings):
    name, arguments = "nextitnet", {"block_num": 1}


class TestOnesOwn(OfSettings):
    name, arguments = "shop_encoders:Mean", {"turns": 2}


class TestOnesOwnByItsDottedPath(OfSettings):
    name = "shop_encoders.Mean"


class TestIdentity(OfSettings):
    name = "torch.nn:Identity"
    looks_back = False


ENCODERS = [(suite.name, suite.arguments) for suite in OfSettings.__subclasses__()]


class OneTable:
    """A data set as far as RecBole's models ask."""

    def num(self, field):
        return 9


def recboles(name, **given):
    """RecBole's model of that name, over nine ids and embeddings of D."""
    from recbole.utils import get_model

    config = {
        "USER_ID_FIELD": "", "ITEM_ID_FIELD": "", "ITEM_LIST_LENGTH_FIELD": "", "NEG_PREFIX": "",
        "LIST_SUFFIX": "", "MAX_ITEM_LIST_LENGTH": LENGTH, "device": "cpu", "loss_type": "CE",
        "reg_weight": 0.0, "embedding_size": D, **given,
    }  # fmt: skip
    return get_model(name)(config, OneTable()).eval()


def copy_in_order(theirs, ours):
    """Give ``ours`` the parameters of ``theirs``, which come in the same order."""
    own, other = list(ours.parameters()), list(theirs)
    with torch.no_grad():
        for mine, its in zip(own, other, strict=True):
            mine.copy_(its.reshape(mine.shape))


@pytest.mark.recbole
def test_gru4rec_is_recboles_own_prefix_by_prefix():
    """Its states are what RecBole's GRU4Rec, with an item table, says of every prefix."""
    net = make("gru4rec", {"hidden_size": 5}, n_layers=1).eval()
    theirs = recboles("GRU4Rec", hidden_size=5, num_layers=1, dropout_prob=0.3)
    copy_in_order([*theirs.gru_layers.parameters(), *theirs.dense.parameters()], net)
    item_seq = torch.tensor([[3, 1, 8, 2, 0], [5, 5, 4, 0, 0]])
    states = net(theirs.item_embedding(item_seq))
    for row, length in enumerate((4, 3)):
        for n in range(1, length + 1):
            prefix = torch.cat([item_seq[row, :n], torch.zeros(5 - n, dtype=torch.long)])[None]
            torch.testing.assert_close(
                theirs(prefix, torch.tensor([n]))[0], states[row, n - 1], rtol=1e-5, atol=1e-6
            )


@pytest.mark.recbole
def test_nextitnet_is_recboles_own_prefix_by_prefix():
    net = make("nextitnet", {"block_num": 2, "dilations": [1, 2]}).eval()
    theirs = recboles("NextItNet", block_num=2, dilations=[1, 2], kernel_size=3)
    for block, other in zip(net.blocks, theirs.residual_blocks, strict=True):
        parts = [*other.conv1.parameters(), *other.conv2.parameters()]
        copy_in_order([*parts, *other.ln1.parameters(), *other.ln2.parameters()], block)
    copy_in_order(theirs.final_layer.parameters(), net.output)
    item_seq = torch.tensor([[3, 1, 8, 2, 6]])
    states = net(theirs.item_embedding(item_seq))
    for n in range(1, 6):
        torch.testing.assert_close(theirs(item_seq[:, :n])[0], states[0, n - 1])


def test_settings_reach_the_backbones():
    gru = make("gru4rec", n_layers=3, hidden_dropout_prob=0.4)
    assert (gru.gru.num_layers, gru.gru.hidden_size, gru.dropout.p) == (3, D, 0.4)
    assert make("gru4rec", {"hidden_size": 5}).gru.hidden_size == 5
    net = make("nextitnet", {"block_num": 2, "dilations": [1, 2, 3], "kernel_size": 2})
    first = [block.convolutions[0] for block in net.blocks]
    assert [one.dilation[0] for one in first] == [1, 2, 3, 1, 2, 3]
    assert [one.dilation[0] for one in (block.convolutions[1] for block in net.blocks)] == [
        2, 4, 6, 2, 4, 6,
    ]  # fmt: skip
    assert first[0].kernel_size == (2,)


@pytest.mark.recbole
def test_defaults_are_recboles():
    import recbole

    file = Path(recbole.__file__).parent / "properties" / "model" / "NextItNet.yaml"
    theirs = yaml.safe_load(file.read_text())
    ours = {
        key: list(v) if isinstance(v, tuple) else v for key, v in vars(NextItNetArguments()).items()
    }
    assert ours == {key: theirs[key] for key in ours}


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("shop_encoders:Pooled", {}, "position 2 of 4 changes the state at position 1; hide later"),
        ("shop_encoders:Ahead", {}, "position 2 of 4 changes the state at position 1"),
        ("shop_encoders:Counting", {}, "not causal: another item at position"),
        ("shop_encoders:LeftPadded", {}, "position 2 of 4 changes the state at position 1"),
        ("shop_encoders:RightPadded", {}, "position 4 of 4 changes the state at position 1"),
        ("shop_encoders:BatchLast", {}, "other sessions of its batch; .* the batch first"),
        ("shop_encoders:Last", {}, r"\[3, 1, 8\] must give a state at every .*; got \[3, 8\]"),
        ("shop_encoders:Tuple", {}, "a state at every position, of that shape; got tuple"),
        ("shop_encoders:FullLength", {}, r"embeddings \[3, 1, 8\] must give .* got \[3, 7, 8\]"),
        ("shop_encoders:Masked", {}, "the state at position 1 of 4 is not finite"),
        ("shop_encoders:Mean", {"turn": 2}, r"encoder_args {'turn': 2} fails: .*'turn'"),
        ("shop_encoders:Mean", {"turns": "x"}, "turns='x'.*TypeError"),
        ("shop_encoders:Mean", {"hidden_size": 4}, "encoder_args cannot set hidden_size"),
        ("shop_encoders:Broken", {}, "shop_encoders:Broken with encoder_args {} fails"),
        ("shop_encoders:function", {}, "has no nn.Module class 'function'"),
        ("shop_encoders:Nothing", {}, "has no nn.Module class 'Nothing'"),
        ("shop_encoderz:Mean", {}, "encoder shop_encoderz:Mean: module 'shop_encoderz' cannot be"),
        ("shop_encoders:", {}, "has no nn.Module class ''"),
        (":Mean", {}, "encoder :Mean: module '' cannot be imported"),
        ("..Mean", {}, "encoder ..Mean: module '.' cannot be imported"),
        ("subprocess:Popen", {"args": "false"}, "module 'subprocess' has no nn.Module class"),
        ("sasrecc", {}, "encoder must be one of sasrec, gru4rec, nextitnet, or the import path"),
        ("sasrec", {"n_layers": 2}, "encoder_args is of the other encoders: .*such as n_layers"),
        ("gru4rec", {"num_layers": 2}, "of gru4rec can be hidden_size, not 'num_layers'"),
        ("gru4rec", {"hidden_size": 0}, "encoder_args of gru4rec: hidden_size must be > 0"),
        ("nextitnet", {"block_num": "x"}, "encoder_args of nextitnet: block_num must be a whole"),
        ("nextitnet", {"dilations": []}, "encoder_args of nextitnet: block_num, dilations and"),
        ("nextitnet", {"kernel_size": 0}, "kernel_size must be > 0"),
        ("recbole.model.sequential_recommender.bert4rec:BERT4Rec", {}, "its attention goes both"),
        ("BERT4Rec", {}, "encoder cannot be BERT4Rec: its attention goes both ways"),
    ],
)
def test_what_cannot_be_an_encoder_is_refused_in_one_line(name, arguments, said):
    with pytest.raises(SettingError, match=said) as caught:
        make(name, arguments)
    assert "\n" not in str(caught.value) and "encoder" in str(caught.value)


@pytest.mark.parametrize("name", sorted(NO_ENCODER))
def test_a_model_of_recbole_is_refused_with_the_reason(name):
    with pytest.raises(SettingError, match=f"encoder cannot be {name}: ") as caught:
        make(name)
    assert str(caught.value).endswith(NO_ENCODER[name]) and len(NO_ENCODER[name]) > 30


@pytest.mark.recbole
def test_every_sequential_model_of_recbole_is_an_encoder_or_refused():
    from recbole.model import sequential_recommender

    modules = {file.stem for file in Path(sequential_recommender.__file__).parent.glob("*.py")}
    assert modules - {"__init__"} == {"sasrec", *BACKBONES, *NO_ENCODER}


def test_the_trial_is_without_dropout_and_leaves_no_trace():
    net = make("shop_encoders:Dropped")
    after = torch.rand(1)
    assert net.training
    torch.manual_seed(0)
    sys.modules["shop_encoders"].Dropped(hidden_size=D, max_length=LENGTH)
    assert torch.equal(torch.rand(1), after)


def test_inputs_of_one_event_have_an_encoder_too():
    assert make("shop_encoders:Pooled", max_length=1)(torch.randn(2, 1, D)).shape == (2, 1, D)


@pytest.mark.parametrize(("name", "arguments"), ENCODERS)
def test_settings_that_an_encoder_does_not_read_change_nothing(name, arguments):
    changed = {"n_heads": 2, "inner_size": 5, "attn_dropout_prob": 0.9, "hidden_act": "relu",
               "initializer": "xavier_normal",
               "layer_norm_eps": 0.1, "n_layers": 3, "hidden_dropout_prob": 0.9}  # fmt: skip
    items = torch.randn(2, LENGTH, D)

    def output(**settings):
        net = make(name, arguments, **settings)
        torch.manual_seed(1)
        return net(items)

    for setting, value in changed.items():
        same = torch.equal(output(), output(**{setting: value}))
        assert same == (setting in unread_settings(name)), setting


def test_edited_code_is_another_encoder(own):
    before = code_hash("shop_encoders:Mean")
    own.write_text(OWN.replace("1e-3", "1e-2"))
    assert code_hash("shop_encoders:Mean") != before
    assert code_hash("gru4rec") == "" != before


def test_encoder_args_are_plain_values():
    plain = {"a": [1, {"b": None}], "c": 0.5, "d": True, "e": "text"}
    assert read(plain) == plain
    assert read({"a": (1, 2)}) == {"a": [1, 2]}
    assert read(None) == {}
    for wrong in ({"a": nn.ReLU()}, {"a": [{1: 2}]}, {1: 2}, {"a": {"b": torch.ones(1)}}, [1], "a"):
        with pytest.raises(SettingError, match=r"encoder_args.* must be"):
            read(wrong)


def read(arguments):
    given = {"encoder": "gru4rec", "encoder_args": arguments}
    return settings.read(NetworkSettings, defaultdict(lambda: None, given)).encoder_args


@pytest.mark.parametrize(("name", "arguments"), ENCODERS[:-1])  # nothing in Identity learns
def test_the_gradient_of_a_policy_reaches_the_encoder_of_its_settings(name, arguments):
    given = PolicySettings(
        NetworkSettings(hidden_size=D, initializer_range=0.5, encoder=name, encoder_args=arguments),
        max_length=LENGTH,
    )
    torch.manual_seed(0)
    policy = PolicyNetwork("LPIRL", given, 8, event_names=("click",))
    rows, ones = torch.ones(2, 3), torch.tensor([[1, 1, 1], [1, 1, 0]])
    batch = Batch(
        item_seq=torch.tensor([[3, 1, 8], [2, 5, 0]]), kind_seq=ones, gap_seq=ones,
        action=torch.tensor([[1, 8, 4], [5, 6, 0]]),
        reward=rows, discount=torch.tensor([[0.5, 0.5, 0], [0.5, 0, 0]]), return_=rows, event=rows,
        counts=torch.tensor([[True, True, True], [True, True, False]]), place=rows,
        session=torch.arange(2), sample_weight=rows,
    )  # fmt: skip
    policy.losses(batch).parts["policy loss"].backward()
    for key, parameter in policy.encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, key
