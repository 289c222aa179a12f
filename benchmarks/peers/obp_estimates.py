"""Estimates of Open Bandit Pipeline on a made-up log, which our tests hold ours against.

Run from the repository in an environment that has ``sb-obp==0.5.10``:

    PYTHONPATH=. python benchmarks/peers/obp_estimates.py > tests/evaluation/off_policy/obp.json

The log is ``tests.support.bandits.bandit_log``, made by numpy alone and a seed.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from obp.ope import (
    DirectMethod,
    DoublyRobust,
    DoublyRobustWithShrinkage,
    InverseProbabilityWeighting,
    MarginalizedInverseProbabilityWeighting,
    SelfNormalizedDoublyRobust,
    SelfNormalizedInverseProbabilityWeighting,
    SwitchDoublyRobust,
)

from tests.support.bandits import BanditLog, bandit_log

CLIP, SWITCH, SHRINKAGE = 3.0, 2.0, 9.0


def estimates(log: BanditLog) -> dict[str, float]:
    """Its value of each estimator that both have, by our names."""
    rounds, items = log.mu.shape
    zero = np.zeros(rounds, int)
    given: dict[str, Any] = {
        "reward": log.reward, "action": log.action, "pscore": log.at(log.mu),
        "action_dist": log.pi[:, :, None], "position": zero,
        "estimated_rewards_by_reg_model": log.q[:, :, None],
    }  # fmt: skip
    of_cluster = np.eye(int(log.cluster.max()) + 1)[log.cluster][:, :, None]
    marginal = MarginalizedInverseProbabilityWeighting(n_actions=items).estimate_policy_value(
        reward=log.reward, action=log.action, action_embed=log.cluster[log.action][:, None],
        pi_b=log.mu[:, :, None], action_dist=log.pi[:, :, None], position=zero,
        p_e_a=of_cluster, context=np.zeros((rounds, 1)),
    )  # fmt: skip
    theirs = {
        "ips": InverseProbabilityWeighting(),
        "clipped_ips": InverseProbabilityWeighting(lambda_=CLIP),
        "snips": SelfNormalizedInverseProbabilityWeighting(),
        "dm": DirectMethod(),
        "dr": DoublyRobust(),
        "sndr": SelfNormalizedDoublyRobust(),
        "switch_dr": SwitchDoublyRobust(lambda_=SWITCH),
        "dros": DoublyRobustWithShrinkage(lambda_=SHRINKAGE),
    }
    found = {name: float(one.estimate_policy_value(**given)) for name, one in theirs.items()}
    return {**found, "mips": float(marginal)}


if __name__ == "__main__":
    settings = {"clip": CLIP, "switch": SWITCH, "shrinkage": SHRINKAGE}
    by_seed = {str(seed): estimates(bandit_log(seed=seed)) for seed in range(3)}
    print(json.dumps({"settings": settings, "estimates": by_seed}, indent=1))
