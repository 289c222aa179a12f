import numpy as np
import pytest
import torch

from recbole_lpi.data.session_data import Reading, SessionData
from recbole_lpi.data.sessions import flat_sessions
from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
from recbole_lpi.training import overlap
from recbole_lpi.training.overlap import clusters_of, overlap_columns

ITEMS = 9
SETTINGS = PolicySettings(NetworkSettings(hidden_size=8, inputs=("item",)), max_length=5)


@pytest.fixture
def part():
    draws = np.random.default_rng(0)
    session = np.repeat(np.arange(12), 6)
    item = draws.integers(1, ITEMS + 1, len(session))
    log = flat_sessions(session, item, np.arange(72), np.ones(72), np.zeros(72), ("click",))
    return SessionData(log, None, ITEMS + 1, Reading(max_length=5))


@pytest.fixture
def policies():
    torch.manual_seed(1)
    pair = [PolicyNetwork("LoggingPolicy", SETTINGS, ITEMS).eval() for _ in range(2)]
    with torch.no_grad():
        for network in pair:
            network.item_embedding.weight.mul_(60)
    return pair


@pytest.mark.parametrize("most", [1, 2**24])
def test_columns_equal_plain_loops(part, policies, monkeypatch, most):
    monkeypatch.setattr(overlap, "MATRIX_ELEMENTS", most)
    clusters, floor = np.arange(ITEMS) % 3, 0.05
    found = overlap_columns(policies[0], policies[1], part, clusters, floor, batch_size=4)
    batch = part.batch(part.windows)
    at = batch.counts
    with torch.no_grad():
        pi, mu = (p.factors(batch.history, at).outputs().double().softmax(-1) for p in policies)
    rows = np.searchsorted(part.places, batch.place[at].numpy())
    for n, item in enumerate((batch.action[at] - 1).tolist()):
        same = [a for a in range(ITEMS) if clusters[a] == clusters[item]]
        for column, chance in ((found.log_pi_cluster, pi), (found.log_mu_cluster, mu)):
            expected = np.log(sum(float(chance[n, a]) for a in same))
            assert column[rows[n]] == pytest.approx(expected, abs=1e-5)
        hidden = sum(float(pi[n, a]) for a in range(ITEMS) if mu[n, a] < floor)
        assert found.unsupported[rows[n]] == pytest.approx(hidden, abs=1e-6)
    assert 0 < found.unsupported.mean() < 1


def test_one_cluster_of_all_items_weighs_nothing(part, policies):
    found = overlap_columns(policies[0], policies[1], part, np.zeros(ITEMS, np.int64))
    np.testing.assert_allclose(found.log_pi_cluster, 0, atol=1e-12)
    np.testing.assert_allclose(found.log_mu_cluster, 0, atol=1e-12)


def test_items_with_like_rows_are_of_one_cluster():
    network = PolicyNetwork("LoggingPolicy", SETTINGS, ITEMS)
    ways = torch.eye(3, 8)
    with torch.no_grad():
        network.item_embedding.weight[1:] = ways[torch.arange(ITEMS) % 3] * torch.rand(ITEMS, 1)
    clusters = clusters_of(network, 3, seed=1)
    assert len(set(clusters)) == 3
    for way in range(3):
        assert len(set(clusters[way::3])) == 1
    assert len(clusters_of(network, 50, seed=1)) == ITEMS
