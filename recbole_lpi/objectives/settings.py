"""The settings of objectives, each checked by itself when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from recbole_lpi.objectives.advantage_estimators import ADVANTAGE_ESTIMATORS
from recbole_lpi.objectives.baselines import BASELINES
from recbole_lpi.objectives.value_estimators import VALUE_ESTIMATORS
from recbole_lpi.roles import Role

Q_HEADS = ("bilinear", "table")
PROPENSITIES = ("head", "checkpoint", "logged")


@dataclass(frozen=True)
class ObjectiveSettings:
    """Settings of an objective; ValueError names the setting, its value and what it may be.

    Which of them a policy reads, and which do not go together, its row of ``OBJECTIVES`` knows.
    What ``value_estimator``, ``advantage_estimator`` and ``advantage_baseline`` may be are the
    names of the rows of ``VALUE_ESTIMATORS``, ``ADVANTAGE_ESTIMATORS`` and ``BASELINES``.

    Attributes:
        gamma: discount γ, in [0, 1] (section 3.2, where it is below 1; sessions are finite); 0 is
            the contextual bandit.
        beta: temperature β > 0 of exp(A/β), the price of moving away from μ (Eq. 7, 8).
        td_weight: λ ≥ 0, the weight of the TD loss (Eq. 10).
        value_estimator: what the TD target takes for the value of the next state. None is
            ``double_q`` for a Q head and ``sarsa`` for a value head.
        q_head: the form of Q(x, a): ``bilinear``, in the state and the row by which the policy
            scores the item; or ``table``, a row of its own for each item (section 4.2).
        advantage_estimator: ``analytic``, A = Q(x, a) − baseline from a Q head (section 4.2);
            ``td_residual``, A = r + γ V(x') − V(x) from a value head; or ``gae``, the sum of
            those residuals to the end of the session, discounted by γ · gae_lambda.
        gae_lambda: λ of ``gae``, in [0, 1]; 0 is ``td_residual``, 1 is return − V(x).
        advantage_baseline: what the analytic advantage subtracts: ``policy`` E_π[Q], ``logging``
            E_μ̂[Q], ``max`` max_a Q, ``value`` a value head regressed on Q(x, a), or
            ``negatives``, the mean of Q over the logged item and its sampled negatives. The other
            estimators subtract their value head, so ``value`` may be said of them.
        expectile: τ of the value head's regression on Q(x, a), in (0, 1); 0.5 is the mean, towards
            1 it nears the best action in the data (Kostrikov et al. 2022).
        negative_samples: items drawn per event, whose Q is learnt as that of a wasted step with
            no reward (Xin et al. 2022).
        weight_clip: upper bound of the policy weight, of the importance ratio where there is one;
            None: none (the paper states none but for the ratio, 30).
        weight_normalize: divide the weights by their mean size, over the epoch before, so that β
            does not also act as a learning rate.
        warmup_epochs: epochs of plain cross-entropy before the weights begin (Xin et al. 2020);
            none of them can be the best.
        propensity: what the importance ratio divides by: ``head``, μ̂ learnt on the detached state
            (section 4.1); ``checkpoint``, μ̂ of the logging policy of the run; or ``logged``, the
            propensity μ(a | x) that the log has of each event.
        slate_size: K of the top-K correction, ≥ 1 (Chen et al. 2019).
    """

    ROLE: ClassVar[Role] = Role.MODEL

    gamma: float = 0.5
    beta: float = 1.0
    td_weight: float = 1.0
    value_estimator: str | None = None
    q_head: str = "bilinear"
    advantage_estimator: str = "analytic"
    gae_lambda: float = 0.95
    advantage_baseline: str = "policy"
    expectile: float = 0.5
    negative_samples: int = 0
    weight_clip: float | None = None
    weight_normalize: bool = False
    warmup_epochs: int = 0
    propensity: str = "head"
    slate_size: int = 16

    def __post_init__(self) -> None:
        _require(0 <= self.gamma <= 1, "gamma", self.gamma, "in [0, 1]")
        _require(0 < self.beta < float("inf"), "beta", self.beta, "> 0 and finite")
        _require(0 <= self.td_weight < float("inf"), "td_weight", self.td_weight, ">= 0 and finite")
        _require(0 <= self.gae_lambda <= 1, "gae_lambda", self.gae_lambda, "in [0, 1]")
        _require(0 < self.expectile < 1, "expectile", self.expectile, "in (0, 1)")
        for name, least in (("negative_samples", 0), ("warmup_epochs", 0), ("slate_size", 1)):
            value = getattr(self, name)
            _require(value >= least, name, value, f">= {least}")
        clip = self.weight_clip
        _require(clip is None or clip > 0, "weight_clip", clip, "> 0, or null")
        for name, known in (
            ("value_estimator", VALUE_ESTIMATORS),
            ("q_head", Q_HEADS),
            ("advantage_estimator", ADVANTAGE_ESTIMATORS),
            ("advantage_baseline", BASELINES),
            ("propensity", PROPENSITIES),
        ):
            value = getattr(self, name)
            known_or_none = value in known or (name == "value_estimator" and value is None)
            _require(known_or_none, name, value, f"one of {', '.join(known)}")


def _require(ok: bool, name: str, value: object, rule: str) -> None:
    """ValueError that says what the setting ``name`` must be, unless ``ok``."""
    if not ok:
        raise ValueError(f"{name} must be {rule}, got {value!r}")
