"""Chunks and tiles follow the memory there is."""

import pytest
import torch

from recbole_lpi.nn import tile_sizes
from recbole_lpi.nn.tile_sizes import even, l2_bytes, parts, tiling

CPU = torch.device("cpu")


def test_parts_cover_everything_once():
    assert [list(range(p.start, p.stop)) for p in parts(5, 2)] == [[0, 1], [2, 3], [4]]
    assert even(10, 4) == 4 and even(9, 4) == 3 and even(3, 10) == 3


@pytest.mark.parametrize("events", [1, 300, 5_120, 100_000])
@pytest.mark.parametrize("items", [5, 17_834, 70_852, 1_000_000])
def test_memory_does_not_grow_with_events_or_items(events, items):
    found = tiling(events, items, CPU, 4)
    assert 1 <= found.events <= events and 1 <= found.items <= items
    least = tile_sizes.LEAST_EVENTS * items * 4  # below that a product would be slow
    assert found.events * items * 4 <= max(tile_sizes.CHUNK_BYTES, least)


def test_a_tile_follows_the_cache(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    for size, wide in ((2**10, 448), (2**18, 512), (300 * 2**10, 640), (2**23, 768)):
        monkeypatch.setattr(tile_sizes, "l2_bytes", lambda size=size: size)
        assert tiling(5_120, 70_852, CPU, 4) == (466, wide)  # 466 · wide · 4 bytes: 4 · size
    assert tiling(5_120, 100, CPU, 4).items == 100


def test_events_whose_tiles_are_not_held_fill_the_cache_with_the_narrowest(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(tile_sizes, "l2_bytes", lambda: 2**19)
    assert tiling(5_120, 70_852, CPU, 4, held=False) == (1024, 512)
    assert tiling(100, 70_852, CPU, 4, held=False) == (100, 768)
    assert tiling(10_000, 100, CPU, 4, held=False) == (5_000, 100)


def test_a_chunk_follows_the_free_memory_of_a_gpu(monkeypatch):
    for free, unused in ((2**33, 0), (2**32, 2**32)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device, f=free: (f, 2**35))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device, u=unused: u + 5)
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 5)
        found = tiling(100_000, 70_852, torch.device("cuda"), 4)
        assert found.items == 70_852
        assert 2**29 < found.events * 70_852 * 4 <= 2**30


def test_the_size_of_the_cache_is_read_where_the_system_tells_it(monkeypatch, tmp_path):
    for number, (level, size) in enumerate([("1", "32K"), ("2", "768K"), ("3", "16384K")]):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        (folder / "level").write_text(level + "\n")
        (folder / "size").write_text(size + "\n")
    for path, wanted in ((tmp_path, 768 * 2**10), (tmp_path / "none", tile_sizes.L2_BYTES)):
        monkeypatch.setattr(tile_sizes, "CACHES", path)
        l2_bytes.cache_clear()
        assert l2_bytes() == wanted
    l2_bytes.cache_clear()
