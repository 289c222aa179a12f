"""A policy put to use gives what its evaluation gave, and draws what it says it draws."""

import numpy as np
import polars as pl
import pytest
import torch
from scipy import stats

from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import flat_sessions
from recbole_lpi.data.tokens import Tokens
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.serving import load_policy
from recbole_lpi.serving.choosing import Choice
from recbole_lpi.settings import SettingError
from recbole_lpi.training import RunFolder, TrainingSettings, train_policy

ITEMS, KINDS = 30, ("click", "purchase")
NAMES = ["[PAD]", *(f"item {n}" for n in range(1, ITEMS + 1))]
LENGTH = 6


def log(seed):
    draws = np.random.default_rng(seed)
    session = np.repeat(np.arange(60), draws.integers(2, 12, 60))
    item = draws.integers(1, ITEMS + 1, len(session))
    event = draws.integers(0, 2, len(session))
    time = 1.6e9 + np.cumsum(draws.exponential(50, len(session)))
    return flat_sessions(session, item, time, np.where(event, 1.0, 0.2), event, KINDS)


def part(first_event, seed):
    reading = Reading(max_length=LENGTH, evaluate_first_event=first_event)
    return SessionData(log(seed), None, ITEMS + 1, reading, "test", "shop", Tokens(NAMES))


@pytest.fixture(scope="module", params=[True, False], ids=["opens sessions", "does not"])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    settings = PolicySettings(
        NetworkSettings(hidden_size=8), max_length=LENGTH, evaluate_first_event=request.param
    )
    network = PolicyNetwork("LPI", settings, ITEMS, event_names=KINDS)
    how = TrainingSettings(epochs=2, learning_rate=0.02)
    train, held = part(request.param, 1), part(request.param, 2)
    run = train_policy(network, train, None, how, folder=RunFolder(folder))
    run.evaluate(held)
    return folder, held


def histories_of(held):
    """The events before each target of a part, as a user has them: names, kinds and times."""
    store, found = held.sessions, []
    for place in held.places:
        first = store.offsets[np.searchsorted(store.offsets, place, side="right") - 1]
        found.append(
            [
                (NAMES[store.items[i]], KINDS[store.events[i]], float(store.timestamps[i]))
                for i in range(first, place)
            ]
        )
    return found


def test_it_gives_what_evaluation_gave(trained):
    folder, held = trained
    policy, events = load_policy(folder), pl.read_parquet(folder / "events.parquet")
    histories = histories_of(held)
    log_pi = policy.log_prob(histories, events["item_id"].to_list())
    np.testing.assert_allclose(log_pi, events["log_pi"], atol=1e-5)
    found = policy.recommend(histories, k=3)
    np.testing.assert_allclose(found.scores[:, 0], events["greedy_log_pi"], atol=1e-5)
    clear = found.scores[:, 0] - found.scores[:, 1] > 1e-5
    assert clear.mean() > 0.9
    assert (found.items[clear, 0] == events["greedy_item"].to_numpy()[clear]).all()


def test_propensities_sum_to_one_over_the_catalogue(trained):
    folder, held = trained
    policy, histories = load_policy(folder), histories_of(held)[5:9]
    found = policy.recommend(histories, k=ITEMS)
    np.testing.assert_allclose(found.propensities.sum(1), 1, atol=1e-6)
    assert all(sorted(row) == sorted(NAMES[1:]) for row in found.items)
    assert (np.diff(found.scores, axis=1) <= 0).all()
    assert policy.recommend(histories, k=ITEMS + 5).items.shape == (4, ITEMS)


def test_what_was_seen_and_what_is_no_candidate_is_left_out(trained):
    folder, held = trained
    policy, history = load_policy(folder), histories_of(held)[5]
    seen = {item for item, *_ in history[-LENGTH:]}
    found = policy.recommend([history], k=ITEMS, exclude_seen=True)
    names = [name for name in found.items[0] if name is not None]
    assert set(names) == set(NAMES[1:]) - seen
    assert found.propensities.sum() == pytest.approx(1, abs=1e-6)
    few = ["item 3", "item 4", "item 5"]
    among = policy.recommend([history], k=5, candidates=few)
    assert set(among.items[0]) == {*few, None} and among.propensities.sum() == pytest.approx(1)
    everything = policy.recommend([history], k=ITEMS)
    ratio = dict(zip(everything.items[0], everything.propensities[0], strict=True))
    total = sum(ratio[name] for name in few)
    for name, chance in zip(among.items[0][:3], among.propensities[0], strict=False):
        assert chance == pytest.approx(ratio[name] / total, rel=1e-5)
    assert len(among.table()) == 3


