"""Draws by reward: how often each unit comes, what it weighs, and what cannot be drawn."""

import numpy as np
import pytest

from recbole_lpi.data.batches import collate
from recbole_lpi.data.reward_sampling import (
    RewardSampler,
    SamplingSettings,
    expected_counts,
    inclusion_probabilities,
    with_replacement,
    without_replacement,
)
from recbole_lpi.data.sessions import flat_sessions, whole_of
from recbole_lpi.data.windows import target_places, training_batches, training_windows
from recbole_lpi.settings import SettingError

DRAWS = 1500
SESSIONS = [  # rewards of each event; the first of a session is no target
    [0.2, 1.0, 0.2, 0.2], [9.0, 0.0], [0.0, 0.2, 0.0, 0.2, 1.0, 0.2, 1.0], [1.0, 1.0, 1.0],
    [0.2, 0.2], [0.2, 0.2, 0.0], [0.2, 0.2, 1.0, 0.2, 0.2], [0.2, 5.0],
]  # fmt: skip
TARGETS = [[*rewards[1:]] for rewards in SESSIONS]


def store(rewards=SESSIONS):
    session = [s for s, events in enumerate(rewards) for _ in events]
    reward = [r for events in rewards for r in events]
    item, zero = 1 + np.arange(len(session)) % 5, np.zeros(len(session))
    sessions = flat_sessions(session, item, zero, reward, zero, ("click",))
    part = whole_of(sessions)
    return sessions, training_windows(sessions, part, 20, None, False)


def sampler(rewards=SESSIONS, **settings):
    sessions, windows = store(rewards)
    return RewardSampler(sessions, windows, SamplingSettings(**settings))


def shares_in_the_loss(sampler, rng, batch_size=3):
    """What each target adds to the mean loss of an epoch's batches, [N], read off the batches."""
    sessions, windows = store()
    sample = sampler.draw(rng)
    batches = training_batches(sample.windows, batch_size, rng)
    weights, share = sample.weights(batches), np.zeros(len(sessions.items))
    for index in batches:
        batch = collate(sessions, sample.windows.take(index), 0.5, sample_weight=weights)
        counts = batch.counts.numpy()
        place = batch.place.numpy()[counts]
        share[place] += batch.sample_weight.numpy()[counts] / counts.sum() / len(batches)
    return share[target_places(windows)]


def z_scores(found, expected):
    """How many standard errors each column's mean is from what is expected."""
    stderr = found.std(0, ddof=1) / np.sqrt(len(found))
    return np.abs(found.mean(0) - expected) / np.maximum(stderr, 1e-8)  # float32


@pytest.mark.parametrize(
    ("share", "draws", "expected"),
    [
        ([1, 2, 3, 4], 1, [0.1, 0.2, 0.3, 0.4]),
        ([1, 2, 3, 4], 2, [0.2, 0.4, 0.6, 0.8]),
        ([1, 1, 8], 2, [0.5, 0.5, 1.0]),  # 8 would be 1.6: certain, and one draw is left
        ([1, 1, 4, 10], 3, [0.5, 0.5, 1.0, 1.0]),  # 10 is certain, then 4 is as well: 2 · 4/6
        ([0, 1, 8], 2, [0.0, 1.0, 1.0]),
    ],
)
def test_inclusion_probabilities_by_hand(share, draws, expected):
    found = inclusion_probabilities(np.array(share, float), draws)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_without_replacement_each_unit_comes_as_often_as_its_inclusion_probability():
    share = np.random.default_rng(1).exponential(size=40) ** 2
    expected = inclusion_probabilities(share, 15)
    assert (expected == 1).sum() > 1 and expected.sum() == pytest.approx(15)
    rng = np.random.default_rng(2)
    found = np.array([without_replacement(expected, rng) for _ in range(DRAWS)])
    assert set(np.unique(found)) == {0, 1} and (found.sum(1) == 15).all()
    assert z_scores(found, expected).max() < 4
    in_order_of_size = share / share.sum() * 15  # what a draw without the cap would have to be
    assert z_scores(found, in_order_of_size).max() > 10


def test_without_replacement_any_two_units_can_meet():
    """In a fixed order neighbours never would; in a random one all 6 pairs of 4 are alike."""
    rng, half = np.random.default_rng(8), np.full(4, 0.5)
    found = np.array([without_replacement(half, rng) for _ in range(DRAWS)])
    both = (found[:, [0]] * found[:, 1:]).astype(float)
    assert z_scores(both, np.full(3, 1 / 6)).max() < 4


def test_with_replacement_counts_are_multinomial():
    expected = 30 * np.array([0.1, 0.2, 0.3, 0.4])
    rng = np.random.default_rng(3)
    found = np.array([with_replacement(expected, rng) for _ in range(DRAWS)])
    assert (found.sum(1) == 30).all()
    assert z_scores(found, expected).max() < 4
    np.testing.assert_allclose(found.var(0), expected * (1 - expected / 30), rtol=0.1)


def test_probabilities_are_powers_of_epsilon_plus_reward():
    """With n = U = 4 draws: 4 (ε + r)^α / Σ."""
    reward = np.array([0.0, 0.2, 0.5, 1.0])
    found = expected_counts(reward, SamplingSettings(unit="event", alpha=2, epsilon=0.5))
    squares = np.array([0.25, 0.49, 1.0, 2.25])
    np.testing.assert_allclose(found, 4 * squares / squares.sum())
    uniform = expected_counts(reward, SamplingSettings(alpha=0, epsilon=0))
    np.testing.assert_allclose(uniform, [1, 1, 1, 1])
    low = expected_counts(reward, SamplingSettings(alpha=-1, epsilon=0.5))
    np.testing.assert_allclose(low, 4 * (1 / (0.5 + reward)) / (1 / (0.5 + reward)).sum())


