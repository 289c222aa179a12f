"""From states of the encoder to what an objective sees: estimates per event, and the TD error.

Events are compressed: N of them, in the order of their sessions, so that the next event of i is
i + 1 wherever its discount is not 0. One catalogue product therefore also serves the next states.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.nn.catalogue import (
    CatalogueStatistics,
    Logging,
    PolicyLoss,
    Table,
    catalogue_pass,
)
from recbole_lpi.nn.heads import QHead, ValueHead
from recbole_lpi.objectives import Estimates, Objective, ObjectiveSettings
from recbole_lpi.objectives.td import bootstrap_target, squared_error


class Events(NamedTuple):
    """The events of a batch that carry loss: state [N, D] and, [N] each, what was logged there.

    ``action`` is 0 … A−1, without padding.
    """

    state: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    return_: Tensor
    sample_weight: Tensor


class Learnt(NamedTuple):
    """What one batch teaches: the policy's loss, and the TD error per event [N] of a head."""

    policy: PolicyLoss
    td_error: Tensor | None


def next_of(value: Tensor) -> Tensor:
    """``value`` of the next event [N]; what the last one gets is not read, its discount is 0."""
    return value.roll(-1, 0)


def without_head(
    events: Events, policy: Table, objective: Objective, settings: ObjectiveSettings
) -> Learnt:
    """An objective that looks at the logs alone."""

    def weigh(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        return objective.weight(_logged(events, part, catalogue.log_pi), settings)

    return Learnt(catalogue_pass(events.state, events.action, policy, weigh), None)


def with_q_head(
    events: Events,
    policy: Table,
    objective: Objective,
    settings: ObjectiveSettings,
    heads: tuple[QHead, QHead],
    logging: Logging | None = None,
) -> Learnt:
    """Q(x, a) and its baseline from the first head; the TD error of double Q-learning (Eq. 11).

        y = r + γ Q₂(x', argmax_a Q₁(x', a))

    Args:
        heads: the head that chooses, is trained and weighs; and the one that values the choice.
            The same head twice is plain Q-learning.
        logging: the logging policy, for ``advantage_baseline: logging``.
    """
    chooser, valuer = heads
    baseline = settings.advantage_baseline
    if baseline == "logging" and logging is None:
        raise ValueError("advantage_baseline: logging needs a logging policy (logging_policy)")
    q = chooser.table.gather(events.state, events.action)

    def weigh(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        v = {
            "policy": catalogue.expected_q,
            "logging": catalogue.logging_q,
            "max": catalogue.max_q,
        }[baseline]
        estimates = _logged(events, part, catalogue.log_pi, q=q.detach()[part], v=v)
        return objective.weight(estimates, settings)

    learnt = catalogue_pass(
        events.state, events.action, policy, weigh, chooser.table,
        logging if baseline == "logging" else None,
    )  # fmt: skip
    with torch.no_grad():
        choice = learnt.statistics.argmax_q
        assert choice is not None
        q_tp1 = valuer.table.gather(next_of(events.state), next_of(choice))
    target = bootstrap_target(events.reward, events.discount, q_tp1)
    return Learnt(learnt, squared_error(q, target))


def with_value_head(
    events: Events,
    policy: Table,
    objective: Objective,
    settings: ObjectiveSettings,
    head: ValueHead,
) -> Learnt:
    """V(x) and V(x') from a state-value head; the TD(0) error (section 3.3 allows such a head).

    y = r + γ V(x')
    """
    v = head(events.state)
    known, v_tp1 = v.detach(), next_of(v.detach())

    def weigh(part: slice, catalogue: CatalogueStatistics) -> Tensor:
        estimates = _logged(events, part, catalogue.log_pi, v=known[part], v_tp1=v_tp1[part])
        return objective.weight(estimates, settings)

    target = bootstrap_target(events.reward, events.discount, v_tp1)
    return Learnt(
        catalogue_pass(events.state, events.action, policy, weigh), squared_error(v, target)
    )


def _logged(events: Events, part: slice, log_pi: Tensor, **learnt: Tensor | None) -> Estimates:
    """Estimates of a stretch of events: what was logged, and what was learnt of them."""
    return Estimates(
        events.reward[part], events.discount[part], log_pi, return_=events.return_[part],
        sample_weight=events.sample_weight[part], **learnt,
    )  # fmt: skip
