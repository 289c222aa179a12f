"""Metrics against sums worked by hand, standard errors against the textbook and the bootstrap."""

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from recbole_lpi.evaluation.event_table import EventTable, joined, read_events
from recbole_lpi.evaluation.measures import MEASURES, Measure
from recbole_lpi.evaluation.metrics import (
    Kinds,
    Metric,
    by_novelty,
    evaluate,
    known_names,
    names_at,
)
from recbole_lpi.evaluation.significance import paired_difference

KINDS = Kinds(("buy",), ("click",))


def table(rank, session=None, event=None, reward=None, greedy=None, js=None):
    n = len(rank)
    column = lambda values, fill: np.asarray([fill] * n if values is None else values)  # noqa: E731
    return EventTable(
        session=np.arange(n) if session is None else np.asarray(session),
        position=np.arange(n),
        item_id=np.arange(1, n + 1),
        event=column(event, "click").astype(object),
        reward=column(reward, 0.2).astype(np.float32),
        rank=np.asarray(rank, np.float32),
        greedy_item=column(greedy, 1),
        log_pi=column(None, -1.0),
        log_mu=column(None, -1.0),
        js=column(js, math.nan).astype(np.float32),
        kl=column(js, math.nan).astype(np.float32),
    )


def test_values_by_hand():
    t = table([1, 3, 6, 20.5], event=["buy", "click", "buy", "click"])
    got = evaluate(
        t, ["hit@5", "ndcg@5", "purchase_hit@10", "purchase_ndcg@10", "click_ndcg@20", "mrr@10",
            "reward_weighted_ndcg@20"], KINDS,
    )  # fmt: skip
    assert got["hit@5"].mean == 2 / 4
    assert got["ndcg@5"].mean == pytest.approx((1 + 1 / math.log2(4)) / 4)
    assert got["purchase_hit@10"].mean == 1 and got["purchase_hit@10"].count == 2
    assert got["purchase_ndcg@10"].mean == pytest.approx((1 + 1 / math.log2(7)) / 2)
    assert got["click_ndcg@20"].mean == pytest.approx((1 / math.log2(4)) / 2)  # 20.5 is beyond 20
    assert got["mrr@10"].mean == pytest.approx((1 + 1 / 3 + 1 / 6) / 4)
    assert got["reward_weighted_ndcg@20"].mean == pytest.approx(
        1.0 * (1 + 1 / math.log2(7)) / 2 + 0.2 * 0.5 / 2
    )
    assert got["reward_weighted_ndcg@20"].count == 4


def test_average_reward_counts_the_logged_reward_where_the_greedy_item_is_the_logged_one():
    t = table([1, 1, 1], reward=[1.0, 0.5, 0.2], greedy=[1, 9, 3])
    assert evaluate(t, ["average_reward@1"], KINDS)["average_reward@1"].mean == pytest.approx(0.4)


def test_average_reward_of_more_choices_is_the_mean_over_them():
    t = table([1, 2, 5.5], reward=[1.0, 0.5, 0.2], greedy=[1, 1, 1])
    got = evaluate(t, ["average_reward@2", "average_reward@6"], KINDS)
    assert got["average_reward@2"].mean == pytest.approx((1.0 + 0.5) / 2 / 3)
    assert got["average_reward@6"].mean == pytest.approx((1.0 + 0.5 + 0.2) / 6 / 3)


def test_imputed_average_reward_is_the_mean_of_what_was_imputed(tmp_path):
    imputed = np.array([[1.0, 0.0, 0.5], [0.2, 0.6, 0.4]], np.float32)
    t = replace(table([1, 2], session=[0, 1]), imputed_reward=imputed)
    got = evaluate(t, ["imputed_average_reward@1", "imputed_average_reward@3"], KINDS)
    assert got["imputed_average_reward@1"].mean == pytest.approx((1.0 + 0.2) / 2)
    assert got["imputed_average_reward@3"].mean == pytest.approx((0.5 + 0.4) / 2)
    assert got["imputed_average_reward@1"].stderr == pytest.approx(
        np.std([1.0, 0.2], ddof=1) / 2**0.5
    )
    with pytest.raises(ValueError, match=r"first 3 choices were imputed; have 5 in topk"):
        evaluate(t, ["imputed_average_reward@5"], KINDS)
    assert evaluate(table([1, 2]), ["imputed_average_reward@1"], KINDS) == {}

    tokens = np.array(["", "a", "b"])
    t.write(tmp_path / "events.parquet", np.array(["x", "y"]), tokens)
    np.testing.assert_array_equal(read_events(tmp_path / "events.parquet").imputed_reward, imputed)


