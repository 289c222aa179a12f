"""What is gathered of a policy: estimates over seeds, what a log is of, doubts, examples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.metrics import Kinds
from recbole_lpi.evaluation.off_policy import LoggedEvents, ReportSettings, report_on
from recbole_lpi.evaluation.significance import paired
from recbole_lpi.experiments.decision import doubts, estimates
from recbole_lpi.experiments.decision.choices import concentration
from recbole_lpi.experiments.decision.content import gather
from recbole_lpi.experiments.decision.examples import CHANCE, DOWN, UP, chosen
from recbole_lpi.experiments.decision.logs import deciding_metric, kind_of
from recbole_lpi.experiments.decision.rules import Rules
from recbole_lpi.experiments.decision.source import read_titles
from recbole_lpi.experiments.runs import load
from recbole_lpi.settings import SettingError
from tests.support.bandits import bandit_log

KINDS = Kinds(("purchase",), ("click",))


def near_log(size=4000):
    log = bandit_log(size)
    log.pi = 0.2 * log.pi + 0.8 * log.mu
    return log.events()


def test_one_run_is_estimated_as_estimate_does():
    events = near_log()
    found = paired(estimates.of_the_log(events), estimates.of_policy([events]))
    report = report_on("x", events, ReportSettings(resamples=0, estimators=("delta_snips",)))
    (row,) = report.estimates
    assert found.difference == pytest.approx(row.value)
    assert found.stderr == pytest.approx(row.stderr)


def test_seeds_that_disagree_make_an_improvement_less_sure():
    events = near_log()
    other = replace(events, log_pi=events.log_mu)  # it is what made the log
    log = estimates.of_the_log(events)
    one, two = (paired(log, estimates.of_policy(runs)) for runs in ([events], [events, other]))
    assert two.difference == pytest.approx(one.difference / 2)
    between = abs(one.difference) / 2  # their standard error, s / √2 of two seeds
    assert one.difference and two.stderr >= between * 0.999


def test_events_of_a_segment_keep_their_sessions_together():
    log = LoggedEvents(
        np.array([1.0, 0.0, 1.0]), np.full(3, -1.0), np.full(3, -2.0), np.array([0, 1, 1]),
        np.array([0, 0, 1]), q=np.zeros(3),
    )  # fmt: skip
    part = estimates.at(log, np.array([False, True, True]))
    assert part.session.tolist() == [0, 0] and part.position.tolist() == [0, 1]
    assert part.q is None  # of no use to the improvement


def table(events, rewards, ranks=None, session=None):
    n = len(events)
    zeros = np.zeros(n)
    return EventTable(
        np.arange(n) if session is None else np.asarray(session), np.arange(n), np.arange(n) + 1,
        np.array(events, dtype=object), np.asarray(rewards, float),
        np.asarray(zeros + 1 if ranks is None else ranks, float), np.ones(n, int), zeros - 1,
        zeros - 1, zeros, zeros,
    )  # fmt: skip


def test_a_log_of_impressions_has_what_was_shown_and_not_taken():
    shown = table(["click", "ignored"], [0.2, 0.0])
    assert kind_of(shown, KINDS).words == "impressions without propensities"
    logged = replace(shown, log_propensity=np.zeros(2))
    assert kind_of(logged, KINDS).words == "impressions with propensities"
    assert "not what a policy would earn" in kind_of(table(["click"], [0.2]), KINDS).caution


def test_a_rating_that_earns_nothing_is_no_impression():
    assert not kind_of(table(["click", "purchase"], [0.0, 1.0]), KINDS).impressions


def test_purchases_matter_where_there_are_any():
    assert deciding_metric(table(["click", "purchase"], [0, 1]), KINDS, 5) == "purchase_ndcg@5"
    assert deciding_metric(table(["click", "view"], [0, 1]), KINDS, 5) == "click_ndcg@5"
    assert deciding_metric(table(["view"], [1]), KINDS, 5) == "ndcg@5"


def test_examples_are_of_ten_sessions_with_the_extremes_first():
    base = np.full(60, 10.0)
    own = base.copy()
    own[[0, 1, 2, 3]], own[[10, 11, 12, 13]] = [1, 1, 2, 3], [60, 50, 40, 30]
    session = np.arange(60)
    session[1] = 0  # the second gain is of the same session as the first
    events = ["purchase"] * 59 + ["click"]
    found = chosen(
        table(events, base, own, session), table(events, base, base, session), "purchase_ndcg@20",
        KINDS,
    )  # fmt: skip
    assert [row for row, why in found if why == UP] == [0, 2, 3]
    assert [row for row, why in found if why == DOWN] == [10, 11, 12]
    by_chance = [row for row, why in found if why == CHANCE]
    assert len(by_chance) == 4 and 59 not in by_chance
    assert len({session[row] for row, _ in found}) == 10
    again = chosen(
        table(events, base, own, session), table(events, base, base, session), "purchase_ndcg@20",
        KINDS,
    )  # fmt: skip
    assert again == found


def test_concentration_of_choices_by_hand():
    log = replace(table(["click"] * 4, [1] * 4), previous_item=np.array([0, 5, 5, 6]))
    found = concentration("x", np.array([5, 5, 6, 6]), log)
    assert (found.distinct, found.top_ten, found.gini) == (2, 1.0, 0.0)
    assert found.as_varied_as == pytest.approx(2)
    assert found.the_last == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("td loss", [0.2, 0.1, 0.31], "Q is diverging"),
        ("td loss", [0.2, 0.1, 0.29], None),
        ("td loss", [0.1, 0.1, float("nan")], "Q is diverging"),
        ("effective fraction", [0.04, 0.04, 0.04], "4.0% of the events"),
        ("effective fraction", [0.04, 0.06, 0.04], None),
    ],
)
def test_training_that_is_unsound(name, values, said):
    found = list(doubts.of_training([{name: value} for value in values], best=1))
    assert [said] == [said for one in found if said and said in one] if said else not found


def test_doubts_of_a_run_from_its_own_files(made):
    folder = made("a", [1, 2, 3, 4], mu=-3.0, weight_clip=2, model="IPS")
    metrics = json.loads((folder / "metrics.json").read_text())
    floors = {"last_item": {"purchase_ndcg@20": {"mean": 0.9}}}
    metrics |= {"best_epoch": 4, "epochs": 5, "floors": floors}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "log.txt").write_text(
        "".join(
            f"12:00 INFO epoch {epoch} training [time: 1.00s, td loss: {loss}]\n"
            f"12:00 INFO logging policy: epoch {epoch} training [time: 1.00s, td loss: 99]\n"
            for epoch, loss in enumerate((0.1, 0.2, 0.5))
        )
    )
    run = load(folder)
    found = " ".join(doubts.doubts(run, table(["click"], [1]), None))
    assert "last of the 5" in found and "rose from 0.1 to 0.5" in found
    clipped = replace(table(["click"] * 3, [1] * 3), log_mu=np.full(3, -3.0), js=np.zeros(3))
    assert "100% of the weights are clipped" in " ".join(doubts.of_clipping(run, clipped))
    ahead = doubts.floor_ahead(run, "purchase_ndcg@20", 0.8)
    assert ahead is not None and (ahead.name, ahead.floor) == ("last item", 0.9)
    assert doubts.floor_ahead(run, "purchase_ndcg@20", 0.9) is None


def test_titles_are_read_as_they_are(tmp_path):
    path = tmp_path / "shop.item"
    path.write_text('item_id:token\tmovie_title:token_seq\ni1\t"Quoted" <b>\ni2\t\n')
    assert read_titles(path, "item_id") == {"i1": '"Quoted" <b>'}
    assert read_titles(path, "other") == {} == read_titles(tmp_path / "none.item", "item_id")


def judged(made, own, base, **gather_with):
    made("mu", base, model="LoggingPolicy")
    made("own", own, mu=-0.5)
    runs = [Path("own"), Path("mu")]
    return gather(runs, [], Rules(), Path("r.html"), **gather_with)


def test_a_policy_that_ranks_purchases_higher_is_shipped(made):
    rng = np.random.default_rng(0)
    base = rng.integers(2, 10, 400)
    found = judged(made, base - 1, base)
    assert (found.first.decision.word, found.first.decision.by) == ("ship", "ranks")
    assert found.court.against == "the logging policy"
    assert found.no_data and not found.examples  # there are no data beside these runs


def test_more_policies_ask_for_more(made):
    """Purchases rank higher in 6 of 100 sessions: p = .013 of one test, .026 of two."""
    base = np.full(200, 5)
    own = base.copy()
    own[1:13:2] = 4
    assert judged(made, own, base).first.decision.word == "ship"
    for n in range(4):
        made(f"other{n}", base, mu=-0.5, beta=0.1 * (n + 1), logging_policy="mu")
    runs = [Path(name) for name in ("own", "mu", *(f"other{n}" for n in range(4)))]
    content = gather(runs, [], Rules(), Path("r.html"))
    (own_again,) = [one for one in content.judged if one.own.policy.folders == (Path("own"),)]
    assert own_again.decision.word == "cannot tell"


def test_without_ranks_of_what_runs_nothing_can_be_told(made):
    made("own", [1, 2, 3, 4], mu=-0.5)
    found = gather([Path("own")], [], Rules(), Path("r.html"))
    assert found.first.decision.word == "cannot tell"
    assert found.no_baseline == "the run has no logging policy"


def test_against_takes_one_policy_and_leaves_one_to_decide_on(made):
    made("a", [1, 2, 3, 4], mu=-0.5)
    made("b", [1, 2, 3, 4], mu=-0.5, beta=0.5)
    made("c", [1, 2, 3, 4], mu=-0.5, beta=0.7)
    found = gather([Path("a")], [Path("b")], Rules(), Path("r.html"))
    assert found.court.against == "LPIRL (beta=0.5)" and not found.court.is_log
    with pytest.raises(SettingError, match="several policies"):
        gather([Path("a")], [Path("b"), Path("c")], Rules(), Path("r.html"))
    with pytest.raises(SettingError, match="name a run to decide on"):
        gather([Path("a")], [Path("a")], Rules(), Path("r.html"))
