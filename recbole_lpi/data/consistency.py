"""Whether the arrays of a session store belong together, before they are believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized

import numpy as np

from recbole_lpi.data.sessions import Sessions
from recbole_lpi.data.tokens import PADDING, Tokens

DTYPES = {
    "items": np.int32, "rewards": np.float32, "events": np.uint8, "timestamps": np.float64,
    "ratings": np.float32, "propensities": np.float32,
}  # fmt: skip
OPTIONAL = ("ratings", "propensities")  # what not every log has


def contradiction(
    sessions: Sessions,
    user_of_session: np.ndarray,
    users: Tokens,
    items: Tokens,
    columns: Mapping[str, Sized],
) -> str | None:
    """Name the first thing in a store that cannot be; None where all belongs together.

    Args:
        sessions: the store.
        user_of_session: id of each session's token.
        users, items: tokens by id, padding first.
        columns: further columns, which have a value for each event.
    """
    for wrong in _shapes(sessions, user_of_session, columns):
        return wrong
    for name, tokens in (("sessions", users), ("items", items)):
        if not len(tokens) or tokens[0] != PADDING:
            return f"tokens of {name} that do not begin with {PADDING}"
    return next(_values(sessions, user_of_session, users, items), None)


def _shapes(
    sessions: Sessions, user_of_session: np.ndarray, columns: Mapping[str, Sized]
) -> Iterator[str]:
    expected = {name: (getattr(sessions, name), dtype) for name, dtype in DTYPES.items()}
    expected |= {
        "offsets": (sessions.offsets, np.int64), "user_of_session": (user_of_session, np.int32)
    }  # fmt: skip
    for name, (array, dtype) in expected.items():
        if array is None and name in OPTIONAL:
            continue
        if array.ndim != 1 or array.dtype != dtype:
            yield f"{name} is {array.dtype} in {array.ndim} dimensions"
        elif name in DTYPES and len(array) != len(sessions.items):
            yield f"{len(array)} {name} of {len(sessions.items)} events"
    for name, column in columns.items():
        if len(column) != len(sessions.items):
            yield f"{len(column)} {name} of {len(sessions.items)} events"
    if len(user_of_session) != len(sessions.offsets) - 1 or not len(user_of_session):
        yield f"{len(user_of_session)} tokens of {len(sessions.offsets) - 1} sessions"


def _values(
    s: Sessions, user_of_session: np.ndarray, users: Tokens, items: Tokens
) -> Iterator[str]:
    offsets = s.offsets
    if offsets[0] != 0 or offsets[-1] != len(s.items) or not (offsets[1:] > offsets[:-1]).all():
        yield f"offsets that do not rise from 0 to {len(s.items)}, the number of events"
        return
    if s.items.min() < 1 or s.items.max() >= len(items):
        yield f"an item that is none of 1 to {len(items) - 1}"
    if user_of_session.min() < 1 or user_of_session.max() >= len(users):
        yield f"a session's token that is none of 1 to {len(users) - 1}"
    if s.events.max() >= len(s.event_names):
        yield f"kind {s.events.max()} of {len(s.event_names)} kinds of event"
    if not (np.isfinite(s.rewards).all() and np.isfinite(s.timestamps).all()):
        yield "a reward or a time that is not finite"
    mu = s.propensities
    if mu is not None and not ((mu > 0) & (mu <= 1)).all():
        yield "a propensity that is not in (0, 1]"
    falls = np.flatnonzero(s.timestamps[1:] < s.timestamps[:-1]) + 1
    if not np.array_equal(offsets[np.searchsorted(offsets, falls)], falls):
        yield "times that fall within a session"