def test_standard_error_of_sessions_of_one_event_is_the_textbook_one():
    rank = np.random.default_rng(0).integers(1, 40, 200)
    got = evaluate(table(rank), ["hit@20"], KINDS)["hit@20"]
    assert got.stderr == pytest.approx(np.std(rank <= 20, ddof=1) / math.sqrt(200))


@pytest.mark.parametrize("metric", ["hit@20", "purchase_ndcg@20", "reward_weighted_ndcg@20"])
def test_standard_error_agrees_with_resampling_sessions(metric):
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(300), rng.integers(1, 12, 300))
    ease = rng.normal(size=300)[session]  # events of a session resemble one another
    rank = np.exp(2.5 - ease + 0.3 * rng.normal(size=len(session))).round() + 1
    event = np.where(rng.random(len(session)) < 0.3, "buy", "click")
    estimate = evaluate(table(rank, session, event), [metric], KINDS)[metric]
    means = []
    events_of = [np.flatnonzero(session == s) for s in range(300)]
    for _ in range(400):
        draw = rng.integers(0, 300, 300)
        chosen = np.concatenate([events_of[s] for s in draw])
        new = np.repeat(np.arange(300), [len(events_of[s]) for s in draw])
        means.append(
            evaluate(table(rank[chosen], new, event[chosen]), [metric], KINDS)[metric].mean
        )
    assert estimate.stderr == pytest.approx(np.std(means), rel=0.15)


def test_no_event_of_a_kind_gives_nan_and_a_count_of_0():
    got = evaluate(table([1, 2]), ["purchase_hit@5"], KINDS)["purchase_hit@5"]
    assert math.isnan(got.mean) and math.isnan(got.stderr) and got.count == 0
    other = evaluate(table([1, 2], event=["other"] * 2), ["reward_weighted_ndcg@5"], KINDS)
    assert math.isnan(other["reward_weighted_ndcg@5"].mean)


def test_nll_and_perplexity_by_hand_and_by_kind():
    log_pi = np.log([0.5, 0.125, 0.25, 0.5])
    t = replace(table([1] * 4, event=["buy", "click", "buy", "click"]), log_pi=log_pi)
    names = ["nll", "purchase_nll", "click_nll", "perplexity", "click_perplexity"]
    got = evaluate(t, names, KINDS)
    nats = math.log(2)
    assert got["nll"].mean == pytest.approx((1 + 3 + 2 + 1) * nats / 4)
    assert got["purchase_nll"].mean == pytest.approx(1.5 * nats) and got["purchase_nll"].count == 2
    assert got["click_nll"].mean == pytest.approx(2 * nats)
    assert got["perplexity"].mean == pytest.approx(2 ** (7 / 4))
    assert got["click_perplexity"].mean == pytest.approx(4)
    assert got["nll"].stderr == pytest.approx(np.std(log_pi, ddof=1) / 2)
    assert got["perplexity"].stderr == pytest.approx(2 ** (7 / 4) * got["nll"].stderr)
    assert all(Metric.parse(n).smaller_is_better and not Metric.parse(n).neutral for n in names)
    assert Metric.parse("kl_divergence").neutral and not Metric.parse("ndcg@5").neutral


def test_the_standard_error_of_perplexity_agrees_with_resampling_sessions():
    rng = np.random.default_rng(1)
    session = np.repeat(np.arange(300), rng.integers(1, 12, 300))
    log_pi = -np.exp(1 + 0.3 * rng.normal(size=300)[session] + 0.3 * rng.normal(size=len(session)))
    t = replace(table(np.ones(len(session)), session), log_pi=log_pi)
    sums, counts = np.bincount(session, -log_pi), np.bincount(session)
    draws = rng.integers(0, 300, (2000, 300))
    means = np.exp(sums[draws].sum(1) / counts[draws].sum(1))
    got = evaluate(t, ["perplexity"], KINDS)["perplexity"]
    assert got.stderr == pytest.approx(np.std(means), rel=0.1)


