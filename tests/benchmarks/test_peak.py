"""Peak memory is what was held at once, freed or not, and nothing that was held before."""

import sys

import pytest
import torch

from benchmarks.peak import added_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_peak_of_a_known_size():
    kept = [torch.ones(2**24)]  # 64 MiB, there before
    del kept[:]
    torch.ones(2**25)
    peak = added_memory(lambda: torch.ones(2**26))  # 256 MiB, freed at once
    assert 0.24 < peak < 0.27
    assert added_memory(lambda: None) < 0.01
