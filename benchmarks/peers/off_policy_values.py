"""What the Open Bandit Pipeline makes of a small log: values that tests compare ours with.

    python -m venv obp && obp/bin/pip install sb-obp==0.5.10
    obp/bin/python benchmarks/peers/off_policy_values.py

Prints one line for each estimator, as ``OBP`` of tests/evaluation/off_policy/test_estimators.py has
it. The log is of one event a session, six actions in two clusters, drawn with a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDS, ACTIONS, SEED = 200, 6, 12345
CLUSTER = np.array([0, 0, 0, 1, 1, 1])
CLIP, SWITCH, SHRINKAGE = 3.0, 2.0, 5.0


def random_log() -> dict[str, np.ndarray]:
    """Draw a log: of each round the policies [N, A], the action, the reward, a model [N, A]."""
    draws = np.random.default_rng(SEED)
    logits = draws.normal(size=(2, ROUNDS, ACTIONS))
    mu, pi = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    action = np.array([draws.choice(ACTIONS, p=row) for row in mu])
    mean = draws.uniform(size=(ROUNDS, ACTIONS))
    reward = draws.binomial(1, mean[np.arange(ROUNDS), action]).astype(float)
    model = np.clip(mean + 0.2 * draws.normal(size=mean.shape), 0, 1)
    return {"mu": mu, "pi": pi, "action": action, "reward": reward, "model": model}


def values() -> dict[str, float]:
    """Estimate the value of π by every estimator of the Pipeline that we have too."""
    from obp import ope

    log, rows = random_log(), np.arange(ROUNDS)
    given: dict[str, Any] = {
        "reward": log["reward"], "action": log["action"],
        "pscore": log["mu"][rows, log["action"]],
        "action_dist": log["pi"][:, :, None], "position": np.zeros(ROUNDS, int),
    }  # fmt: skip
    model = {"estimated_rewards_by_reg_model": log["model"][:, :, None]}
    embedded = {
        "action_embed": CLUSTER[log["action"]][:, None],
        "pi_b": log["mu"][:, :, None],
        "p_e_a": np.eye(2)[CLUSTER][:, :, None],
    }
    estimators = {
        "ips": (ope.InverseProbabilityWeighting(), {}),
        "clipped_ips": (ope.InverseProbabilityWeighting(lambda_=CLIP), {}),
        "snips": (ope.SelfNormalizedInverseProbabilityWeighting(), {}),
        "dm": (ope.DirectMethod(), model),
        "dr": (ope.DoublyRobust(), model),
        "sndr": (ope.SelfNormalizedDoublyRobust(), model),
        "switch_dr": (ope.SwitchDoublyRobust(lambda_=SWITCH), model),
        "dros": (ope.DoublyRobustWithShrinkage(lambda_=SHRINKAGE), model),
        "mips": (ope.MarginalizedInverseProbabilityWeighting(n_actions=ACTIONS), embedded),
    }
    return {
        name: float(estimator.estimate_policy_value(**given, **more))
        for name, (estimator, more) in estimators.items()
    }


if __name__ == "__main__":
    for name, value in values().items():
        print(f'    "{name}": {value!r},')