def test_a_perplexity_beyond_all_floats_is_infinite():
    t = replace(table([1, 2]), log_pi=np.array([-800.0, -900.0]))
    assert evaluate(t, ["perplexity"], KINDS)["perplexity"].mean == math.inf


def test_metrics_over_repeated_and_new_items_by_hand():
    t = replace(
        table([1, 3, 1, 9], event=["buy", "click", "buy", "click"]),
        seen=np.array([True, False, False, False]), log_pi=np.log([0.5, 0.25, 0.25, 0.0625]),
    )  # fmt: skip
    got = evaluate(t, ["repeat_ndcg@5", "new_ndcg@5", "new_nll", "repeat_perplexity"], KINDS)
    assert (got["repeat_ndcg@5"].mean, got["repeat_ndcg@5"].count) == (1, 1)
    assert got["new_ndcg@5"].mean == pytest.approx((0.5 + 1) / 3) and got["new_ndcg@5"].count == 3
    assert got["new_nll"].mean == pytest.approx(math.log(2) * 8 / 3)
    assert got["repeat_perplexity"].mean == pytest.approx(2)
    assert evaluate(table([1, 2]), ["repeat_ndcg@5", "new_nll"], KINDS) == {}  # an older file
    assert Metric.parse("new_hit@5").heading == "new"
    assert Metric.parse("new_hit@5").event_names(KINDS) is None


def test_by_novelty_is_beside_every_metric_by_kind_once():
    names = ["ndcg@5", "purchase_ndcg@5", "click_nll", "js_divergence"]
    t = table([1, 2])
    assert by_novelty(names, replace(t, seen=np.array([True, False]))) == [
        *names, "repeat_ndcg@5", "new_ndcg@5", "repeat_nll", "new_nll",
    ]  # fmt: skip
    assert by_novelty(names, replace(t, seen=np.array([False, False]))) == [
        *names, "new_ndcg@5", "new_nll",
    ]  # fmt: skip
    assert by_novelty(names, t) == names


def test_divergence_is_left_out_without_a_logging_policy():
    assert evaluate(table([1, 2]), ["js_divergence"], KINDS) == {}
    got = evaluate(table([1, 2], js=[0.1, 0.3]), ["js_divergence"], KINDS)["js_divergence"]
    assert got.mean == pytest.approx(0.2)


def test_names_at_cut_offs_and_the_nearest_of_a_misspelt_one():
    assert names_at(["Hit", "js_divergence", "average_reward"], [5, 10]) == [
        "hit@5", "hit@10", "js_divergence", "average_reward@1", "average_reward@5",
        "average_reward@10",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="'purchase_ndgc'; did you mean 'purchase_ndcg'"):
        names_at(["purchase_ndgc"], [5])


def test_paired_test_of_sessions_of_one_event_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.integers(1, 40, 300), rng.integers(1, 30, 300)
    got = paired_difference(table(a), table(b), "hit@20", KINDS)
    expected = stats.ttest_rel(1.0 * (b <= 20), 1.0 * (a <= 20))
    assert got.t == pytest.approx(expected.statistic) and got.p == pytest.approx(expected.pvalue)
    assert got.difference == pytest.approx(np.mean(b <= 20) - np.mean(a <= 20))
    assert got.stars == "***" and got.sessions == 300


def test_paired_test_of_a_policy_with_itself_finds_nothing():
    t = table([1, 30, 2])
    got = paired_difference(t, t, "hit@20", KINDS)
    assert (got.difference, got.t, got.p, got.stars) == (0, 0, 1, "")


def test_paired_test_refuses_other_events():
    with pytest.raises(ValueError, match="different events"):
        paired_difference(table([1, 2]), table([1, 2], session=[0, 0]), "hit@20", KINDS)


