"""Which events train, validate and test: whole sessions, or what is before and after a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from recbole_lpi.data.sessions import Part, Sessions
from recbole_lpi.data.times import read_date, unit_of

SPLITS = ("random", "session_end", "cutoff", "leave_one_out")
NAMES = ("training", "validation", "test")
Ratios = tuple[float | None, float, float]
Cuts = tuple[float | str, float | str]


def split_sessions(
    sessions: Sessions,
    how: str,
    ratios: Ratios,
    seed: int,
    at: Cuts | None = None,
    first_event: bool = False,
) -> tuple[Part, Part, Part]:
    """Split sessions into a training, a validation and a test part.

    ``random`` shuffles sessions with the seed (the paper), ``session_end`` orders them by their
    last timestamp, so that the test part ends the latest; its sessions may begin long before
    training ends. ``cutoff`` is the holdout in time: training has what is before a first time, the
    test part what is at or after a second, and validation what is between; of a session that goes
    on, the earlier events are history, which may be read. ``leave_one_out`` is RecBole's: the last
    event of every session is tested, the one before it validated, the rest trained on.

    ``ratios`` are shares of the sessions, or with ``cutoff`` of the events; if the first is None,
    the others are numbers of sessions. ``at`` are the two times of ``cutoff``: dates, times as the
    log has them, or shares of the events that are earlier. ``first_event`` says whether the first
    event of a session is a target too.

    Raises:
        ValueError: a part would be empty; it is named, with the counts. Or dates are given, and the
            times of the log are no Unix times.
    """
    if how == "leave_one_out":
        parts = _leave_one_out(sessions)
    elif how == "cutoff":
        parts = _by_cutoff(sessions, _cut_times(sessions, ratios, at))
    else:
        parts = _by_session(sessions, how, ratios, seed)
    for name, part in zip(NAMES, parts, strict=True):
        if not part.targets(sessions, first_event).any():
            raise ValueError(
                f"the {name} part has nothing to predict: {len(sessions)} sessions split {how}"
                f"{'' if how == 'leave_one_out' else f' {_spelled(at or ratios)}'} give it "
                f"{len(part)}; "
                "use more data or another split"
            )
    return parts


def _spelled(cuts: Ratios | Cuts) -> str:
    words = ("~" if cut is None else cut if isinstance(cut, str) else f"{cut:.12g}" for cut in cuts)
    return f"[{', '.join(words)}]"


def _cuts(ratios: Ratios, count: int) -> tuple[int, int]:
    """Find after which sessions of an order training and validation end."""
    training, validation, test = ratios
    if training is not None:
        share = np.cumsum([training, validation, test]) / (training + validation + test)
        return round(float(share[0]) * count), round(float(share[1]) * count)
    held_out = int(validation) + int(test)
    if held_out >= count:
        raise ValueError(
            f"split_ratio {_spelled(ratios)} leaves no session to train on: it holds {held_out} "
            f"sessions out, and the data have {count}; lower the two numbers"
        )
    return count - held_out, count - int(test)


def _by_session(sessions: Sessions, how: str, ratios: Ratios, seed: int) -> tuple[Part, Part, Part]:
    if how == "random":
        order = np.random.default_rng(seed).permutation(len(sessions))
    else:
        order = np.argsort(sessions.timestamps[sessions.offsets[1:] - 1], kind="stable")
    training, validation, test = (
        Part(chosen, sessions.offsets[chosen], sessions.offsets[chosen + 1])
        for chosen in map(np.sort, np.split(order, _cuts(ratios, len(sessions))))
    )
    return training, validation, test


def read_cuts(given: Sequence[object]) -> Cuts:
    """Read ``split_at``: two dates, two times or two shares, rising. ValueError."""
    cuts = tuple(given)
    dates = [isinstance(cut, str) for cut in cuts]
    numbers = [isinstance(cut, (int, float)) and not isinstance(cut, bool) for cut in cuts]
    if len(cuts) != 2 or not (all(dates) or all(numbers)):
        raise ValueError("two dates, two times or two shares")
    values = [read_date(str(cut)) if all(dates) else float(str(cut)) for cut in cuts]
    if not values[0] < values[1]:
        raise ValueError("the end of training, then the end of validation, which is later")
    return tuple(map(str, cuts)) if all(dates) else tuple(values)  # type: ignore[return-value]


def _cut_times(sessions: Sessions, ratios: Ratios, at: Cuts | None) -> tuple[float, float]:
    """Find when training and when validation end, in the log's unit."""
    times = sessions.timestamps
    if at is None:
        shares = np.cumsum([ratio or 0.0 for ratio in ratios]) / sum(
            ratio or 0.0 for ratio in ratios
        )
        at = float(shares[0]), float(shares[1])
    if isinstance(at[0], str):
        unit = unit_of(float(times.max()))
        if unit is None:
            raise ValueError(
                f"split_at {_spelled(at)} are dates, and the times of the log, {times.min():.12g} "
                f"to {times.max():.12g}, are no Unix times: give split_at as times of the log"
            )
        return read_date(at[0]) * unit, read_date(str(at[1])) * unit
    first, second = float(at[0]), float(at[1])
    if 0 < first < second < 1:  # shares of the events
        ends = [min(round(share * len(times)), len(times) - 1) for share in (first, second)]
        found = np.partition(times, ends)[ends]
        return float(found[0]), float(found[1])
    return first, second


def _by_cutoff(sessions: Sessions, ends: tuple[float, float]) -> tuple[Part, Part, Part]:
    """Split by time: what of a session is before an end is its beginning."""
    head, stop = sessions.offsets[:-1], sessions.offsets[1:]
    places = [head]
    for end in ends:
        before = np.concatenate([[0], np.cumsum(sessions.timestamps < end)])
        places.append(head + before[stop] - before[head])
    training, validation, test = (
        Part(np.flatnonzero(until > since), since[until > since], until[until > since])
        for since, until in pairwise([*places, stop])
    )
    return training, validation, test


def _leave_one_out(sessions: Sessions) -> tuple[Part, Part, Part]:
    """Split like RecBole's ``LS: valid_and_test``: sessions keep a training target if they can.

    Four events or more give one to each part, three give none to validation, two only train.
    """
    session = np.arange(len(sessions))
    head, end = sessions.offsets[:-1], sessions.offsets[1:]
    length = end - head
    tested, validated = length >= 3, length >= 4
    training = Part(session, head, end - tested - validated)
    validation = Part(session[validated], end[validated] - 2, end[validated] - 1)
    test = Part(session[tested], end[tested] - 1, end[tested])
    return training, validation, test