def test_draws_are_as_frequent_as_their_propensities(trained):
    folder, held = trained
    policy, history = load_policy(folder), histories_of(held)[5]
    number = 4_000
    found = policy.recommend([history] * number, k=2, sample=True, seed=4)
    chance = policy.recommend([history], k=ITEMS)
    expected = dict(zip(chance.items[0], chance.propensities[0], strict=True))
    first = pl.Series(found.items[:, 0].tolist()).value_counts()
    counts = dict(first.iter_rows())
    observed = np.array([counts.get(name, 0) for name in expected])
    share = np.array(list(expected.values()))
    assert stats.chisquare(observed, number * share / share.sum()).pvalue > 0.001
    for drawn, given in zip(found.items[:50], found.propensities[:50], strict=True):
        assert drawn[0] != drawn[1]
        one, two = (expected[name] for name in drawn)
        np.testing.assert_allclose(given, [one, two / (1 - one)], rtol=1e-4)
    assert (
        policy.recommend([history] * 9, k=2, sample=True, seed=7).items
        == policy.recommend([history] * 9, k=2, sample=True, seed=7).items
    ).all()


def test_a_million_draws_are_as_frequent_as_their_propensities(trained):
    folder, held = trained
    policy, history = load_policy(folder), histories_of(held)[5]
    log_pi = policy.policy.log_pi(policy.read([history])[1])
    counts, second, share = np.zeros(ITEMS), np.zeros(ITEMS), np.exp(log_pi[0].astype(float))
    choice = Choice(2, draws=np.random.default_rng(3))
    for _ in range(10):
        found = choice.of(np.broadcast_to(log_pi, (10**5, ITEMS)), np.zeros((10**5, 1), int))
        counts += np.bincount(found.place[:, 0], minlength=ITEMS)
        of_first = found.place[:, 0] == 0
        second += np.bincount(found.place[of_first, 1], minlength=ITEMS)
    assert stats.chisquare(counts, 10**6 * share / share.sum()).pvalue > 0.001
    left = share[1:] / share[1:].sum()  # what is second, after the first item of all
    assert stats.chisquare(second[1:], second.sum() * left).pvalue > 0.001


def test_unknown_items_are_left_out_and_counted(trained):
    folder, _ = trained
    policy = load_policy(folder)
    known = [("item 1", "click", 1.6e9), ("item 2", "click", 1.6e9 + 30)]
    with_unknown = [known[0], ("gone", "click", 1.6e9 + 10), known[1]]
    found = policy.recommend([with_unknown], k=4)
    assert found.unknown == 1
    np.testing.assert_allclose(found.scores, policy.recommend([known], k=4).scores)


def test_an_empty_history_needs_a_policy_that_opens_sessions(trained):
    folder, held = trained
    policy = load_policy(folder)
    if held.reading.evaluate_first_event:
        assert policy.recommend([[]], k=2).items.shape == (1, 2)
    else:
        with pytest.raises(ValueError, match=r"session 1 has no event .*evaluate_first_event"):
            policy.recommend([[("item 1", "click", 1.0)], [("gone", "click", 1.0)]])


def test_no_history_at_all_is_no_recommendation(trained):
    found = load_policy(trained[0]).recommend([], k=3)
    assert found.items.shape == (0, 3) and len(found.table()) == 0


def test_what_a_policy_reads_must_be_there(trained):
    policy = load_policy(trained[0])
    with pytest.raises(ValueError, match="the policy reads event of each event"):
        policy.recommend([["item 1"]])
    with pytest.raises(ValueError, match=r"'order' is no kind .* click, purchase"):
        policy.recommend([[("item 1", "order", 1.0)]])
    with pytest.raises(ValueError, match="candidates has 'gone'"):
        policy.recommend([[("item 1", "click", 1.0)]], candidates=["gone"])
    with pytest.raises(ValueError, match="k must be >= 1"):
        policy.recommend([], k=0)
    with pytest.raises(ValueError, match="1 histories and 2 items"):
        policy.log_prob([[("item 1", "click", 1.0)]], ["item 1", "item 2"])


def test_a_policy_does_not_differ_from_itself_and_does_from_another(trained):
    folder, held = trained
    policy, other = load_policy(folder), load_policy(folder)
    histories = histories_of(held)[3:9]
    np.testing.assert_allclose(policy.divergence(other, histories), 0, atol=1e-6)
    with torch.no_grad():
        other.policy.network.item_embedding.weight.mul_(30)  # type: ignore[attr-defined]
    found = policy.divergence(other, histories)
    assert (found > 0.01).all() and (found <= np.log(2) + 1e-6).all()


def test_a_policy_of_before_there_were_names_is_refused(trained, tmp_path):
    state = torch.load(trained[0] / "model.pth", weights_only=True)
    del state["items"]
    state["schema"] = 1
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(SettingError, match="earlier version"):
        load_policy(tmp_path)
