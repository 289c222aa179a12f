"""Which sessions train, validate and test. No session stands in two parts."""

from __future__ import annotations

import numpy as np

from recbole_lpi.data.sequences import Part, Sessions

SPLITS = ("random", "time", "leave_one_out")
NAMES = ("training", "validation", "test")
Ratios = tuple[float | None, float, float]


def split_sessions(
    sessions: Sessions, how: str, ratios: Ratios, seed: int
) -> tuple[Part, Part, Part]:
    """Training, validation and test part.

    ``random`` shuffles sessions with the seed (the paper), ``time`` orders them by their last
    timestamp, so that the test part is the latest. ``leave_one_out`` is RecBole's: the last event
    of every session is tested, the one before it validated, the rest trained on.

    ``ratios`` are shares; if the first is None, the others are numbers of sessions.

    Raises:
        ValueError: a part would be empty; it is named, with the counts.
    """
    if how == "leave_one_out":
        parts = _leave_one_out(sessions)
    else:
        parts = _by_session(sessions, how, ratios, seed)
    for name, part in zip(NAMES, parts, strict=True):
        if not (part.stop - np.maximum(part.start, sessions.offsets[part.session] + 1) > 0).any():
            raise ValueError(
                f"the {name} part has nothing to predict: {len(sessions)} sessions split {how}"
                f"{'' if how == 'leave_one_out' else f' {_spelled(ratios)}'} give it {len(part)}; "
                "use more data or another split"
            )
    return parts


def _spelled(ratios: Ratios) -> str:
    return f"[{', '.join('~' if ratio is None else f'{ratio:.12g}' for ratio in ratios)}]"


def _cuts(ratios: Ratios, count: int) -> tuple[int, int]:
    """After which sessions of an order training and validation end."""
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


def _leave_one_out(sessions: Sessions) -> tuple[Part, Part, Part]:
    """As RecBole's ``LS: valid_and_test``: each session keeps a training target as long as it can.

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
