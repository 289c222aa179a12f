"""Sessions: the flat store, its split into parts, and batches of it."""

from typing import TYPE_CHECKING

from recbole_lpi.exports import lazily

if TYPE_CHECKING:
    from recbole_lpi.data.session_data import Reading, SessionData
    from recbole_lpi.data.sessions import Part, Sessions, flat_sessions
    from recbole_lpi.data.split import split_sessions
    from recbole_lpi.data.tokens import Tokens

__all__ = [
    "Part",
    "Reading",
    "SessionData",
    "Sessions",
    "Tokens",
    "flat_sessions",
    "split_sessions",
]

__getattr__ = lazily(
    __name__,
    {
        "Part": "sessions",
        "Reading": "session_data",
        "SessionData": "session_data",
        "Sessions": "sessions",
        "Tokens": "tokens",
        "flat_sessions": "sessions",
        "split_sessions": "split",
    },
)
