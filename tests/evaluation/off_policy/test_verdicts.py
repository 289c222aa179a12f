from dataclasses import replace

import numpy as np
import pytest

from benchmarks.interval_coverage import OVERLAPS, TabularBandit, cover
from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.evaluation.off_policy.estimate_verdicts import (
    EstimateVerdict,
    Evidence,
    VerdictSettings,
    pass_verdict,
)
from recbole_lpi.evaluation.off_policy.session_sums import mean_of

SUMS = mean_of(np.tile([0.0, 2.0], 100), np.ones(200))  # 1 ± 0.07
GOOD = Evidence(SUMS, 0.14, 1.0, Estimate(1.01, 0.02, 200), 0.9, 150.0, 60.0, 0.0)


def test_good_evidence_is_usable():
    found = pass_verdict(GOOD, VerdictSettings())
    assert found.usable and str(found) == "usable"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"weight_mean": Estimate(0.9, 0.02, 200)}, "mean weight 0.9 ± 0.02, not 1: the log lacks"),
        ({"weight_mean": Estimate(1.1, 0.02, 200)}, "not 1: μ is smaller than what it logged"),
        ({"weight_mean": Estimate(float("nan"), 0.02, 200)}, "mean weight nan"),
        ({"weight_at_least": 1.5}, "the mean weight is at least 1.5, not 1: μ is wrong"),
        ({"effective": 20.0}, "worth 20 events of equal weight, fewer than 100"),
        ({"carrying": 3.0}, "about 3 rewards carry its error, fewer than 25"),
        ({"sums": mean_of(np.eye(1, 200)[0], np.ones(200))}, "about 1 rewards carry its error"),
        ({"unsupported": 0.2}, "20.0% of π lies on items that μ hardly shows"),
        ({"bias": Estimate(0.05, 0.01, 200), "reference": "IPS"}, "+0.05 ± 0.01 off IPS"),
        ({"bias": Estimate(0.0, 0.05, 200)}, "its interval may miss the value"),
        ({"engaged_only": True}, "the log has what was engaged with only"),
        ({"assumes": "q is right"}, "it is right only if q is right, which no log shows"),
    ],
)
def test_what_is_refused_says_why(changed, said):
    found = pass_verdict(replace(GOOD, **changed), VerdictSettings())
    assert found.status == "refused"
    assert said in str(found)


def test_a_small_bias_is_no_reason():
    assert pass_verdict(replace(GOOD, bias=Estimate(0.005, 0.005, 200)), VerdictSettings()).usable


@pytest.mark.parametrize("half_width", [0.6, float("nan")])
def test_what_is_wide_tells_nothing(half_width):
    found = pass_verdict(replace(GOOD, half_width=half_width), VerdictSettings())
    assert found.status == "too wide"
    assert "beside the log's value of 1" in str(found)


def test_thresholds_are_settings():
    assert pass_verdict(replace(GOOD, effective=20.0), VerdictSettings(min_effective=10)).usable
    assert pass_verdict(replace(GOOD, engaged_only=True), VerdictSettings(all_shown=True)).usable
    with pytest.raises(ValueError, match="max_bias must be ≥ 0"):
        VerdictSettings(max_bias=-1)


def test_all_reasons_are_told():
    found = pass_verdict(replace(GOOD, effective=2.0, unsupported=0.5), VerdictSettings())
    assert len(found.reasons) == 2
    assert found != EstimateVerdict("refused")


def test_intervals_hold_the_truth_where_the_verdict_is_usable():
    """A small form of benchmarks/interval_coverage.py: by estimator, over worlds that differ."""
    held: dict[str, list[float]] = {}
    for name in ("good", "fair"):
        coverage = cover(TabularBandit.drawn(*OVERLAPS[name]), 60, 1500, 0, 1)
        for (estimator, verdict), count in coverage.counts.items():
            if verdict == "usable":
                found = held.setdefault(estimator, [0, 0, 0])
                found[:] = np.add(found, [count.t, count.above, count.logs])
    for estimator in ("ips", "snips", "dr", "sndr", "delta_snips"):
        t, above, logs = held[estimator]
        assert logs >= 60
        assert t / logs >= 0.87  # 95 %, less three standard errors over 60 logs
        assert above / logs <= 0.11
    assert "dm" not in held and "mips" not in held  # wrong in these worlds


def test_hopeless_logs_are_refused():
    coverage = cover(TabularBandit.drawn(*OVERLAPS["hopeless"]), 20, 1500, 0, 1)
    usable = {key for key in coverage.counts if key[1] == "usable"}
    assert not usable
    missed = coverage.counts["clipped_ips", "refused"]
    assert missed.t / missed.logs < 0.8  # where it would have misled
    assert all(errors / coverage.logs <= 0.05 for errors in coverage.bounds.values())