def test_the_reward_of_a_session_is_the_sum_over_its_targets():
    found = sampler(alpha=1, epsilon=0)
    np.testing.assert_allclose(found.reward, [sum(t) for t in TARGETS], rtol=1e-6)
    assert found.expected[1] == 0  # its 9.0 is the first event, no target


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["session", "event"])
@pytest.mark.parametrize("draw", [{}, {"fraction": 3.0}, {"replacement": False, "fraction": 0.4}])
def test_corrected_every_target_counts_as_in_the_full_mean(unit, draw):
    """The share of a target in the epoch's loss is 1/N on average, in each target, or not at all.

    In batches of any cut: the denominators are not random.
    """
    rng, number = np.random.default_rng(4), sum(map(len, TARGETS))
    found = {
        correct: np.array([shares_in_the_loss(by, rng) for _ in range(DRAWS)])
        for correct in (True, False)
        for by in [sampler(unit=unit, alpha=1.5, epsilon=0.3, correct=correct, **draw)]
    }
    assert z_scores(found[True], np.full(number, 1 / number)).max() < 4
    assert z_scores(found[False], np.full(number, 1 / number)).max() > 10
    assert np.median(found[True].std(0)) > 0.1 / number  # drawn indeed
    # The plain mean over what was drawn: the shares of each draw sum to 1, exactly.
    np.testing.assert_allclose(found[False].sum(1), 1, rtol=1e-6)


def test_uncorrected_by_event_a_target_counts_by_its_reward():
    rng, by = np.random.default_rng(5), sampler(unit="event", alpha=1, epsilon=0)
    reward = np.concatenate(TARGETS)
    found = np.array([shares_in_the_loss(by, rng) for _ in range(DRAWS)])
    assert z_scores(found, reward / reward.sum()).max() < 4


def test_a_sample_keeps_whole_sessions_and_leaves_out_those_without_a_draw():
    sessions, windows = store()
    sample = sampler(unit="event", replacement=False, fraction=0.2).draw(np.random.default_rng(0))
    places = target_places(windows)
    drawn = np.flatnonzero(sample.factor)
    assert len(drawn) == sample.draws.sum() == round(0.2 * len(places))
    session = np.searchsorted(sessions.offsets, drawn, side="right") - 1
    assert set(sample.windows.session) == set(session) != set(windows.session)
    whole = windows.take(np.flatnonzero(np.isin(windows.session, session)))
    assert target_places(sample.windows).tolist() == target_places(whole).tolist()


def test_draws_are_those_of_the_seed_and_the_epoch():
    by = sampler(fraction=2.0)
    counts = [by.draw(np.random.default_rng([7, epoch])).draws for epoch in (0, 0, 1)]
    assert (counts[0] == counts[1]).all() and (counts[0] != counts[2]).any()


def test_the_description_tells_the_reward_of_a_draw_from_that_of_the_data():
    by = sampler(unit="event", alpha=0, replacement=False, fraction=0.5)
    sample = by.draw(np.random.default_rng(0))
    reward = np.concatenate(TARGETS)
    said = by.describe(sample)
    number = round(0.5 * len(reward))
    assert f"{number} draws from {len(reward)} events, {number} distinct" in said
    assert f"in {len(sample.windows)} of {len(SESSIONS)} sessions" in said
    assert f"draw {reward[sample.draws > 0].mean():.4f}, uniformly {reward.mean():.4f}" in said


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"unit": "user"}, "unit must be one of session, event, got 'user'"),
        ({"alpha": float("inf")}, "alpha must be finite, got inf"),
        ({"epsilon": -0.1}, "epsilon must be >= 0"),
        ({"fraction": 0.0}, "fraction must be > 0"),
        ({"fraction": 1.0, "replacement": False}, "every session would be drawn, and nothing"),
        ({"fraction": 0.0, "replacement": False}, r"fraction must be in \(0, 1\)"),
    ],
)
def test_refused_settings(settings, said):
    with pytest.raises(ValueError, match=said):
        SamplingSettings(**settings)


@pytest.mark.parametrize(
    ("settings", "rewards", "said"),
    [
        ({"epsilon": 0, "correct": True}, SESSIONS, "1 of 8 sessions would never be drawn"),
        ({"epsilon": 0, "alpha": -1}, SESSIONS, "no session can be drawn by alpha -1: set epsilon"),
        ({"epsilon": 0}, [[1, 0], [1, 0, 0]], "no session can be drawn"),
        ({"epsilon": 0.1}, [[1, -0.5], [1, 0]], "set epsilon to 0.5 or more"),
        (
            {"epsilon": 0, "unit": "event", "replacement": False, "fraction": 0.95},
            SESSIONS,
            "19 draws without replacement from 17 events that can be drawn: lower fraction",
        ),
        ({"replacement": False, "fraction": 0.95}, SESSIONS, "8 draws without replacement from 8"),
    ],
)
def test_rewards_that_leave_no_such_draw_are_refused(settings, rewards, said):
    with pytest.raises(SettingError, match=f"reward_sampling: .*{said}"):
        sampler(rewards, **settings)


def test_epsilon_zero_can_be_corrected_where_every_unit_has_a_reward():
    assert sampler([[0, 1, 2], [0, 3]], epsilon=0, correct=True).expected.tolist() == [1.0, 1.0]
