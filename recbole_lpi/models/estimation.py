"""From states of the encoder to what an objective sees: estimates per event, and the TD error.

Events are compressed: N of them, in the order of their sessions, so that the next event of i is
i + 1 wherever its discount is not 0. One catalogue product therefore also serves the next states.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recbole_lpi.nn.catalogue import Table, catalogue_pass
from recbole_lpi.nn.heads import QHead, ValueHead
from recbole_lpi.objectives import Estimates, ObjectiveSettings
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


def next_of(value: Tensor) -> Tensor:
    """``value`` of the next event [N]; what the last one gets is not read, its discount is 0."""
    return value.roll(-1, 0)


def without_head(events: Events, policy: Table) -> tuple[Estimates, None]:
    """log π alone."""
    log_pi = catalogue_pass(events.state, events.action, policy).log_pi
    return Estimates(events.reward, events.discount, log_pi, return_=events.return_), None


def with_q_head(
    events: Events,
    policy: Table,
    heads: tuple[QHead, QHead],
    settings: ObjectiveSettings,
    logging: tuple[Tensor, Table] | None = None,
) -> tuple[Estimates, Tensor]:
    """Q(x, a) and its baseline from the first head; the TD error of double Q-learning (Eq. 11).

        y = r + γ Q₂(x', argmax_a Q₁(x', a))

    Args:
        heads: the head that chooses, is trained and weighs; and the one that values the choice.
            The same head twice is plain Q-learning.
        logging: states [N, D'] and table of the logging policy, for ``advantage_baseline: logging``.

    Returns:
        The estimates, and (Q₁(x, a) − y)² per event [N].
    """
    chooser, valuer = heads
    baseline = settings.advantage_baseline
    if baseline == "logging" and logging is None:
        raise ValueError("advantage_baseline: logging needs a logging policy (logging_policy)")
    catalogue = catalogue_pass(
        events.state, events.action, policy, chooser.table,
        logging if baseline == "logging" else None,
    )  # fmt: skip
    q = chooser.table.gather(events.state, events.action)
    with torch.no_grad():
        assert catalogue.argmax_q is not None
        q_tp1 = valuer.table.gather(next_of(events.state), next_of(catalogue.argmax_q))
    v = {
        "policy": catalogue.expected_q,
        "logging": catalogue.logging_q,
        "max": catalogue.max_q,
    }[baseline]
    estimates = Estimates(
        events.reward, events.discount, catalogue.log_pi, return_=events.return_, q=q.detach(), v=v
    )
    target = bootstrap_target(events.reward, events.discount, q_tp1)
    return estimates, squared_error(q, target)


def with_value_head(events: Events, policy: Table, head: ValueHead) -> tuple[Estimates, Tensor]:
    """V(x) and V(x') from a state-value head; the TD(0) error (section 3.3 allows such a head).

        y = r + γ V(x')

    Returns:
        The estimates, and (V(x) − y)² per event [N].
    """
    v = head(events.state)
    v_tp1 = next_of(v).detach()
    estimates = Estimates(
        events.reward, events.discount,
        catalogue_pass(events.state, events.action, policy).log_pi,
        return_=events.return_, v=v.detach(), v_tp1=v_tp1,
    )  # fmt: skip
    target = bootstrap_target(events.reward, events.discount, v_tp1)
    return estimates, squared_error(v, target)
