"""Which setting wins, and what is refused."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
import yaml

from recbole_lpi.data.settings import DataSettings
from recbole_lpi.host import configuration, runner
from recbole_lpi.host.configuration import hidden_argv, known_models
from recbole_lpi.host.properties import properties_folder
from recbole_lpi.host.values import parse, read_file
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.settings import SettingError


def config(model="LPIRL", files=None, **given):
    from recbole.config import Config

    with hidden_argv():
        return Config(model=model, dataset="shop", config_file_list=files, config_dict=given)


def test_the_stronger_setting_wins(log, tmp_path):
    defaults = yaml.safe_load((properties_folder() / "policy.yaml").read_text())
    assert config()["inner_size"] == defaults["inner_size"]
    assert config("LoggingPolicy")["logging_policy"] == "none" != defaults["logging_policy"]
    beside = log.with_suffix(".yaml")
    beside.write_text(beside.read_text() + "inner_size: 3\nbeta: 0.7\ngamma: 0.1\n")
    (tmp_path / "mine.yaml").write_text("beta: 0.6\ngamma: 0.2\n")
    found = config(files=[str(tmp_path / "mine.yaml")], gamma=0.3)
    assert [found[name] for name in ("inner_size", "beta", "gamma")] == [3, 0.6, 0.3]


@pytest.mark.parametrize(
    "file", sorted((properties_folder() / "dataset").glob("*.yaml")), ids=lambda file: file.stem
)
def test_the_settings_of_every_data_set_are_known_and_sound(file):
    known = {*configuration.known_settings(), *read_file(properties_folder() / "policy.yaml")}
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
        ({"training_windows": "some"}, "training_windows must be last or all, got 'some'"),
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
        ({"clip_grad_norm": {"norm": 5}}, "clip_grad_norm must be like {max_norm: 5}"),
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
        ({"reward_sampling": True}, "reward_sampling must be a mapping, got True"),
        ({"overwrite": "maybe"}, "overwrite must be true or false, got 'maybe'"),
        ({"split_ratio": [0.5, 0.5]}, r"split_ratio must be a list of 3, got \[0.5, 0.5\]"),
        ({"item_inter_num_interval": "[3,inf"}, "item_inter_num_interval must be an interval such"),
        ({"user_inter_num_interval": 3}, r"such as '\[3,inf\)', or several .*, got 3"),
        ({"user_inter_num_interval": "[0,2);[x,5]"}, "user_inter_num_interval must be an interval"),
        ({"user_inter_num_interval": "[5,2]"}, "user_inter_num_interval must be an interval"),
        ({"val_interval": "[0.5,inf)"}, "val_interval must be a mapping of columns"),
    ],
)
def test_a_wrong_setting_is_refused_before_any_work(log, wrong, said):
    with pytest.raises(SettingError, match=said) as caught:
        config(**wrong)
    assert "\n" not in str(caught.value)


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
    ],
)  # fmt: skip
def test_values_are_plain_yaml_with_recboles_numbers(text, value):
    assert parse(text) == value and type(parse(text)) is type(value)


@pytest.mark.parametrize("content", ["- a\n- b\n", "{", "\0"])
def test_a_file_of_something_else(tmp_path, content):
    (tmp_path / "a.yaml").write_text(content)
    with pytest.raises(SettingError, match=r"a\.yaml"):
        read_file(tmp_path / "a.yaml")


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