def test_false_alarms_of_the_paired_test_are_as_many_as_it_says():
    """Two policies alike, sessions of many alike events: 5 % of tests may star, not more."""
    rng = np.random.default_rng(0)
    session = np.repeat(np.arange(60), 10)
    starred = 0
    for _ in range(300):
        lift = rng.normal(size=(2, 60))[:, session]
        a, b = np.exp(3 + lift + 0.2 * rng.normal(size=lift.shape)).round() + 1
        starred += bool(
            paired_difference(table(a, session), table(b, session), "hit@20", KINDS).stars
        )
    assert stats.binomtest(starred, 300, 0.05).pvalue > 0.001


def test_the_table_survives_its_file(tmp_path):
    t = table([1, 2.5, 3], session=[0, 0, 1], event=["buy", "click", "buy"], js=[0.1, 0.2, 0.3])
    sessions, items = np.array(["s0", "s1"]), np.array(["[PAD]", "x", "y", "z"])
    t.write(tmp_path / "events.parquet", sessions, items)
    assert [p.name for p in tmp_path.iterdir()] == ["events.parquet"]
    frame = pl.read_parquet(tmp_path / "events.parquet")
    assert frame.columns == [
        "session_id", "position", "item_id", "event", "reward", "rank", "greedy_item",
        "log_pi", "log_mu", "js", "kl",
    ]  # fmt: skip
    assert frame["session_id"].to_list() == ["s0", "s0", "s1"]
    assert frame["item_id"].to_list() == ["x", "y", "z"]
    names = ["hit@5", "purchase_ndcg@5", "js_divergence", "average_reward@1"]
    assert evaluate(read_events(tmp_path / "events.parquet"), names, KINDS) == evaluate(
        t, names, KINDS
    )


def test_what_is_known_of_the_items_survives_the_file(tmp_path):
    of_items = dict(
        seen=np.array([False, True, False]), previous_item=np.array([0, 1, 0]),
        trained=np.array([True, True, False]),
    )  # fmt: skip
    t = replace(table([1, 2, 3], session=[0, 0, 1], greedy=[3, 1, 3]), **of_items)
    t.write(tmp_path / "e", np.array(["s0", "s1"]), np.array(["[PAD]", "x", "y", "z"]))
    frame = pl.read_parquet(tmp_path / "e")
    assert frame["previous_item"].to_list() == [None, "x", None]
    again = read_events(tmp_path / "e")
    for name in of_items:
        np.testing.assert_array_equal(getattr(again, name), getattr(t, name))
    np.testing.assert_array_equal(again.item_id, t.item_id)
    np.testing.assert_array_equal(again.greedy_item, t.greedy_item)
    in_parts = [EventTable(**{name: column[rows] for name, column in vars(t).items()
                              if column is not None}) for rows in ([2], [0, 1])]  # fmt: skip
    np.testing.assert_array_equal(joined(in_parts).previous_item, [0, 1, 0])


def test_without_a_logging_policy_its_columns_are_null(tmp_path):
    table([1, 2]).write(tmp_path / "e", np.array(["a", "b"]), np.array(["", "x", "y"]))
    frame = pl.read_parquet(tmp_path / "e")
    assert frame["js"].null_count() == frame["kl"].null_count() == 2
    assert not read_events(tmp_path / "e").has_logging_policy


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hit", r"'hit' needs a cut-off, such as hit@20"),
        ("hit@0", r"'hit@0' needs a cut-off"),
        ("hit@05", r"'hit@05' needs a cut-off"),  # its name would be another one's
        ("hit@²", r"'hit@²' needs a cut-off"),
        ("js_divergence@5", r"no metric 'js_divergence@5', but js_divergence"),
        ("purchase_js_divergence", r"unknown metric 'purchase_js_divergence'"),
        ("clik_hit@5", r"did you mean 'click_hit'\?"),
    ],
)
def test_a_text_that_names_no_metric(text, said):
    with pytest.raises(ValueError, match=said):
        Metric.parse(text)


def test_a_metric_gives_its_name_back():
    for name in names_at(known_names(), [1, 20]):
        assert str(Metric.parse(name)) == name
        assert Metric.parse(name.upper()) == Metric.parse(name)
    assert Metric.parse("purchase_ndcg@20") == Metric(MEASURES["ndcg"], "purchase", 20)


