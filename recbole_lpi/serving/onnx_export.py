"""Export of a policy to ONNX, checked on sessions against the network it is of."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from recbole_lpi.files import replacing, write_json
from recbole_lpi.policy.checkpoint import build_policy, read_checkpoint
from recbole_lpi.policy.checkpoint import vocabulary as stored_vocabulary
from recbole_lpi.policy.counted import COUNTED
from recbole_lpi.serving.choosing import best
from recbole_lpi.serving.encoding import Encoded
from recbole_lpi.serving.onnx_graph import write_graph
from recbole_lpi.serving.onnx_policy import OnnxPolicy, describe_graph
from recbole_lpi.serving.saved_policies import recommender_of
from recbole_lpi.serving.served_policy import ServedPolicy
from recbole_lpi.settings import SettingError

TOLERANCE = 1e-4  # of log π, within which two items are tied, and two figures the same
BATCH, ALONE = 256, 8  # sessions at a time in the check, after some one by one

CURE = (
    "an encoder whose steps depend on the values or the length of its input cannot be exported: "
    "serve the policy by load_policy"
)


class Export(NamedTuple):
    """What was written, and how it was checked.

    Attributes:
        graph, about: the file of ONNX, and the JSON beside it.
        sessions: how many sessions it was checked on.
        same: how many of them had the same list; the lists of the others differ in ties alone.
        largest: the largest difference of log π of an item in a list.
    """

    graph: Path
    about: Path
    sessions: int
    same: int
    largest: float


class Differs(SettingError):
    """The graph does not give the lists of the network."""


def export_onnx(run: str | os.PathLike[str], graph: Path, histories: Any, k: int = 20) -> Export:
    """Write a policy as ONNX to ``graph``, and its vocabulary as JSON beside it.

    Args:
        run: the folder of a run, or a checkpoint.
        graph: the file to write; its name ends in ``.onnx``.
        histories: sessions to check it on, as ``read_histories`` takes them; what the policy cannot
            continue is left out.
        k: how many items a list has.

    Raises:
        SettingError: there is no such policy, it cannot be exported, or (``Differs``) the graph
            does not give the lists of the network: then nothing is written.
    """
    if graph.suffix != ".onnx":
        raise SettingError(f"{graph} must end in .onnx: the vocabulary goes to .json beside it")
    if k < 1:
        raise SettingError(f"k must be >= 1, got {k}")
    state = read_checkpoint(run)
    if state["model"] in COUNTED:
        raise SettingError(
            f"{run} holds a {state['model']}, which counts and has no network: serve it by "
            "load_policy"
        )
    network, items = build_policy(state, run), stored_vocabulary(state, run)
    recommender = recommender_of(network, items, run)
    policy, vocabulary = recommender.policy, recommender.vocabulary
    try:
        _, encoded, _ = recommender.read(histories)
    except ValueError as error:
        raise SettingError(f"the sessions to check on: {error}") from None
    encoded = encoded.take((encoded.length > 0) | policy.opens)
    if not len(encoded.length):
        raise SettingError(
            "none of the sessions to check on has an item that the policy knows: give others"
        )
    k, about = min(k, policy.n_items), graph.with_suffix(".json")
    with replacing(graph) as scratch:
        write_graph(network, k, scratch)
        described = describe_graph(policy, vocabulary, network.name, k, scratch)
        same, largest = check(OnnxPolicy(scratch, described), policy, encoded, k)
        write_json(about, described)
    return Export(graph, about, len(encoded.length), same, largest)


def check(
    given: ServedPolicy, wanted: ServedPolicy, histories: Encoded, k: int
) -> tuple[int, float]:
    """Count the sessions of which two policies give the same k items in the same order.

    Also returns the largest difference of log π of an item in the lists of the first.

    Raises:
        Differs: lists differ in more than the order of what is tied within ``TOLERANCE``.
    """
    number, same, largest = len(histories.length), 0, 0.0
    parts = [slice(a, a + 1) for a in range(min(ALONE, number))]
    parts += [slice(a, a + BATCH) for a in range(len(parts), number, BATCH)]
    for part in parts:
        some = _trimmed(histories.take(part))
        try:
            index, scores = given.best(some, k)
        except Exception as error:  # whatever a runtime makes of shapes it was not traced with
            said = str(error).partition("\n")[0][-200:]
            raise Differs(f"the graph fails on {some.items.shape} events: {said}; {CURE}") from None
        log_pi = wanted.log_pi(some)
        listed = best(log_pi, k)
        mine, theirs = (np.take_along_axis(log_pi, of, 1) for of in (index, listed))
        off = np.maximum(np.abs(mine - scores), np.abs(mine - theirs)).max(1)
        off[(np.diff(np.sort(index, 1), axis=1) == 0).any(1)] = np.inf  # an item twice
        if not (off <= TOLERANCE).all():
            row = int(off.argmax())
            raise Differs(
                f"the graph gives other lists than the network: in that of history "
                f"{part.start + row} log π differs by {off[row]:.2g}; {CURE}"
            )
        same += int((index == listed).all(1).sum())
        largest = max(largest, float(np.abs(mine - scores).max()))
    return same, largest


def _trimmed(histories: Encoded) -> Encoded:
    """Cut padding that none of the sessions needs, so that lengths vary."""
    longest = max(1, int(histories.length.max()))
    items, kinds, gaps = (None if x is None else x[:, :longest] for x in histories[:3])
    assert items is not None
    return Encoded(items, kinds, gaps, histories.length)
