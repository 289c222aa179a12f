"""Pooling, errors, tests and refusals, against values worked by hand and scipy."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner

from recbole_lpi.cli.app import app
from recbole_lpi.evaluation.significance import holm, paired, stars
from recbole_lpi.experiments.comparison import compare, differences
from recbole_lpi.settings import SettingError
from recbole_lpi.training.run_folder import RunFolder

HITS = ["purchase_hit@5", "click_hit@5"]


def by_label(comparison):
    return {policy.label: policy for policy in comparison.policies}


def test_one_seed_by_hand(made):
    """Purchases at ranks 1, 9, 2, 9: HR@5 is 2/4; S = 4 sessions, √(4/3 · 4 · (½/4)²) = ½/√3."""
    made("a", [9, 1, 9, 9, 9, 2, 1, 9])
    found = compare(["a"], [*HITS, "purchase_ndcg@5"])
    (policy,) = found.policies
    cell = policy.cells["purchase_hit@5"]
    assert (cell.mean, cell.count, cell.spread) == (0.5, 4, None)
    assert cell.stderr == pytest.approx(0.5 / math.sqrt(3))
    assert policy.cells["click_hit@5"].mean == 0.25
    assert policy.cells["purchase_ndcg@5"].mean == pytest.approx((1 + 1 / math.log2(3)) / 4)
    assert not cell.best and cell.stars == ""  # nothing to be better than
    assert found.events == {"purchase": {"purchase": 4}, "click": {"click": 4}}
    assert found.dataset == "shop_1%"


def test_the_least_nll_and_perplexity_are_the_best_and_no_divergence_is(made):
    made("a", [1, 2], log_pi=-2.0, mu=-1.0)
    made("b", [1, 2], log_pi=-1.0, mu=-1.0, beta=0.5)
    names = ["nll", "purchase_perplexity", "kl_divergence"]
    more, less = compare(["a", "b"], names).policies
    assert [less.cells[name].best for name in names] == [True, True, False]
    assert not any(more.cells[name].best for name in names)
    assert less.cells["purchase_perplexity"].mean == pytest.approx(math.e)


def test_metrics_over_new_items_of_runs_that_know_which_are(made):
    """A run of before there was that column has no cell, nor has a policy one of whose seeds is."""
    made("a", [1, 9, 9, 9], seed=1, seen=[False, True, False, False])
    made("b", [1, 1, 9, 1], seed=1, beta=0.5, seen=[False, True, False, False])
    new, other = compare(["a", "b"], ["new_hit@5", "repeat_hit@5"]).policies
    assert new.cells["new_hit@5"].mean == pytest.approx(1 / 3)
    assert other.cells["new_hit@5"].mean == pytest.approx(2 / 3)
    assert other.cells["repeat_hit@5"].mean == 1 and other.cells["repeat_hit@5"].count == 1
    made("c", [1, 9, 9, 9], seed=2)
    first, second = compare(["a", "c", "b"], ["new_hit@5"]).policies
    assert "new_hit@5" not in first.cells and "new_hit@5" in second.cells


def test_seeds_are_pooled(made):
    """HR@5 of purchases is 1/4, 2/4 and 3/4: mean 1/2, standard deviation 1/4.

    Pulls of the four sessions, × 16: 3 -1 -1 -1, 2 2 -2 -2, 1 1 1 -3; on average 2 ⅔ -⅔ -2.
    """
    made("a", [9, 1, 9, 9, 9, 9, 9, 9], seed=1)
    made("b", [9, 1, 9, 1, 9, 9, 9, 9], seed=2, gpu_id="1", show_progress=True, topk=[3])
    made("c", [9, 1, 9, 1, 9, 1, 9, 9], seed=3, data_path="/elsewhere")
    (policy,) = compare(["a", "b", "c"], HITS).policies
    assert policy.label == "LPIRL" and policy.seeds == (1, 2, 3)
    cell = policy.cells["purchase_hit@5"]
    assert cell.mean == pytest.approx(0.5) and cell.spread == pytest.approx(0.25)
    over_sessions = 4 / 3 * (2 * 2**2 + 2 * (2 / 3) ** 2) / 16**2
    squares = (1, 5 / 3, 1 / 3, 1), (0, 4 / 3, 4 / 3, 0), (1, 1 / 3, 5 / 3, 1)
    of_both = 4 / 3 * sum(r**2 for run in squares for r in run) / (3 * 2) / 16**2
    expected = 0.25**2 / 3 + over_sessions - of_both
    assert cell.stderr == pytest.approx(math.sqrt(expected))


@pytest.mark.parametrize("seeds", [(1, 1), (3, 1), (2, 3)])
def test_the_best_is_tested_over_sessions_and_seeds(made, seeds):
    rng = np.random.default_rng(0)
    tables: dict[str, list[Any]] = {"good": [], "fair": []}
    kinds = ["click", "purchase", "click", "click"] * 50  # half of the sessions buy nothing
    for name, bound, number in (("good", 12, seeds[0]), ("fair", 18, seeds[1])):
        for seed in range(number):
            ranks = rng.integers(1, bound, 200)
            beta = 0.3 if name == "good" else 1.0
            made(f"{name}{seed}", ranks, kinds=kinds, beta=beta, seed=seed)
            tables[name].append(ranks[1::4] <= 5)
    made("poor", np.full(200, 50), kinds=kinds, beta=9)
    runs = [f"{name}{seed}" for name, of in tables.items() for seed in range(len(of))]
    found = by_label(compare(["poor", *runs], HITS))
    good, fair = (found[f"LPIRL (beta={beta})"].cells["purchase_hit@5"] for beta in (0.3, 1.0))
    hits = [np.array(tables[name], float) for name in ("good", "fair")]  # [K, S] of each
    over_sessions = np.var(hits[0].mean(0) - hits[1].mean(0), ddof=1) / 50
    of_seeds = 0.0
    for of in (of for of in hits if len(of) > 1):
        of_seeds += np.var(of.mean(1), ddof=1) / len(of)
        apart = of - of.mean(0) - (of.mean(1) - of.mean())[:, None]
        over_sessions -= np.square(apart).sum() / (len(of) - 1) / 49 / len(of) / 50
    expected = math.sqrt(of_seeds + max(over_sessions, 0))
    found = good.against_others
    assert good.best and not fair.best and fair.against_others is None
    assert found.stderr == pytest.approx(expected)
    assert found.t == pytest.approx((hits[0].mean() - hits[1].mean()) / expected)
    if seeds == (1, 1):
        assert found.p == pytest.approx(stats.ttest_rel(hits[0][0], hits[1][0]).pvalue)
    assert good.stars == "*" * sum(found.p < level for level in (0.05, 0.01, 0.001))


def test_the_best_is_starred_only_where_it_is_better_than_every_other(made):
    """The second by its mean has seeds that agree; those of the third are far apart."""
    hits = {"a": (18, 19, 18), "b": (10, 11, 10), "c": (1, 20, 1)}
    for beta, (name, numbers) in enumerate(hits.items()):
        for seed, number in enumerate(numbers):
            ranks = [1, 1] * number + [1, 99] * (20 - number)
            made(f"{name}{seed}", ranks, beta=beta, seed=seed)
    a, b = ([f"{name}{seed}" for seed in range(3)] for name in "ab")
    best = compare([*a, *b], HITS).policies[0].cells["purchase_hit@5"]
    assert best.stars == "**"
    among = compare([*a, *b, *(f"c{seed}" for seed in range(3))], HITS).policies
    found = among[0].cells["purchase_hit@5"]
    assert found.best and found.stars == ""
    third = among[2].cells["purchase_hit@5"]
    assert found.against_others is not None
    assert found.against_others.difference == pytest.approx(found.mean - third.mean)


def test_a_policy_of_one_seed_is_told_from_one_that_draws_nothing(made):
    made("a", [1, 1])
    made("b", [1, 1], model="Popularity")
    made("c", [1, 1], model="SQN")
    made("d", [1, 1], model="SAC")
    made("e", [1, 1], model="SAC", seed=2)
    found = compare(["a", "b", "c", "d", "e"], HITS, drawless=[Path("c")])
    assert [p.label for p in found.policies if p.of_one_seed] == ["LPIRL"]
    assert found.over == "sessions and seeds" and compare(["a", "b"], HITS).over == "sessions"


def test_a_tie_has_two_best_and_no_star(made):
    made("a", [1, 1, 9, 9])
    made("b", [9, 1, 1, 9], model="LoggingPolicy")
    for policy in compare(["a", "b"], HITS).policies:
        cell = policy.cells["purchase_hit@5"]
        assert cell.best and cell.stars == ""


def test_divergence_is_nobodys_win_and_is_left_out_where_it_was_not_measured(made):
    made("a", [1, 1], mu=-2.0, logging_policy="/x/mu")
    made("b", [1, 1], mu=-2.0, model="SQN", logging_policy="/y/mu")
    made("c", [1, 1], model="LoggingPolicy")
    found = compare(["a", "b", "c"], ["js_divergence"])
    cells: list[Any] = [policy.cells.get("js_divergence") for policy in found.policies]
    assert cells[0].mean == pytest.approx(0.2) and cells[2] is None
    assert not any(cell.best for cell in cells[:2])
    assert found.logging_policies == {"mu": ("LPIRL", "SQN")}


def test_seeds_of_a_logging_policy_compared_with_its_first_are_one_policy(made):
    """Their distance from it is the noise floor; one of other settings has a divergence."""
    first = made("mu1", [1, 1], model="LoggingPolicy", seed=1)
    for seed, mu in ((2, -0.5), (3, -0.7)):
        how = {"mu": mu, "seed": seed, "logging_policy": str(first)}
        run = made(f"mu{seed}", [1, 2], model="LoggingPolicy", **how)
        js = {"mean": -mu / 10, "stderr": 0.01, "count": 2}
        RunFolder(run).write_metrics({"test": {"js_divergence": js}})
    made("other", [1, 1], model="LoggingPolicy", mu=-2.0, hidden_size=8, logging_policy=str(first))
    found = compare(["mu1", "mu2", "mu3", "other"], ["js_divergence"])
    assert [policy.seeds for policy in found.policies] == [(1, 2, 3), (1,)]
    cells: list[Any] = [policy.cells.get("js_divergence") for policy in found.policies]
    assert cells[0] is None and cells[1].mean == pytest.approx(0.2)
    assert found.noise_floor["js_divergence"].mean == pytest.approx(0.07)


def test_no_purchase_is_nan_and_not_the_best(made):
    for name, model in (("a", "LPIRL"), ("b", "SQN")):
        made(name, [1, 1], model=model, kinds=["click", "click"])
    for policy in compare(["a", "b"], HITS).policies:
        cell = policy.cells["purchase_hit@5"]
        assert math.isnan(cell.mean) and cell.count == 0 and not cell.best


def test_labels_say_what_differs_within_a_model(made):
    made("a", [1, 1], beta=0.3, weight_normalize=True)
    made("b", [1, 1], model="LoggingPolicy", encoder="gru4rec", beta=7)
    made("c", [1, 1], beta=1, weight_normalize=False, clip_grad_norm=None)
    made("d", [1, 1], model="LoggingPolicy", beta=7)
    found = compare(["a", "b", "c", "d"], HITS)
    assert [policy.label for policy in found.policies] == [
        "LPIRL (beta=0.3, weight_normalize=true)",
        "LPIRL (beta=1, weight_normalize=false)",
        "LoggingPolicy (encoder=gru4rec)",
        "LoggingPolicy (encoder=sasrec)",  # the default: that run names none
    ]


def test_the_logging_policy_is_known_by_what_it_says_and_not_by_its_path(made):
    made("a", [1, 1], mu=-2.0, logging_policy="/x/mu", seed=1)
    made("b", [1, 1], mu=-2.00005, logging_policy="/y/other", seed=2)
    made("c", [1, 1], mu=-2.1, logging_policy="/z/mu", seed=3)
    found = compare(["a", "b", "c"], HITS)
    assert [(policy.label, policy.seeds) for policy in found.policies] == [
        ("LPIRL (logging_policy=mu #1)", (1, 2)),
        ("LPIRL (logging_policy=mu #2)", (3,)),
    ]
    assert set(found.logging_policies) == {"mu #1", "mu #2"}


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"dataset": "market"}, "dataset is shop_1% and market"),
        ({"item_inter_num_interval": "[5,inf)"}, r"item_inter_num_interval is \[0,inf\) and \[5"),
        ({"evaluate_first_event": True}, "evaluate_first_event is False and True"),
        ({"purchase_events": ["buy"]}, r"purchase_events is \['purchase'\] and \['buy'\]"),
        ({"rating_to_reward": {0: 1}}, "rating_to_reward is"),
        ({"split": "session_end"}, "split is random and session_end"),
        ({"split_ratio": [0.7, 0.2, 0.1]}, r"split_ratio is \[0.8, 0.1, 0.1\] and \[0.7"),
        ({"split_seed": 7}, "split_seed is 2020 and 7. Compare"),
        ({"split_seed": None, "seed": 3}, "split_seed is 2020 and 3 .*give every seed one --split"),
        ({"data": "beef"}, "the data themselves or their split .hash cafe and beef"),
        (
            {"split": "session_end", "dataset": "market"},
            "dataset is .*; split is random and session_end",
        ),
    ],
)
def test_other_data_split_or_protocol_is_refused(made, other, said):
    made("a", [1, 1], data="cafe")
    made("b", [1, 1], **{"seed": 2, **other})
    with pytest.raises(SettingError, match=f"^a and b cannot stand in one table: .*{said}"):
        compare(["a", "b"], HITS)


@pytest.mark.parametrize(
    "other",
    [
        {"MAX_ITEM_LIST_LENGTH": 7, "loss_on_last": 3, "gamma": 0.1},
        {"item_inter_num_interval": "[0, inf)"},
        {"split": "random", "split_ratio": [0.8, 0.1, 0.1], "eval_args": None},
        {"split_seed": None, "seed": 2020},
        {"data": None},
        {"item_inter_num_interval": None, "user_inter_num_interval": "[0,inf)"},
    ],
)
def test_what_is_the_policys_own_or_says_the_same_is_compared(made, other):
    made("a", [1, 1], data="cafe")
    made("b", [1, 1], **{"model": "SQN", **other})
    assert len(compare(["a", "b"], HITS).policies) == 2


def test_what_a_rating_is_worth_counts_where_the_log_has_no_rewards(made):
    columns = {"load_col": {"inter": ["session_id", "reward"]}}
    for number, worth in enumerate(({0: 0}, {0: 1})):
        made(f"with{number}", [1, 1], rating_to_reward=worth, seed=number, **columns)
        made(f"without{number}", [1, 1], rating_to_reward=worth, seed=number)
    assert compare(["with0", "with1"], HITS).policies[0].seeds == (0, 1)
    with pytest.raises(SettingError, match="rating_to_reward is"):
        compare(["without0", "without1"], HITS)


def test_a_split_by_time_does_not_follow_the_seed(made):
    for seed in (1, 2):
        made(f"r{seed}", [1, 1], split="session_end", split_seed=None, seed=seed)
    assert compare(["r1", "r2"], HITS).policies[0].seeds == (1, 2)


def test_other_events_are_refused_though_the_settings_agree(made):
    made("a", [1, 1, 1, 1])
    made("b", [1, 1, 1, 1], model="SQN", kinds=["click", "click", "click", "purchase"])
    with pytest.raises(SettingError, match="b and a were measured on different test events"):
        compare(["a", "b"], HITS)


def broken_metrics(run):
    (run / "metrics.json").write_text("[1")


def metrics_of(**changed):
    def spoil(run):
        (run / "metrics.json").write_text(json.dumps({"schema": 1, **changed}))

    return spoil


def broken_events(run):
    (run / "events.parquet").write_bytes(b"PAR1")


def broken_config(run):
    (run / "config.yaml").write_text("a: [")


def empty_config(run):
    (run / "config.yaml").write_text("")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: (run / "config.yaml").unlink(), "a is no run folder"),
        (lambda run: (run / "metrics.json").unlink(), "a did not finish: .*--resume=a"),
        (lambda run: (run / "events.parquet").unlink(), "a has no events.parquet"),
        (broken_metrics, "metrics.json is not the JSON"),
        (lambda run: (run / "metrics.json").write_text("[" * 10**5), "is not the JSON"),
        (lambda run: (run / "metrics.json").write_text("[]"), "is not the JSON"),
        (lambda run: (run / "metrics.json").write_text("{}"), "is not the JSON"),
        (metrics_of(schema=2), "metrics.json is not the JSON of a run's metrics, schema 1"),
        (metrics_of(imputation="x"), "metrics.json: imputation must be a mapping, got 'x'"),
        (metrics_of(imputation=[1]), "metrics.json: imputation must be a mapping"),
        (metrics_of(logging_policy_quality=[1]), "logging_policy_quality must be a mapping"),
        (metrics_of(data=["x"]), "metrics.json: data must be text"),
        (metrics_of(best_epoch="last"), "metrics.json: best_epoch must be a whole number"),
        (metrics_of(valid=[1]), "metrics.json: valid must be a mapping"),
        (metrics_of(test={"hit@5": 0.5}), "metrics.json: test: hit@5 must be a mapping"),
        (metrics_of(test={"hit@5": {"mean": "x"}}), "metrics.json: test: hit@5: mean must be a nu"),
        (metrics_of(test={"hit@5": {}}), "metrics.json: test: hit@5: mean must be a number"),
        (broken_events, "events.parquet is not the event table"),
        (broken_config, "config.yaml is not plain YAML"),
        (empty_config, "config.yaml names no model"),
    ],
)
def test_what_is_no_finished_run_is_refused(made, spoil, said):
    spoil(made("a", [1, 1]))
    with pytest.raises(SettingError, match=said):
        compare(["a"], HITS)


def test_one_run_counts_once(made):
    made("a", [1, 1])
    made("b", [1, 1])
    with pytest.raises(SettingError, match="a/ is given twice"):
        compare(["a", "a/"], HITS)
    with pytest.raises(SettingError, match=r"a and b are one policy with one seed \(1\)"):
        compare(["a", "b"], HITS)
    with pytest.raises(SettingError, match="no run is given"):
        compare([], HITS)


def three_policies(made):
    rng = np.random.default_rng(1)
    for name, model, hit in (("a", "LPIRL", 0.6), ("b", "SQN", 0.4), ("c", "SAC", 0.35)):
        for seed in (1, 2):
            ranks = np.where(rng.random(400) < hit, 1, 9)
            made(f"{name}{seed}", ranks, model, seed=seed, split_seed=1)
    return compare([f"{name}{seed}" for name in "abc" for seed in (1, 2)], HITS)


def test_a_policy_is_tested_against_every_other(made):
    comparison = three_policies(made)
    own, *others = comparison.policies
    found = differences(comparison, "LPIRL")
    assert [policy.label for policy in found.policies] == ["SQN", "SAC"]
    for metric in HITS:
        tests = [paired(other.scores[metric], own.scores[metric]) for other in others]
        adjusted = holm([test.p for test in tests])
        for policy, other, test, p in zip(found.policies, others, tests, adjusted, strict=True):
            cell = policy.cells[metric]
            assert cell.mean == own.cells[metric].mean - other.cells[metric].mean == test.difference
            assert cell.against_others is not None
            assert cell.stderr == test.stderr and cell.against_others.p == p >= test.p
            assert cell.stars == stars(p) and not cell.best
    turned = differences(comparison, "SQN").policies[0].cells[HITS[0]]
    assert turned.mean == -found.policies[0].cells[HITS[0]].mean
    for name in ("LPI", "Nobody"):
        with pytest.raises(SettingError, match=r"--against=.*of 'LPIRL', 'SQN', 'SAC'"):
            differences(comparison, name)


def test_the_tests_are_a_table_of_their_own_in_every_format(made):
    three_policies(made)
    runs = [f"{name}{seed}" for name in "abc" for seed in (1, 2)]
    for format_ in ("rich", "markdown", "latex", "csv"):
        given = ["compare", *runs, "--topk=5", "--metrics=hit", f"--format={format_}"]
        plain = CliRunner().invoke(app, given)
        tested = CliRunner().invoke(app, [*given, "--against=SQN"])
        assert tested.exit_code == 0, tested.output
        if format_ == "csv":
            assert "SQN" not in tested.stdout and "LPIRL,2,hit@5,-0." in tested.stdout
        else:
            said = " ".join(tested.stdout.replace("\\_", "_").split())
            assert tested.stdout.startswith(plain.stdout)
            assert "SQN minus each other policy" in said and "Holm's method" in said
    done = CliRunner().invoke(app, ["compare", "a1", "b1", "--against=SAC"])
    assert done.exit_code == 2 and "of 'LPIRL', 'SQN'" in done.stderr


def test_a_run_of_before_there_were_inputs_is_no_seed_of_one_that_reads_them(made):
    now = {"inputs": ["item", "event", "time_gap"], "repeat_head": True, "fit_temperature": False}
    made("then", [1, 1], seed=1)
    made("now", [1, 1], seed=2, **now)
    made("alike", [1, 1], seed=2, inputs=["item"], repeat_head=False, fit_temperature=False)
    assert len(compare(["then", "now"], HITS).policies) == 2
    (policy,) = compare(["then", "alike"], HITS).policies
    assert policy.seeds == (1, 2)


def test_runs_are_compared_with_their_log_beside_the_table(made):
    made("a1", [1.0] * 40, mu=-1.0)
    made("b1", [2.0] * 40, "SQN")
    given = ["compare", "a1", "b1", "--improvement"]
    result = CliRunner().invoke(app, [*given, "--format=markdown"])
    assert result.exit_code == 0, result.output
    assert "| a1 | +0 ± 0 | +0 | refused: " in result.output
    assert "| b1 | – | – | log μ of the logged items is not known |" in result.output
    assert "a log of engaged items only" in result.output
    assert "| a1 | +0 ± 0 |" in CliRunner().invoke(app, given).output
    refused = CliRunner().invoke(app, [*given, "--format=csv"])
    assert refused.exit_code == 2 and "--improvement is text" in refused.output
