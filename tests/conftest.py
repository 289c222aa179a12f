"""What holds for all tests."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support.logs import log as log  # a fixture

if "PYTEST_XDIST_WORKER" in os.environ:  # read by torch, which is not imported yet
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """RecBole takes what it finds on the command line for settings; pytest's are none."""
    monkeypatch.setattr(sys, "argv", sys.argv[:1])


@pytest.fixture(autouse=True)
def no_anomaly_detection() -> None:
    """One of RecBole's model files turns it on for all of torch: every step then takes twice."""
    if "torch" in sys.modules:
        sys.modules["torch"].autograd.set_detect_anomaly(False)
