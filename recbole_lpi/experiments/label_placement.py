"""Where the names beside the points of a figure stand: each where it covers least.

What is taken already, and what a name would take, are boxes: rows of left, bottom, right, top, in
pixels.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation

# Where a name may stand: distances from its point, in points, and directions. Further than LEAD,
# a line leads from the point to the name.
DISTANCES, DIRECTIONS, LEAD = (6, 12, 20, 30, 42, 56, 72, 90, 110, 140), 16, 6


def settle(
    axes: Axes, note: Annotation, at: np.ndarray, taken: np.ndarray, pixels: float
) -> np.ndarray:
    """Move a text to the place around its point where it covers least, the nearest of these.

    Returns the boxes that the text, and the line that leads to it, now cover.
    """
    size = note.get_window_extent()
    half = np.array([size.width, size.height]) / 2
    frame = np.array([axes.bbox.extents])
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    best: tuple[float, np.ndarray, np.ndarray, np.ndarray] | None = None
    for distance in DISTANCES:
        for towards in np.stack([np.cos(angles), np.sin(angles)], axis=1):
            # The edge of the text, not its middle, is that far away.
            reach = towards * min(half / np.maximum(np.abs(towards), 1e-9))
            offset = towards * distance * pixels + reach
            lead = np.array([at, at + offset - reach])
            own = around(at + offset, half + 1)
            outside = _areas(own).sum() - _overlaps(own, frame).sum()
            if distance > LEAD:
                own = np.concatenate([own, along(at + towards * 5 * pixels, lead[1])])
            cost = _overlaps(own, taken).sum() + 10 * outside + distance * pixels**2
            if best is None or cost < best[0]:
                best = cost, offset, own, lead if distance > LEAD else lead[:0]
    assert best is not None
    _, offset, own, lead = best
    note.xyann = tuple(offset / pixels)
    if len(lead):
        axes.plot(
            *axes.transData.inverted().transform(lead).T,
            color=note.get_color(), lw=0.5, alpha=0.6, zorder=2, scalex=False, scaley=False,
        )  # fmt: skip
    return own


def along(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Small boxes along a segment, which cover it."""
    pieces = np.linspace(start, end, int(np.hypot(*(end - start)) / 5) + 2)
    return around(pieces, np.array([3, 3]))


def around(points: np.ndarray, half: np.ndarray) -> np.ndarray:
    """A box around each point [..., 2], that reaches ``half`` of its size to either side."""
    return np.atleast_2d(np.concatenate([points - half, points + half], axis=-1))


def _areas(boxes: np.ndarray) -> np.ndarray:
    """The area of each box; 0 of one whose sides are the wrong way round."""
    sides = (boxes[..., 2:] - boxes[..., :2]).clip(min=0)
    return np.asarray(sides.prod(axis=-1))


def _overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The area that each of ``some`` shares with each of ``others``."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return _areas(np.concatenate([low, high], axis=-1))
