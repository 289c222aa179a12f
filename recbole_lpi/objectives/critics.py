"""``Critics``: what value estimators and baselines may see of the events of a batch."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

T = TypeVar("T")


class ActionValues(Protocol):
    """Q(x, a) of every item for N events, as a Q head gives it."""

    def of(self, item: Tensor) -> Tensor:
        """Q(x, a) of one item per event, [N] -> [N], or of several, [N, n] -> [N, n]."""

    @property
    def value(self) -> Tensor:
        """The part of Q(x, a) that is the same for all items of an event, [N]."""


class Critics(NamedTuple):
    """The values that the heads of a step give N events, None where there is no such head.

    Attributes:
        action: the logged items, [N], int64 in 0 … A−1.
        return_: discounted sum of rewards from the event to the end of its session, [N].
        selector: Q under the head that is trained, weighs, and selects the best item.
        evaluator: Q under the head that says what the selected item is worth, without gradient;
            the same head as ``selector`` where there is only one.
        q: Q(x, a) of the logged item under ``selector``, [N].
        q_negative: Q of the sampled negatives under ``selector``, [N, n].
        v: V(x) of the value head, [N].
        statistic: the statistic of the catalogue pass that a row asks for, [N].
    """

    action: Tensor
    return_: Tensor
    selector: ActionValues | None = None
    evaluator: ActionValues | None = None
    q: Tensor | None = None
    q_negative: Tensor | None = None
    v: Tensor | None = None
    statistic: Tensor | None = None


def given(value: T | None, name: str) -> T:
    """``value`` itself; ValueError that names it where it is None."""
    if value is None:
        raise ValueError(f"this estimate needs '{name}', which no head and no row supplied")
    return value


def value_of_state(critics: Critics) -> Tensor:
    """V(x) of the value head, [N]."""
    return given(critics.v, "v")