def test_which_events_a_metric_is_over():
    names = ["hit@5", "average_reward@1", "click_hit@5", "reward_weighted_ndcg@5"]
    assert [Metric.parse(name).event_names(KINDS) for name in names] == [
        None, None, ("click",), ("buy", "click"),
    ]  # fmt: skip


def _logged_choice(events, k):
    return (events.table.greedy_item == events.table.item_id).astype(float)


def _bought_choice(events, k):
    return _logged_choice(events, k) * events.of("purchase")


CONVERSION = Measure("conversion", "Conversion", _bought_choice, _logged_choice, at_k=False)


def chosen(rng, sessions=300, often=0.5):
    """Sessions of like events: some buy more, and some have their items chosen more often."""
    session = np.repeat(np.arange(sessions), rng.integers(1, 9, sessions))
    n, bent = len(session), rng.normal(size=(2, sessions))[:, session]
    event = np.where(rng.normal(size=n) + bent[0] > 0.5, "buy", "click")
    found = rng.normal(size=n) + bent[1] > 1 - 2 * often
    greedy = np.where(found, np.arange(1, n + 1), 0)
    return session, event, greedy


@pytest.fixture
def conversion(monkeypatch):
    """A ratio added as a row: purchases among the first choices that were logged."""
    monkeypatch.setitem(MEASURES, "conversion", CONVERSION)


def test_a_ratio_is_a_row(conversion):
    t = table([1] * 5, event=["buy", "click", "buy", "click", "buy"], greedy=[1, 2, 9, 9, 5])
    got = evaluate(t, ["conversion"], KINDS)["conversion"]
    assert got.mean == pytest.approx(2 / 3) and got.count == 3
    # Σ (n − r d)² / (Σ d)², times S / (S − 1)
    pulls = np.array([1 / 3, -2 / 3, 0, 0, 1 / 3]) / 3
    assert got.stderr == pytest.approx(math.sqrt(5 / 4 * (pulls**2).sum()))
    none = evaluate(table([1, 2], greedy=[9, 9]), ["conversion"], KINDS)["conversion"]
    assert math.isnan(none.mean) and math.isnan(none.stderr) and none.count == 0
    assert names_at(["conversion"], [5]) == ["conversion"]
    assert Metric.parse("conversion").label == "Conversion"


def test_standard_error_of_a_ratio_agrees_with_resampling_sessions(conversion):
    session, event, greedy = chosen(np.random.default_rng(1))
    estimate = evaluate(
        table(np.ones(len(session)), session, event, greedy=greedy), ["conversion"], KINDS
    )["conversion"]
    found = (greedy > 0).astype(float)
    totals = [np.bincount(session, of) for of in (found * (event == "buy"), found)]
    draws = np.random.default_rng(0).integers(0, 300, (4000, 300))
    numerators, denominators = (of[draws].sum(1) for of in totals)
    assert estimate.stderr == pytest.approx(np.std(numerators / denominators), rel=0.05)
    # Of events for draws it would be another one: sessions are alike within.
    alone = table(np.ones(len(session)), event=event, greedy=greedy)
    assert evaluate(alone, ["conversion"], KINDS)["conversion"].stderr < 0.9 * estimate.stderr


def test_false_alarms_of_the_paired_test_of_a_ratio_are_as_many_as_it_says(conversion):
    """Two policies that choose alike from the same events, but not the same ones."""
    starred = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        session, event, _ = chosen(rng, 100)
        n = len(session)
        one, other = (
            table(np.ones(n), session, event, greedy=np.where(taken, np.arange(1, n + 1), 0))
            for taken in rng.random((2, n)) < 0.5
        )
        starred += bool(paired_difference(one, other, "conversion", KINDS).stars)
    assert stats.binomtest(starred, 300, 0.05).pvalue > 0.001


def test_metrics_start_without_what_they_do_not_need():
    code = (
        "import sys, recbole_lpi.evaluation.metrics; "
        "print(*{'recbole', 'pandas', 'scipy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stdout.strip()
