"""Which setting wins, and what is refused."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import pytest
import yaml

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin import configuration, runner
from recbole_lpi.plugin.configuration import hidden_argv, known_models
from recbole_lpi.plugin.given_settings import known_settings
from recbole_lpi.plugin.properties import properties_folder
from recbole_lpi.settings import SettingError
from recbole_lpi.training import devices
from recbole_lpi.yaml_values import parse, read_file


def config(model="LPIRL", files=None, **given):
    from recbole.config import Config

    with hidden_argv():
        return Config(model=model, dataset="shop", config_file_list=files, config_dict=given)


def test_the_stronger_setting_wins(log, tmp_path):
    defaults = yaml.safe_load((properties_folder() / "policy.yaml").read_text())
    assert config()["inner_size"] == defaults["inner_size"]
    assert config("LoggingPolicy")["logging_policy"] == "none" != defaults["logging_policy"]
    beside = log.with_suffix(".yaml")
    beside.write_text(beside.read_text() + "split_seed: 3\nloss_on_last: 7\nsplit: session_end\n")
    (tmp_path / "mine.yaml").write_text("loss_on_last: 6\nsplit: random\n")
    found = config(files=[str(tmp_path / "mine.yaml")], split="leave_one_out")
    names = ("split_seed", "loss_on_last", "split")
    assert [found[name] for name in names] == [3, 6, "leave_one_out"]


@pytest.mark.parametrize(
    "file", sorted((properties_folder() / "dataset").glob("*.yaml")), ids=lambda file: file.stem
)
def test_the_settings_of_every_data_set_are_known_and_sound(file):
    known = {*known_settings(), *read_file(properties_folder() / "policy.yaml")}
    assert set(read_file(file)) <= known
    for model in ("LPICB", "GRU4Rec", "Popularity"):
        configuration.make(model, file.stem, {})  # checks every setting


def test_netflix_is_the_papers_experiment():
    """Section 4.1: architecture, lengths, batches of 128, 30 epochs, 20,000 sequences each."""
    found = configuration.make("LPICB", "netflix", {})
    names = ("n_layers", "n_heads", "hidden_size", "MAX_ITEM_LIST_LENGTH", "loss_on_last")
    assert [found[name] for name in names] == [2, 8, 200, 200, 50]
    assert [found[name] for name in ("train_batch_size", "epochs")] == [128, 30]
    assert found["valid_metric"] == "average_reward@1"
    assert DataSettings.of(found).split_ratio == (None, 20_000, 20_000)


def test_every_policy_has_a_properties_file_and_a_section_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    for model in OBJECTIVES:
        assert (properties_folder() / f"{model}.yaml").is_file()
        assert f"\n## {model}\n" in page and f"| `{model}` |" in page


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gama": 0.3}, "unknown setting 'gama'; did you mean 'gamma'?"),
        ({"advantage_estimater": "max"}, "did you mean 'advantage_estimator'?"),
        ({"zzzzzz": 1}, "unknown setting 'zzzzzz'"),
        ({"gamma": 1.1}, r"gamma must be in \[0, 1\], got 1.1"),
        ({"gamma": -0.1}, r"gamma must be in \[0, 1\]"),
        ({"beta": 0}, "beta must be > 0"),
        ({"beta": -1}, "beta must be > 0"),
        ({"beta": float("nan")}, "beta must be a number"),
        ({"learning_rate": "fast"}, "learning_rate must be a number, got 'fast'"),
        ({"epochs": 2.5}, "epochs must be a whole number, got 2.5"),
        ({"learner": "adaam"}, "learner must be one of adam"),
        ({"training_windows": "some"}, "training_windows must be last, all or empty, got 'some'"),
        (
            {"training_windows": "all", "loss_on_last": 3},
            "loss_on_last must be empty with training_windows: all, got 3",
        ),
        ({"metrics": ["hit", "purchase_ndgc"]}, "did you mean 'purchase_ndcg'?"),
        ({"split": "sometimes"}, "split must be one of random, session_end, cutoff, leave_one_out"),
        ({"weight_normalize": 1}, "weight_normalize must be true or false, got 1"),
        ({"dataset_save_path": "x.pth"}, "dataset_save_path is not offered"),
        ({"hidden_dropout_prob": 1}, r"hidden_dropout_prob must be in \[0, 1\)"),
        ({"n_heads": 3}, "hidden_size must be a multiple of n_heads, got 64 and 3"),
        ({"hidden_act": "tanhh"}, "hidden_act must be one of gelu"),
        ({"initializer": "xavier"}, "initializer must be one of normal, xavier_normal"),
        ({"clip_grad_norm": {"norm": 5}}, "clip_grad_norm: unknown setting 'norm'; did you mean"),
        ({"clip_grad_norm": {"norm_type": 2}}, "clip_grad_norm: max_norm must be a number, got No"),
        ({"clip_grad_norm": {"max_norm": -1}}, "clip_grad_norm: max_norm must be > 0, got -1"),
        ({"clip_grad_norm": 5}, "clip_grad_norm must be a mapping such as {max_norm: 5}, got 5"),
        ({"valid_metric": "purchase_ndcg"}, "'purchase_ndcg' needs a cut-off, such as"),
        ({"valid_metric": "ndcg@0"}, "'ndcg@0' needs a cut-off"),
        ({"valid_metric": "average_reward"}, "'average_reward' needs a cut-off"),
        ({"valid_metric": "imputed_average_reward@1"}, "picked by what was logged"),
        ({"imputation": {"rank": 0}}, r"imputation: rank must be > 0, got \[0\]"),
        ({"valid_metric": "js_divergence"}, "valid_metric cannot be js_divergence"),
        ({"eval_args": {"mode": "uni100"}}, "ranked in mode full, got mode uni100"),
        ({"benchmark_filename": ["a", "b"]}, "benchmark_filename is not offered"),
        ({"log_wandb": True}, "log_wandb is not offered"),
        ({"advantage_baseline": "max"}, "set advantage_baseline: policy or value"),
        (
            {
                "advantage_estimator": "analytic",
                "advantage_baseline": "logging",
                "logging_policy": "none",
            },
            "advantage_baseline: logging needs a logging policy, and logging_policy is none",
        ),
        ({"warmup_epochs": 20}, "warmup_epochs 20 leaves no epoch of 20 to LPIRL's own weight"),
        ({"reward_sampling": {"alfa": 1}}, "reward_sampling: unknown setting 'alfa'; did you mean"),
        ({"reward_sampling": {"alpha:2": None}}, "write reward_sampling={alpha: 2}, with a space"),
        ({"reward_sampling": {"zz": 1}}, "unknown setting 'zz'; known: unit, alpha, epsilon"),
        ({"reward_sampling": {"alpha": "x"}}, "reward_sampling: alpha must be a number, got 'x'"),
        ({"reward_sampling": {"unit": "user"}}, "reward_sampling: unit must be one of session"),
        ({"reward_sampling": True}, "reward_sampling must be a mapping such as {unit: "),
        ({"overwrite": "maybe"}, "overwrite must be true or false, got 'maybe'"),
        ({"split_ratio": [0.5, 0.5]}, r"split_ratio must be a list of 3, got \[0.5, 0.5\]"),
        ({"item_inter_num_interval": "[3,inf"}, "item_inter_num_interval must be an interval such"),
        ({"user_inter_num_interval": 3}, r"such as '\[3,inf\)', or several .*, got 3"),
        ({"user_inter_num_interval": "[0,2);[x,5]"}, "user_inter_num_interval must be an interval"),
        ({"user_inter_num_interval": "[5,2]"}, "user_inter_num_interval must be an interval"),
        (
            {"val_interval": "[0.5,inf)"},
            r"val_interval must be a mapping such as {rating: '\[3,inf",
        ),
        ({"seed": -1}, r"seed must be in \[0, 2\^32\), got -1"),
        ({"seed": 2**32}, r"seed must be in \[0, 2\^32\), got 4294967296"),
        ({"seed": None}, "seed must be a whole number, got None"),
        ({"split_seed": -1}, "split_seed must be >= 0, got -1"),
        ({"weight_decay": -1}, "weight_decay must be >= 0, got -1"),
        ({"stopping_step": -1}, "stopping_step must be >= 0, got -1"),
        ({"data_path": 3}, "data_path must be text, got 3"),
        ({"run_dir": "a\0b"}, "run_dir holds a NUL character"),
        ({"encoder_args": {"a": ["\0"]}}, "encoder_args holds a NUL character"),
        (
            {"threshold": {"reward": 0.5}},
            "threshold is not offered: events have rewards, not label",
        ),
        ({"alias_of_item_id": ["x"]}, "alias_of_item_id is not offered: no model that runs here"),
        ({"preload_weight": {"x": "y"}}, "preload_weight is not offered"),
        ({"normalize_all": True}, "normalize_all is not offered: rewards and times keep their"),
        ({"unused_col": {"inter": ["x"]}}, "unused_col is not offered: leave columns out by load"),
        ({"rm_dup_inter": True}, "rm_dup_inter must be one of first, last, got True"),
        ({"field_separator": "||"}, r"field_separator must be one character of ASCII, got '\|\|'"),
        ({"gpu_id": {"a": 0}}, "gpu_id must be like 0 or 0,1, or empty for the CPU; got {'a': 0}"),
        ({"gpu_id": True}, "gpu_id must be like 0 or 0,1"),
        (
            {"discretization": {"price": {"method": "EDD"}}},
            "price: method must be one of ED, LD, g",
        ),
        ({"seq_len": {"tags": "x"}}, "seq_len: tags must be a whole number, got 'x'"),
        (
            {"train_neg_sample_args": {"sample_nmu": 2}},
            "unknown setting 'sample_nmu'; did you mean",
        ),
        ({"additional_feat_suffix": "../x"}, "additional_feat_suffix must be like 'useremb', got "),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(log, wrong, said):
    with pytest.raises(SettingError, match=said) as caught:
        config(**wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            "TO_LS,full",
            r"must be a mapping such as {split: {RS: \[0.8, 0.1, 0.1\]}, order: TO}, got",
        ),
        ({"order": "to"}, "order must be one of RO, TO, got 'to'"),
        ({"order": "time"}, "order must be one of RO, TO, got 'time'"),
        ({"split": {"ls": "valid_and_test"}}, "split: unknown setting 'ls'; did you mean 'LS'"),
        ({"splt": {"LS": "valid_and_test"}}, "unknown setting 'splt'; did you mean 'split'"),
        ({"split": {"RS": [8, 1, 1], "LS": "valid_and_test"}}, "split: RS and LS are two kinds of"),
        ({"split": [0.8, 0.1, 0.1]}, r"split must be a mapping such as {RS: \[0.8, 0.1, 0.1\]} or"),
        ({"split": "RS"}, r"split must be a mapping such as {RS: .*, got 'RS'"),
        ({"split": {"RS": [8, 2]}}, r"split: RS must be a list of 3, got \[8, 2\]"),
        (
            {"split": {"LS": "test_only"}},
            "split: LS must be one of valid_and_test, got 'test_only'",
        ),
        ({"group_by": "none"}, "group_by must be user, for parts are split by whole sessions"),
        ({"group_by": None}, "group_by must be user, for parts are split by whole sessions"),
        ({"mode": {"valid": "full", "tset": "full"}}, "mode has parts valid and test, not tset"),
        ({"mode": {"test": "pop10"}}, "mode: events are ranked in mode full, got mode pop10"),
    ],
)
def test_every_word_of_eval_args_is_read_or_refused(log, given, said):
    with pytest.raises(SettingError, match=f"^eval_args: {said}|^eval_args {said}"):
        config(eval_args=given)


@pytest.mark.parametrize("name", ["load_col", "unload_col"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("inter:['user_id']", "such as {inter: .*; write 'inter: ', with a space after the colon"),
        (["user_id"], r"must be a mapping such as {inter: \[user_id, item_id\]}"),
        ({"inter": "user_id"}, "inter must be a list, got 'user_id'"),
        ({"intre": ["user_id"]}, "no file of suffix 'intre' is read, only inter, user, item"),
        ({"kg": ["head_id"]}, "no file of suffix 'kg' is read"),
    ],
)
def test_every_word_of_the_columns_to_load_is_read_or_refused(log, name, given, said):
    with pytest.raises(SettingError, match=f"^{name}.*{said}"):
        config(**{name: given})


def test_columns_are_loaded_or_left_but_not_both(log):
    with pytest.raises(SettingError, match="unload_col: load_col says already which columns of in"):
        config(unload_col={"inter": ["x"]})
    config(unload_col={"inter": ["x"]}, load_col=None)
    config(load_col={"inter": "*"})


@pytest.mark.parametrize(
    ("given", "text"),
    [([0], "0"), (0, "0"), ([0, 1], "0,1"), ((1, "2"), "1,2"), ("0, 1", "0,1"), ("", ""),
     ("GPU-8f6b,MIG-1", "GPU-8f6b,MIG-1"), (None, ""), ("-1", "-1")],
)  # fmt: skip
def test_a_list_of_gpus_is_what_cuda_reads(log, monkeypatch, given, text):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert config(gpu_id=given)["gpu_id"] == os.environ["CUDA_VISIBLE_DEVICES"] == text


def test_text_that_cuda_would_take_for_no_gpu_is_refused():
    with pytest.raises(SettingError, match=r"gpu_id must be like 0 or 0,1.*got '\[0\]'"):
        devices.visible_gpus("[0]")


def test_a_misspelt_setting_in_the_file_beside_the_data_is_refused_by_its_name(log):
    log.with_suffix(".yaml").write_text("purchase_event: [buy]\n")
    with pytest.raises(SettingError, match=r"shop\.yaml: unknown setting .*'purchase_events'"):
        config()


def test_data_of_the_users_own_under_the_name_that_recbole_ships_are_not_passed_over(log):
    beside = log.parent.parent / "ml-100k" / "ml-100k.yaml"
    beside.parent.mkdir()
    beside.write_text("USER_ID_FIELD: session_id\n")
    with pytest.raises(SettingError, match=r"ml-100k is what RecBole ships, and read in place of "):
        runner.make_config("LPIRL", "ml-100k", (), {})


def test_settings_of_recboles_own_models_are_accepted_and_named(log, caplog):
    with caplog.at_level(logging.WARNING):
        config(loss_type="CE", hidden_size=8, checkpoint_dir="elsewhere")
    assert "LPIRL does not read checkpoint_dir, loss_type, which other models do" in caplog.text
    assert "hidden_size" not in caplog.text


def test_python_code_in_a_value_stays_text(log, tmp_path):
    trap = tmp_path / "executed"
    code = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    assert config(logging_policy_dir=code)["logging_policy_dir"] == code
    with pytest.raises(SettingError, match="beta must be a number"):
        config(beta=code)
    from recbole.config import Config

    sys.argv, kept = ["program", f"--logging_policy_dir={code.replace('=', '')}"], sys.argv
    try:  # RecBole's own look at the command line
        Config(model="LPIRL", dataset="shop")
    finally:
        sys.argv = kept
    assert not trap.exists()


def test_python_objects_in_a_settings_file_are_refused(log, tmp_path):
    trap, file = tmp_path / "executed", tmp_path / "trap.yaml"
    file.write_text(f"beta: 1\ngamma: !!python/object/apply:pathlib.Path.touch ['{trap}']\n")
    with pytest.raises(SettingError, match=r"trap\.yaml is not plain YAML: .*line 2"):
        config(files=[str(file)])
    assert not trap.exists()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E5", 1e5), (".5", 0.5), ("-2", -2), ("1.", 1.0), ("True", True),
        ("false", False), ("None", None), ("~", None), ("auto", "auto"), ("[5, 10]", [5, 10]),
        ("{'RS': [0.8, 0.1, 0.1]}", {"RS": [0.8, 0.1, 0.1]}), ("['a','b']", ["a", "b"]),
        ("2014-04-01", "2014-04-01"), ("a: b: c", "a: b: c"), ("{{", "{{"), ("1e", "1e"),
        (" ", " "), ("\t", "\t"), ("", None), ("' '", " "), ("'None'", "None"), ("'1'", "1"),
        ("2014-99-99", "2014-99-99"), ("[" * 9999, "[" * 9999), ("runs/a #1", "runs/a #1"),
    ],
)  # fmt: skip
def test_values_are_plain_yaml_with_recboles_numbers(text, value):
    assert parse(text) == value and type(parse(text)) is type(value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "{", "\0"])
def test_a_file_of_something_else(tmp_path, content):
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(SettingError, match=r"a\.yaml"):
        read_file(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("gamma: 0.1\nbeta: 0.7\ngamma: 0.9\n", "a.yaml, line 3: gamma is given twice"),
        ("eval_args: {order: TO, order: RO}\n", "a.yaml, line 1: order is given twice"),
        ("rating_to_reward:\n  3: 0\n  4: 1\n  3: 1\n", "a.yaml, line 4: 3 is given twice"),
        ("a: " + "[" * 9999, "a.yaml is not plain YAML: it is nested too deep"),
        ("a: 0b_\n", "a.yaml is not plain YAML: invalid literal for int"),
        ("1: x\n", "a.yaml: 1 is no name of a setting"),
        ("a: &x [*x]\n", "a.yaml is not plain YAML: it has more than 100,000 values, or holds it"),
        (
            "a0: &a0 [1, 1]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}1]\n"
                                        for n in range(1, 30)),
            "a.yaml is not plain YAML: it has more than 100,000 values",
        ),
    ],
)  # fmt: skip
def test_a_file_that_says_two_things_or_endlessly_many_is_refused(tmp_path, content, said):
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(SettingError, match=said) as caught:
        read_file(tmp_path / "a.yaml")
    assert "\n" not in str(caught.value)


def test_only_text_of_the_command_line_is_parsed(log, tmp_path, monkeypatch):
    """Of a file and a dictionary a value goes through as it is: ' ' and '5' are text there."""
    (tmp_path / "mine.yaml").write_text("seq_separator: ' '\nrun_dir: '5'\nloss_on_last: None\n")
    given = {"field_separator": " ", "logging_policy_dir": "[a]"}
    read = {"seq_separator": " ", "run_dir": "5", "loss_on_last": None}
    for found in (
        config(files=[str(tmp_path / "mine.yaml")], **given),
        runner.make_config("LPIRL", "shop", [str(tmp_path / "mine.yaml")], given),
    ):
        assert {name: found[name] for name in given | read} == given | read
    with pytest.raises(SettingError, match=r"beta must be a number, got '0\.5'"):
        config(beta="0.5")
    from recbole.config import Config

    monkeypatch.setattr(sys, "argv", ["program", "--beta=0.5", "--topk=[7]"])
    found = Config(model="LPIRL", dataset="shop")
    assert (found["beta"], found["topk"]) == (0.5, [7])


def test_paths_may_be_paths(log):
    found = config(data_path=log.parent.parent, run_dir=Path("runs/a"))
    assert found["data_path"] == str(log.parent) and found["run_dir"] == "runs/a"


def test_a_scripts_own_options_are_left_to_it_and_named(log, monkeypatch, caplog):
    from recbole.config import Config

    arguments = ["--out=results.json", "--gama=0.1", "--gamma=0.2", "ours", "-v"]
    monkeypatch.setattr(sys, "argv", ["mine.py", *arguments])
    with caplog.at_level(logging.INFO):
        found = Config(model="LPIRL", dataset="shop", config_dict={"gamma": 0.3})
    assert found["gamma"] == 0.2 and "out" not in found.final_config_dict
    assert "--out of the program's command line is no setting, and left to the prog" in caplog.text
    assert "should it have been 'gamma'?" in caplog.text
    assert "settings from the program's command line: --gamma" in caplog.text
    with pytest.raises(
        SettingError, match="unknown setting 'out'"
    ):  # what is given is ours to check
        Config(model="LPIRL", dataset="shop", config_dict={"out": 1})


def test_a_subclass_of_a_policy_is_refused_until_it_says_what_it_learns(log, monkeypatch):
    from recbole.config import Config

    from recbole_lpi.plugin.models import LPIRL, MODELS

    class Mine(LPIRL):
        pass

    with pytest.raises(
        SettingError, match=r"Mine is no policy: .*OBJECTIVES\['LPIRL'\] and MODELS"
    ):
        Config(model=Mine, dataset="shop", config_dict={})
    monkeypatch.setitem(OBJECTIVES, "Mine", OBJECTIVES["LPIRL"])
    monkeypatch.setitem(MODELS, "Mine", Mine)
    assert Config(model=Mine, dataset="shop", config_dict={})["beta"] == 1.0


def test_what_recbole_fails_on_is_told_in_one_line_and_few_frames(log):
    """As a script meets it: RecBole's own class, and ours that reads a setting at last."""
    for given, said in (
        ({"repeatable": False}, "RecBole refuses the settings: ValueError: Sequential models curr"),
        ({"topk": None}, "RecBole refuses the settings: "),
        ({"gamma": 7}, "gamma must be in "),
    ):
        with pytest.raises(SettingError, match=said) as caught:
            config(**given)
        assert len(caught.traceback) <= 4 and caught.value.__cause__ is None
        with pytest.raises(SettingError, match=said) as caught:
            runner.run("LPIRL", "shop", (), given)
        assert len(caught.traceback) <= 4


def test_what_recbole_fails_on_for_its_own_models_is_recboles(log):
    from recbole.config import Config

    with hidden_argv(), pytest.raises(ValueError, match="train_neg_sample_args") as caught:
        Config(model="GRU4Rec", dataset="shop", config_dict={"loss_type": "CE"})
    assert not isinstance(caught.value, SettingError)


def test_known_models_are_the_policies_and_recboles_sequential_ones():
    known = known_models()
    assert {"LPIRL", "LoggingPolicy", "GRU4Rec", "SASRec", "NARM"} <= set(known)
    assert "BPR" not in known and "LightGBM" not in known


def test_the_command_line_of_the_program_is_hidden_and_comes_back():
    before = sys.argv
    with hidden_argv():
        assert sys.argv == before[:1]
    assert sys.argv is before


def test_amending_twice_is_amending_once():
    from recbole.config import Config

    before = dict(vars(Config))
    configuration.amend(Config)
    assert dict(vars(Config)) == before


def test_properties_are_those_of_this_checkout_or_package():
    assert Path(properties_folder(), "LPIRL.yaml").is_file()
