"""The times of a log: their unit, how they are written, and what their order rests on."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np

from recbole_lpi.data.sessions import Part, Sessions
from recbole_lpi.settings import SettingError

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# Unix seconds of the years that a log may be of: in another unit they are a thousand times as many.
EARLIEST, LATEST = (
    (datetime(year, 1, 1, tzinfo=timezone.utc) - EPOCH).total_seconds() for year in (1980, 2100)
)
MOSTLY = 9  # a file runs backwards where that many times more steps of its sessions do than not
GAP_BINS = 32  # the last of them from 2^30 s, 34 years, on
UNITS = {1: "seconds", 10**3: "milliseconds", 10**6: "microseconds", 10**9: "nanoseconds"}


def unit_of(time: float) -> int | None:
    """Tell how many units are a second, where ``time`` is a Unix time of 1980 to 2100."""
    return next((unit for unit in UNITS if EARLIEST * unit <= time < LATEST * unit), None)


def gap_bins(seconds: np.ndarray) -> np.ndarray:
    """Return the bin of the time since an event, int64 of the same shape, in 1 … GAP_BINS.

    Bins double in width: bin 1 is below a second, bin b from 2^(b−2) to 2^(b−1) s; the last one is
    open. Time that runs backwards counts as none.
    """
    bins = np.floor(np.log2(np.maximum(seconds, 0.5))).astype(np.int64) + 2
    return np.asarray(bins.clip(1, GAP_BINS))


def check_units(times: np.ndarray, column: str, path: str) -> None:
    """Raise SettingError if some times of a file are seconds and some milliseconds, say."""
    largest = unit_of(float(times.max()))
    for unit in UNITS:
        if largest is None or unit >= largest:
            return
        other = np.flatnonzero((times >= EARLIEST * unit) & (times < LATEST * unit))
        if len(other):
            raise SettingError(
                f"{path}, line {other[0] + 2}: {column} is {times[other[0]]:.12g}, in Unix "
                f"{UNITS[unit]} ({len(other)} rows), and in line {int(times.argmax()) + 2} "
                f"{times.max():.12g}, in {UNITS[largest]}: write all of them in one unit"
            )


def written(time: float, unit: int | None) -> str:
    """Write a time as a date and time of UTC, or where it has no unit as the number."""
    if unit is None:
        return f"{time:.12g}"
    return (EPOCH + timedelta(seconds=round(time / unit))).strftime("%Y-%m-%d %H:%M:%S")


def read_date(text: str) -> float:
    """Read Unix seconds of an ISO 8601 date or time, UTC unless it says otherwise; ValueError."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def describe_times(sessions: Sessions) -> list[str]:
    """Write a line on the range of the times, and one on what they leave undecided, if anything."""
    times, every = sessions.timestamps, len(sessions.timestamps)
    lowest, highest = float(times.min()), float(times.max())
    unit = unit_of(highest)
    if unit is None:
        lines = [
            f"times: {lowest:.12g} to {highest:.12g}, no Unix times of 1980 to 2100: they order "
            "events, and nothing else is read from them"
        ]
    else:
        before = int((times < EARLIEST * unit).sum())
        rest = f", but for {before} that are earlier than 1980" if before else ""
        first = written(float(times[times >= EARLIEST * unit].min()) if before else lowest, unit)
        lines = [f"times: {first} to {written(highest, unit)} UTC (Unix {UNITS[unit]}){rest}"]
    tied, repeated = _ties(sessions)
    if tied:
        lines.append(
            f"{tied} of {every} events share their time with another of their session, and keep "
            f"the order of the file; {repeated} rows repeat another in all that is read"
        )
    return lines


def describe_direction(session: np.ndarray, times: np.ndarray, path: str) -> list[str]:
    """Write a line on a file that runs newest first and has ties, which then stand reversed.

    Codes of sessions (below 0: none) and times, [E] in the order of the file, which is what decides
    between equal times; it is not changed, as RecBole does not.
    """
    if (times[1:] >= times[:-1]).all():
        return []
    if (session[1:] < session[:-1]).any():
        order = np.argsort(session, kind="stable")
        session, times = session[order], times[order]
    same = (session[1:] == session[:-1]) & (session[1:] >= 0)
    back, forth, tied = (
        int((same & step(times[1:], times[:-1])).sum()) for step in (np.less, np.greater, np.equal)
    )
    if not tied or back <= MOSTLY * forth:
        return []
    return [
        f"{path} runs newest first: within sessions {back} steps from row to row go back in time "
        f"and {forth} forth; {tied} rows have the time of the row before of their session, and as "
        "the order of the file decides they are taken to be later than it, though they seem to be "
        "earlier: write the rows below the header in reverse order"
    ]


def _ties(sessions: Sessions) -> tuple[int, int]:
    """Count events whose time another of their session has, and events that repeat another."""
    times = sessions.timestamps
    same = times[1:] == times[:-1]
    same[sessions.offsets[1:-1] - 1] = False
    begins = np.append(True, ~same)
    tied = np.flatnonzero(~begins | np.append(same, False))
    if not len(tied):
        return 0, 0
    columns = (
        sessions.rewards[tied], sessions.events[tied], sessions.items[tied],
        np.cumsum(begins[tied]),
    )  # fmt: skip
    order = np.lexsort(columns)
    equal = np.ones(len(tied) - 1, bool)
    for column in columns:
        equal &= column[order[1:]] == column[order[:-1]]
    return len(tied), int(equal.sum())


def describe_held_out(name: str, sessions: Sessions, training: Part, held: Part) -> str:
    """Describe how far a part lies after training in time, and how much of it is new."""
    seen = np.zeros(int(sessions.items.max()) + 1, bool)
    seen[sessions.items[_events_of(training, sessions)]] = True
    last = float(sessions.timestamps[training.stop - 1].max())
    place = _events_of(held, sessions)
    times, unit = sessions.timestamps[place], unit_of(float(sessions.timestamps.max()))
    unseen = int((~seen[sessions.items[place]]).sum())
    return (
        f"{name}: events of {written(float(times.min()), unit)} to "
        f"{written(float(times.max()), unit)}, {(times < last).mean():.0%} of them before the last "
        f"of training; {unseen} of {len(times)} are of items that training has not"
    )


def _events_of(part: Part, sessions: Sessions) -> np.ndarray:
    """Tell which events of the store are in a part, bool [E]."""
    edges = np.zeros(len(sessions.items) + 1, np.int8)
    edges[part.start] += 1
    edges[part.stop] -= 1
    return np.cumsum(edges[:-1], dtype=np.int8).astype(bool)
