"""Value estimators: what a TD target takes for the value of the next state.

The target is  y = r + γ · (value of the next state).

A value estimator is a row of ``VALUE_ESTIMATORS``, and its name there is a value of the setting
``value_estimator``. Its functions give the value of every state of a batch, [N]; the target of an
event is formed with that of the next.

A row of this repository is also named in the comment of ``properties/policy.yaml``, in the table of
``docs/policies.md``, and in ``STATE_VALUES`` of ``tests/support/plain_loops.py``, which computes it
once more by plain loops.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from recbole_lpi.objectives.critics import Critics, given, value_of_state
from recbole_lpi.objectives.requirements import Requirement


@dataclass(frozen=True)
class ValueEstimator:
    """One way to say what a state is worth to the step that leads into it.

    Attributes:
        of_q: value of each state [N] where Q(x, a) is learnt; None where it cannot go with Q.
        of_v: value of each state [N] where V(x) alone is; None where it cannot go with V alone.
        q_heads: how many Q heads it needs; of two, which one selects is drawn anew each step.
        value_head: whether it needs a value head beside Q, which is then regressed on Q(x, a).
        statistic: the name in ``CatalogueStatistics`` of what it asks of the catalogue pass,
            which ``of_q`` finds as ``Critics.statistic``; None where it asks nothing.
        logging_policy: whether it is taken under the logging policy of the run.
        requires: what it asks of other settings.
    """

    of_q: Callable[[Critics], Tensor] | None = None
    of_v: Callable[[Critics], Tensor] | None = None
    q_heads: int = 1
    value_head: bool = False
    statistic: str | None = None
    logging_policy: bool = False
    requires: tuple[Requirement, ...] = ()

    def state_value(self, critics: Critics) -> Tensor:
        """Value of each state, [N]: ``of_q`` where there is a Q head, else ``of_v``."""
        if critics.evaluator is None:
            return given(self.of_v, "of_v")(critics)
        return given(self.of_q, "of_q")(critics)


def value_of_best(critics: Critics) -> Tensor:
    """Q₂(x, argmax_a Q₁(x, a)), [N], which with one head is max_a Q(x, a)."""
    return given(critics.evaluator, "evaluator").of(given(critics.statistic, "argmax_q"))


def value_of_logged(critics: Critics) -> Tensor:
    """Q₂(x, a) of the item that was logged in the state, [N]."""
    return given(critics.evaluator, "evaluator").of(critics.action)


def expected_value(critics: Critics) -> Tensor:
    """The mean of Q₁(x, a) over the items, [N], under the policy of the statistic."""
    return given(critics.selector, "selector").value + given(critics.statistic, "expected_q")


def return_to_go(critics: Critics) -> Tensor:
    """The discounted sum of the rewards from the state to the end of its session, [N]."""
    return critics.return_


VALUE_ESTIMATORS: dict[str, ValueEstimator] = {
    # Eq. 11 without its maximisation bias (van Hasselt 2010): the value of the best policy.
    "double_q": ValueEstimator(of_q=value_of_best, statistic="argmax_q", q_heads=2),
    # Eq. 11 itself, with one head.
    "q_learning": ValueEstimator(of_q=value_of_best, statistic="argmax_q"),
    # The value of the logging policy μ: Q(x', a') of the item logged next; or V(x'), TD(0).
    "sarsa": ValueEstimator(of_q=value_of_logged, of_v=value_of_state),
    # The value of the policy π being trained (van Seijen et al. 2009).
    "expected_sarsa": ValueEstimator(of_q=expected_value, statistic="expected_q"),
    # The value of the logging policy as estimated, E_μ̂[Q(x', ·)]: with any other policy in its
    # place, fitted Q evaluation of that one (Le et al. 2019).
    "logging": ValueEstimator(of_q=expected_value, statistic="logging_q", logging_policy=True),
    # No bootstrap.
    "monte_carlo": ValueEstimator(of_q=return_to_go, of_v=return_to_go),
    # V(x') of a value head regressed on Q(x, a) (Kostrikov et al. 2022).
    "state_value": ValueEstimator(of_q=value_of_state, value_head=True),
}
