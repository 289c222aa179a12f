"""How much of an [events, items] matrix to hold at a time, by the memory there is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")  # where Linux describes them
L2_BYTES = 2**19  # of a core, where nothing describes it
CHUNK_BYTES = 2**27  # of a chunk, on a CPU
LEAST_EVENTS = 64  # with fewer of them a matrix product is no longer fast
LEAST_ITEMS, MOST_ITEMS, ROUND_ITEMS = 448, 768, 64  # of a tile on a CPU, see docs/performance.md
GPU_BUFFERS = 12  # matrices like a chunk that fit at once; a pass holds up to 8


class Tiling(NamedTuple):
    """A chunk holds ``events`` rows of the matrix, a tile ``items`` columns of a chunk."""

    events: int
    items: int


def tiling(
    events: int, items: int, device: torch.device, itemsize: int, held: bool = True
) -> Tiling:
    """Chunks and tiles for a matrix [events, items] of ``itemsize`` bytes each.

    On a CPU a tile is about twice as large as the L2 caches of the threads that work on it: in
    smaller ones calls cost more than they compute, larger ones leave the L3 cache; but within the
    widths of which matrix products are fastest, and of whole cache lines. A chunk that is held
    until its last tile is made is as large as pays for reading and adding to the item table once
    per chunk; of one that is not, a tile of the least width fills the cache. On a GPU there is one
    tile, and the chunk is what free memory holds.
    """
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        most = (free + unused) // GPU_BUFFERS // (items * itemsize)
        return Tiling(even(events, max(1, most)), items)
    cached = 2 * torch.get_num_threads() * l2_bytes() // itemsize
    most = CHUNK_BYTES // (items * itemsize) if held else cached // min(items, LEAST_ITEMS)
    chunk = even(events, max(LEAST_EVENTS, most))
    wide = min(max(cached // chunk, LEAST_ITEMS), MOST_ITEMS)
    return Tiling(chunk, min(wide // ROUND_ITEMS * ROUND_ITEMS, items))


def even(total: int, most: int) -> int:
    """The size of ⌈total / most⌉ parts that are as equal as can be."""
    return -(-total // -(-total // most)) if total else 1


def parts(total: int, size: int) -> Iterator[slice]:
    """0 … total in slices of ``size``, the last one perhaps smaller."""
    return (slice(i, min(i + size, total)) for i in range(0, total, size))


@cache
def l2_bytes() -> int:
    """Size of a core's L2 cache; that of common ones where the system does not say."""
    for level in CACHES.glob("index*/level"):
        try:
            size = level.with_name("size").read_text().strip()
            if level.read_text().strip() == "2" and size.endswith("K"):
                return int(size[:-1]) * 2**10
        except (OSError, ValueError):
            continue
    return L2_BYTES
