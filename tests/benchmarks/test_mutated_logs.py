"""Two hundred damaged logs end in the right events or in one line; and the judge does judge."""

from pathlib import Path

import pytest

from benchmarks import mutated_logs
from dataset_prep import order, rows


def judged(folder: Path, seeds: range) -> list[str]:
    found = {seed: mutated_logs.outcome(mutated_logs.mutated(seed), folder) for seed in seeds}
    return [f"{seed}: {came}" for seed, came in found.items() if came not in ("right", "refused")]


def test_every_damaged_log_ends_in_the_right_events_or_one_line(tmp_path: Path) -> None:
    assert judged(tmp_path, range(200)) == []
    assert {mutated_logs.outcome(mutated_logs.mutated(seed), tmp_path) for seed in range(9)} == {
        "right", "refused",
    }  # fmt: skip


def test_lost_events_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "oldest_first", lambda log, label: (log.head(len(log) - 1), []))
    assert "other events than the plain reader's" in judged(tmp_path, range(10))[0]


def test_what_escapes_the_net_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise KeyError("a traceback")

    monkeypatch.setattr(rows, "bad_row", fail)
    assert "a traceback" in judged(tmp_path, range(20))[0]
