"""The benchmarks of off-policy estimates, on tables of a few rows."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from benchmarks.estimate_scale import measure, write_table
from benchmarks.interval_coverage import (
    OVERLAPS,
    TabularBandit,
    bounds_table,
    cover,
    table,
)
from benchmarks.open_bandit import CAMPAIGNS, reports
from recbole_lpi.evaluation.off_policy import ReportSettings


def test_the_truth_of_the_bandit_is_what_its_log_tends_to():
    world = TabularBandit.drawn(1.0, 0.5)
    events = world.log(40_000, np.random.default_rng(0))
    assert events.reward.mean() == pytest.approx(world.log_value, rel=0.02)
    assert (events.weight * events.reward).mean() == pytest.approx(world.value, rel=0.03)
    assert events.weight.mean() == pytest.approx(1, abs=0.01)


def test_a_coverage_table():
    coverages = {"good": cover(TabularBandit.drawn(*OVERLAPS["good"]), 2, 300, 100, 0)}
    lines = list(table(coverages))
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|") == 8
    assert any(line.startswith("| good | snips |") for line in lines)
    assert len(list(bounds_table(coverages))) == 6


def test_a_scale_table_is_estimated(tmp_path):
    write_table(tmp_path / "log.parquet", 5_000)
    frame = pl.read_parquet(tmp_path / "log.parquet")
    assert len(frame) == 5_000
    assert frame.select("session_id", "position").is_unique().all()
    seconds, memory = measure(tmp_path / "log.parquet", tmp_path / "out")
    assert seconds > 0 and memory > 0
    assert (tmp_path / "out" / "estimates.json").exists()


def test_the_uniform_policy_in_files_like_those_of_the_open_bandit_dataset(tmp_path):
    draw = np.random.default_rng(0)
    for policy in ("random", "bts"):
        for campaign in CAMPAIGNS:
            place = tmp_path / policy / campaign
            place.mkdir(parents=True)
            pl.DataFrame({"item_id": np.arange(4)}).write_csv(place / "item_context.csv")
            columns = {
                "click": draw.integers(2, size=50), "propensity_score": np.full(50, 0.25),
                "position": draw.integers(1, 4, 50),
            }  # fmt: skip
            pl.DataFrame(columns).write_csv(place / f"{campaign}.csv")
    found = reports(tmp_path, ReportSettings(resamples=0))
    for report, truth in found.values():
        assert report.diagnostics.weights is not None
        assert report.diagnostics.weights.mean.mean == pytest.approx(1)
        assert 0 < truth < 1
