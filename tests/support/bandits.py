"""Small contextual bandits with a known truth, and their logs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from recbole_lpi.evaluation.off_policy import LoggedEvents


@dataclass
class BanditLog:
    """A log of ``rows`` rounds: policies [N, A], rewards, a model of them, clusters of items."""

    mu: ndarray
    pi: ndarray
    action: ndarray
    reward: ndarray
    q: ndarray
    cluster: ndarray

    def at(self, table: ndarray) -> ndarray:
        return np.asarray(table[np.arange(len(self.action)), self.action])

    def of_clusters(self, table: ndarray) -> ndarray:
        """Probability of the logged item's cluster, [N]."""
        same = self.cluster[None, :] == self.cluster[self.action][:, None]
        return np.asarray((table * same).sum(1))

    def events(self) -> LoggedEvents:
        return LoggedEvents(
            reward=self.reward,
            log_pi=np.log(self.at(self.pi)),
            log_mu=np.log(self.at(self.mu)),
            session=np.arange(len(self.action)) // 2,
            position=np.arange(len(self.action)) % 2,
            q=self.at(self.q),
            v_pi=(self.pi * self.q).sum(1),
            v_mu=(self.mu * self.q).sum(1),
            action_value=self.at(self.q),
            state_value=(self.pi * self.q).sum(1),
            expected_advantage=((self.pi - self.mu) * self.q).sum(1),
            log_pi_cluster=np.log(self.of_clusters(self.pi)),
            log_mu_cluster=np.log(self.of_clusters(self.mu)),
        )


def softmax(logits: ndarray) -> ndarray:
    exp = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exp / exp.sum(1, keepdims=True))


def bandit_log(rows: int = 400, items: int = 7, seed: int = 0) -> BanditLog:
    """A log of random policies, by a seed alone: numpy promises the stream of this generator."""
    draw = np.random.RandomState(seed)
    mu, pi = (softmax(scale * draw.randn(rows, items)) for scale in (1.0, 2.0))
    action = (draw.rand(rows, 1) > mu.cumsum(1)).sum(1).clip(max=items - 1)
    truth = draw.rand(rows, items)
    reward = (draw.rand(rows) < truth[np.arange(rows), action]).astype(np.float64)
    q = np.clip(truth + 0.2 * draw.randn(rows, items), 0, 1)
    return BanditLog(mu, pi, action, reward, q, np.arange(items) % 3)
