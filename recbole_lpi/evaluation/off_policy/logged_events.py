"""What a log says of another policy, a row an event: the columns that every estimate reduces.

    w = π(a | x) / μ(a | x) = exp(log_pi − log_mu)

x is the history, a the logged item, μ the policy that logged it and π the one that is judged.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

from recbole_lpi.evaluation.off_policy.sequential import Trajectories
from recbole_lpi.evaluation.propensity_quality import weights_of

ROUNDING = 1e-5  # by which a log-probability in single precision may be above 0
REQUIRED = ("reward", "log_pi", "log_mu", "session", "position")
LOG_PROBABILITIES = (
    "log_pi", "log_mu", "log_pi_cluster", "log_mu_cluster", "log_propensity", "greedy_log_mu",
)  # fmt: skip
OF_MODELS = ("q", "v_pi", "v_mu", "action_value", "state_value", "expected_advantage")
POSITIVE = ("log_mu", "log_mu_cluster", "log_propensity")  # of what was logged: never log 0


class ColumnError(ValueError):
    """A column holds what it cannot: its name, the row (from 0) and what is wrong, and the cure.

    Attributes:
        column: its name.
        row: the first bad row, from 0; None: all of it.
        wrong: what is wrong, in words.
    """

    def __init__(self, column: str, row: int | None, wrong: str) -> None:
        super().__init__(f"column {column}{'' if row is None else f', row {row}'}: {wrong}")
        self.column, self.row, self.wrong = column, row, wrong


@dataclass(frozen=True, eq=False)
class LoggedEvents:
    """Events of a log of policy μ, and what policy π makes of them; each column [N], N ≥ 1.

    Logarithms are natural. ColumnError, a ValueError, names the column and the row of what is
    missing, not finite, above log 1, or there twice.

    Attributes:
        reward: of the logged item.
        log_pi: log π(a | x); −inf where π never takes it.
        log_mu: log μ(a | x), as logged or as estimated; all NaN where nobody knows it.
        session: ids 0 … S − 1, each of at least one event. Sessions are independent draws.
        position: of the event in its session, in the order of time.
        q: estimated mean reward of the logged item, q(x, a).
        v_pi, v_mu: E_{a ~ π} q(x, a) and E_{a ~ μ} q(x, a).
        action_value, state_value: Q^π(x, a) of the logged item, and its mean under π.
        expected_advantage: E_{a ~ π} Q^μ(x, a) − E_{a ~ μ} Q^μ(x, a).
        log_pi_cluster, log_mu_cluster: log-probability under π and μ that the item lies in the
            cluster of item vectors that the logged item lies in.
        unsupported: the probability that π gives to items to which μ gives less than a floor.
        log_propensity: log μ(a | x) as logged, where ``log_mu`` is an estimate.
        greedy_item: id of the first choice of π.
        greedy_log_mu: log μ of that item. greedy_is_logged: whether it is the logged one, bool.
        candidates_only: whether μ was compared on drawn candidates, so that ``log_mu`` is NaN.
        estimated: whether ``log_mu`` is known to be of an estimate μ̂, and not as it was logged.
    """

    reward: np.ndarray
    log_pi: np.ndarray
    log_mu: np.ndarray
    session: np.ndarray
    position: np.ndarray
    q: np.ndarray | None = None
    v_pi: np.ndarray | None = None
    v_mu: np.ndarray | None = None
    action_value: np.ndarray | None = None
    state_value: np.ndarray | None = None
    expected_advantage: np.ndarray | None = None
    log_pi_cluster: np.ndarray | None = None
    log_mu_cluster: np.ndarray | None = None
    unsupported: np.ndarray | None = None
    log_propensity: np.ndarray | None = None
    greedy_item: np.ndarray | None = None
    greedy_log_mu: np.ndarray | None = None
    greedy_is_logged: np.ndarray | None = None
    candidates_only: bool = False
    estimated: bool = False

    def __post_init__(self) -> None:
        self._check_shapes()
        for name in ("reward", *OF_MODELS):
            if (values := getattr(self, name)) is not None:
                _refuse(name, ~np.isfinite(values), "it must be a finite number", values)
        if (values := self.unsupported) is not None:
            bad = ~((values >= 0) & (values <= 1 + ROUNDING))
            _refuse("unsupported", bad, "it must be a probability", values)
        for name in LOG_PROBABILITIES:
            values = getattr(self, name)
            if values is not None and (name != "log_mu" or self.has_log_mu):
                _check_log_probability(name, values)
        self._check_places()

    def __len__(self) -> int:
        return len(self.reward)

    @cached_property
    def has_log_mu(self) -> bool:
        """Whether anybody knows μ of the logged items."""
        return not bool(np.isnan(self.log_mu).all())

    @cached_property
    def session_sizes(self) -> np.ndarray:
        """Events of each session, float64 [S]."""
        return np.bincount(self.session).astype(np.float64)

    @cached_property
    def weight(self) -> np.ndarray:
        """Importance weights w = π/μ of the logged items, [N]."""
        return weights_of(self.log_pi, self.log_mu)

    @cached_property
    def _order(self) -> np.ndarray | slice:
        """What sorts events by session and position; a slice if they are."""
        if _increasing(self.session, self.position):
            return slice(None)
        return np.lexsort((self.position, self.session))

    def in_order(self, values: np.ndarray) -> np.ndarray:
        """Return values of events [N] in the order of sessions and positions."""
        return np.asarray(values[self._order])

    @cached_property
    def trajectories(self) -> Trajectories:
        """The sessions, undiscounted."""
        log_weight = np.subtract(self.log_pi, self.log_mu, dtype=np.float64)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(self.session))])
        return Trajectories(self.in_order(self.reward), self.in_order(log_weight), offsets)

    def need(self, column: str) -> np.ndarray:
        """Return a column; ColumnError where it is not there."""
        values: np.ndarray | None = getattr(self, column)
        if values is None:
            raise ColumnError(column, None, "this estimate needs it, and it is not there")
        return values

    def per_session(self, values: np.ndarray) -> np.ndarray:
        """Sum values of events [N] over each session, [S]."""
        return np.bincount(self.session, values)

    def has(self, column: str) -> bool:
        """Whether a column is there, and known."""
        return self.has_log_mu if column == "log_mu" else getattr(self, column) is not None

    def _check_shapes(self) -> None:
        if not len(self.reward):
            raise ColumnError("reward", None, "there is no event: at least one is needed")
        for field in fields(self):
            values = getattr(self, field.name)
            if isinstance(values, np.ndarray) and values.shape != self.reward.shape:
                raise ColumnError(
                    field.name, None, f"its shape is {values.shape}, that of reward "
                    f"{self.reward.shape}: every column has a value for each event",
                )  # fmt: skip

    def _check_places(self) -> None:
        for name in ("session", "position"):
            values = getattr(self, name)
            if values.dtype.kind not in "iu":
                raise ColumnError(name, None, f"it must hold whole numbers, got {values.dtype}")
            _refuse(name, values < 0, "it must be a whole number ≥ 0", values)
        if int(self.session.max()) >= len(self) or not self.session_sizes.all():
            raise ColumnError(
                "session", None, "ids must be 0 … S − 1, each of at least one event: "
                "np.unique(session, return_inverse=True)[1] gives such",
            )  # fmt: skip
        row = first_repeated(self.session, self.position)
        if row is not None:
            raise ColumnError(
                "position", row, f"{self.position[row]} is there twice in one session: an event "
                "has one row",
            )  # fmt: skip


def _check_log_probability(name: str, values: np.ndarray) -> None:
    """Raise ColumnError for NaN and what is above log 1; for log 0 where an item was logged."""
    _refuse(name, np.isnan(values), "it is missing", values)
    _refuse(
        name, values > ROUNDING,
        "a log-probability is at most 0: give natural logarithms of probabilities", values,
    )  # fmt: skip
    if name in POSITIVE:
        _refuse(name, values == -np.inf, "what was logged had a probability above 0", values)


def _refuse(name: str, bad: np.ndarray, wrong: str, values: np.ndarray) -> None:
    """Raise ColumnError for the first of the bad values [N], if there is one."""
    if bad.any():
        row = int(bad.argmax())
        raise ColumnError(name, row, f"{wrong}, got {values[row]}")


def first_repeated(session: np.ndarray, position: np.ndarray) -> int | None:
    """Return the row of the first event whose session and position an earlier row has; or None."""
    if _increasing(session, position):
        return None
    order = np.lexsort((position, session))  # stable: of equals, the earlier row comes first
    ordered_session, ordered_position = session[order], position[order]
    same = (ordered_session[1:] == ordered_session[:-1]) & (
        ordered_position[1:] == ordered_position[:-1]
    )
    return int(order[1:][same].min()) if same.any() else None


def _increasing(session: np.ndarray, position: np.ndarray) -> bool:
    """Whether events stand in the order of sessions, and within each of positions, none twice."""
    later = session[1:] > session[:-1]
    within = (session[1:] == session[:-1]) & (position[1:] > position[:-1])
    return bool((later | within).all())
