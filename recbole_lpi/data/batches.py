"""Batches: windows of sessions padded to one length, as tensors, and the returns they carry."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from recbole_lpi.data.sessions import Part, Sessions, by_size
from recbole_lpi.data.times import gap_bins
from recbole_lpi.data.windows import Windows


def returns_to_go(sessions: Sessions, part: Part, gamma: float) -> np.ndarray:
    """Compute returns G_t = Σ_k γᵏ r_{t+k} up to the part's stop, float32 [E]; 0 outside the part.

    Vectorised over sessions: one step per position, from the end, over the sessions that reach it.
    """
    returns = np.zeros(len(sessions.items), np.float32)
    length = part.stop - sessions.offsets[part.session]
    order = by_size(length)[::-1]
    stop, length = part.stop[order], length[order]
    running = np.zeros(len(order), np.float64)
    for back in range(1, int(length[0]) + 1 if len(length) else 0):
        alive = int(np.searchsorted(-length, -back, side="right"))
        place = stop[:alive] - back
        running[:alive] = sessions.rewards[place] + gamma * running[:alive]
        returns[place] = running[:alive]
    return returns


class History(NamedTuple):
    """Logged events as an encoder reads them, padded on the right, int64 [B, L] each.

    Attributes:
        items: 1 … A; 0 is padding, A + 1 the token that opens a session.
        kinds: the code of the event's kind, plus 1; 0 of padding and the start token. None where
            they are not known: only a policy that does not read them can do without.
        gaps: the bin of the time since the event before (``gap_bins``); 0 of padding, the start
            token and the first event. None as above.
    """

    items: Tensor
    kinds: Tensor | None = None
    gaps: Tensor | None = None

    def to(self, device: torch.device) -> History:
        """Return the history on ``device``."""
        items, kinds, gaps = self
        kinds = None if kinds is None else kinds.to(device)
        return History(items.to(device), kinds, None if gaps is None else gaps.to(device))


class Batch(NamedTuple):
    """Windows padded on the right to one length L. Shapes [B, L] unless said.

    Attributes:
        item_seq, kind_seq, gap_seq: int64, what the encoder reads (``History``).
        action: int64, the logged item that follows each position, 1 … A; 0 where there is none.
        reward, discount, return_: float32, of that action; discount is γ, and 0 at the last event.
        event: int64 code of the event's kind.
        counts: bool, which positions carry loss or are evaluated.
        place: int64, where the action stands in the flat store.
        session: int64 [B].
        sample_weight: float32, factor on the losses of that action; 1 unless sampled by reward.
        propensity: float32, μ(a | x) of that action as logged, 1 where there is none; None where
            the log does not say it.
    """

    item_seq: Tensor
    kind_seq: Tensor
    gap_seq: Tensor
    action: Tensor
    reward: Tensor
    discount: Tensor
    return_: Tensor
    event: Tensor
    counts: Tensor
    place: Tensor
    session: Tensor
    sample_weight: Tensor
    propensity: Tensor | None = None

    @property
    def history(self) -> History:
        """What the encoder reads."""
        return History(self.item_seq, self.kind_seq, self.gap_seq)

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``; to a GPU it is copied from pinned memory."""
        if device.type != "cuda":
            return self.each(lambda tensor: tensor.to(device))
        with torch.cuda.device(device):  # which each thread has for itself; pinning asks for one
            return self.each(lambda tensor: tensor.pin_memory().to(device, non_blocking=True))

    def each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with ``change`` made to each of its tensors."""
        return Batch(*(None if tensor is None else change(tensor) for tensor in self))  # type: ignore[arg-type]


def collate(
    sessions: Sessions,
    windows: Windows,
    gamma: float,
    returns: np.ndarray | None = None,
    start_token: int = 0,
    sample_weight: np.ndarray | None = None,
) -> Batch:
    """Pad windows to a batch; ``returns`` is ``returns_to_go`` of the part, or None for zeros.

    ``sample_weight`` is float32 [E], by place in the flat store, or None for ones.
    """
    length = int(windows.inputs.max())
    position = np.arange(length)
    # Position j of a window predicts event target[j] and has read the event before it.
    target = (windows.begin + 1 - windows.opens)[:, None] + position  # [B, L]
    real = target < windows.stop[:, None]
    safe = np.where(real, target, windows.stop[:, None] - 1)
    place = np.maximum(safe - 1, 0)
    read = sessions.items[place].astype(np.int64)
    read[:, 0] = np.where(windows.opens, start_token, read[:, 0])
    of_event = real.copy()  # and not of a start token
    of_event[:, 0] &= ~windows.opens
    of_gap = of_event & (place > windows.begin[:, None])
    elapsed = sessions.seconds_before(place)
    values = {
        "item_seq": np.where(real, read, 0),
        "kind_seq": np.where(of_event, sessions.events[place].astype(np.int64) + 1, 0),
        "gap_seq": np.where(of_gap, gap_bins(elapsed), 0),
        "action": np.where(real, sessions.items[safe], 0).astype(np.int64),
        "reward": np.where(real, sessions.rewards[safe], 0).astype(np.float32),
        "discount": np.where(real & (safe < windows.last[:, None] - 1), gamma, 0.0).astype(
            np.float32
        ),
        "return_": np.zeros(safe.shape, np.float32)
        if returns is None
        else np.where(real, returns[safe], 0).astype(np.float32),
        "event": np.where(real, sessions.events[safe], 0).astype(np.int64),
        "counts": real & (safe >= windows.first_target[:, None]),
        "place": np.where(real, safe, -1),
        "session": windows.session,
        "sample_weight": np.ones(safe.shape, np.float32)
        if sample_weight is None
        else np.where(real, sample_weight[safe], 0),
    }
    if sessions.propensities is not None:
        values["propensity"] = np.where(real, sessions.propensities[safe], np.float32(1))
    return Batch(**{name: torch.from_numpy(value) for name, value in values.items()})


def prefixes(sessions: Sessions, place: ArrayLike, max_length: int) -> tuple[History, Tensor]:
    """Cut the events before each event from the store, as RecBole's own models read them.

    ``place`` [B] in the flat store → histories [B, max_length], padded on the right, and their
    lengths [B]. They are cut from the store when asked for, so nothing padded is kept.
    """
    place = np.asarray(place, np.int64)
    head = sessions.offsets[np.searchsorted(sessions.offsets, place, side="right") - 1]
    begin = np.maximum(head, place - max_length)
    index = begin[:, None] + np.arange(max_length)
    real = index < place[:, None]
    index = np.where(real, index, 0)
    elapsed = sessions.seconds_before(index)
    fields = (
        np.where(real, sessions.items[index], 0),
        np.where(real, sessions.events[index].astype(np.int64) + 1, 0),
        np.where(real & (index > begin[:, None]), gap_bins(elapsed), 0),
    )
    found = (torch.from_numpy(field.astype(np.int64)) for field in fields)
    return History(*found), torch.from_numpy(place - begin)
