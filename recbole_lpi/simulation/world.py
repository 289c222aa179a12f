"""What a simulated world is: a logging policy, users that answer to what is shown, an end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from torch import Generator, Tensor

from recbole_lpi.simulation.histories import Histories


@dataclass(frozen=True)
class Response:
    """What S users did with one item each.

    Attributes:
        kind: int64 [S], the code of what each did.
        reward: float64 [S], what it is worth.
        gap: float64 [S], > 0, seconds since the event before.
        leaves: bool [S], who ends the session with this event.
        users: what the users are like after it.
    """

    kind: Tensor
    reward: Tensor
    gap: Tensor
    leaves: Tensor
    users: Any


class World(Protocol):
    """Users, items and the logging policy μ of a log, all known and drawn from a seed.

    Two kinds of value are the world's own, and only handed back to it: *users*, what S users are
    like at one moment, which no policy sees; and *luck*, all that chance decides about one event of
    each of S sessions but the item that is shown. Both have ``take(index)``, which gives those of
    some sessions, and users ``put(index, others)``, which gives all of them, with others in some
    places. Luck does not depend on what is shown, so two policies can be given the same. Users who
    were handed back to ``respond`` are not used again.
    """

    @property
    def n_items(self) -> int:
        """A; items are 1 … A."""

    @property
    def max_events(self) -> int:
        """How many items a session is shown at most."""

    @property
    def event_names(self) -> tuple[str, ...]:
        """The kinds of event of the log, by code."""

    def logging_policy(self, histories: Histories) -> Tensor:
        """Return log μ(a | x) of every item at logged histories, float32 [S, A]."""

    def logged(self, histories: Histories) -> Histories:
        """Return what the log keeps of all that was shown, which is what any policy reads."""

    def newcomers(self, number: int, draws: Generator) -> Any:
        """Draw users at the beginning of a session."""

    def luck(self, number: int, draws: Generator) -> Any:
        """Draw what chance decides about the next event of ``number`` sessions."""

    def respond(self, users: Any, histories: Histories, item: Tensor, luck: Any) -> Response:
        """Let users see one item each.

        Args:
            users: as the event before left them.
            histories: all that they were shown before.
            item: int64 [S], 1 … A.
            luck: what chance decides about this event.
        """


class KnownRewards(World, Protocol):
    """A world that knows the expected reward of every item."""

    def expected_rewards(self, users: Any, histories: Histories, luck: Any) -> Tensor:
        """Return that of showing each item next, float [S, A]; arguments as of ``respond``.

        Users are left as they are.
        """


@runtime_checkable
class DrawingPolicy(Protocol):
    """A policy that draws faster than from the logits of all items."""

    def draw(self, histories: Histories, uniform: Tensor) -> tuple[Tensor, Tensor]:
        """Draw an item for each history by inverse CDF, as ``draws.draw`` does.

        Args:
            histories: of S sessions.
            uniform: float64 [S], in [0, 1).

        Returns: items int64 [S], 1 … A, and their log-probabilities, float64 [S].
        """
