"""Runs end with what their test part says of the logging policy's estimate."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from recbole_lpi.cli.run_report import show
from recbole_lpi.plugin.runner import Run, run
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole


def train(model: str, run_dir: str, **given) -> Run:
    return run(model, "shop", (), {**SMALL, "run_dir": run_dir, **given})


def kept(run_dir: str | Path):
    return json.loads(Path(run_dir, "metrics.json").read_text())["logging_policy_quality"]


def test_a_logging_policy_and_a_policy_compared_with_it_tell_the_same_of_it(log):
    mu, pi = train("LoggingPolicy", "runs/mu"), train("LPIRL", "runs/pi", logging_policy="runs/mu")
    assert mu.verdicts.quality is not None and pi.verdicts.quality is not None
    assert (mu.verdicts.quality.weights_of, pi.verdicts.quality.weights_of) == ("mixture", "policy")
    assert mu.verdicts.quality.nll == pytest.approx(pi.verdicts.quality.nll, abs=1e-4)
    assert mu.verdicts.quality.floor_nll == pi.verdicts.quality.floor_nll
    assert mu.verdicts.quality.better_by.count == mu.results["test"]["hit@3"].count
    for finished in (mu, pi):
        assert finished.verdicts.quality is not None
        assert kept(finished.folder.path) == finished.verdicts.quality.plain()
        assert finished.folder.read_metrics()["logging_policy_quality"]["nll"] > 0


def test_it_is_printed_below_the_table(log):
    finished, file = train("LPIRL", "runs/pi"), io.StringIO()
    assert finished.verdicts.quality is not None
    show(finished, Console(file=file, width=1000))
    text = file.getvalue()
    assert "\n".join(finished.verdicts.quality.lines()) in text
    assert text.index("HR@10") < text.index("Estimated logging policy") < text.index("Run folder")


def test_a_walk_that_is_learnt_is_predicted_better_than_by_counts(log):
    """Each item of the log is followed by the next, or the one after: log 2 nats."""
    how = {"epochs": 40, "learning_rate": 0.02, "hidden_size": 16}
    found = train("LoggingPolicy", "runs/a", **how).verdicts.quality
    assert found is not None and found.nll < 1.5 and found.floor_nll > 2.5 and found.beats_floor
    assert not any("Warning: counting" in line for line in found.lines())


@pytest.mark.parametrize(
    ("model", "given"),
    [("Popularity", {"logging_policy": "none"}), ("LPIRL", {"divergence_candidates": 8})],
)
def test_nothing_is_said_where_the_estimate_gives_the_logged_items_no_probability(
    log, model, given
):
    finished, file = train(model, "runs/a", **given), io.StringIO()
    assert finished.verdicts.quality is None and kept("runs/a") is None
    show(finished, Console(file=file))
    assert "Estimated logging policy" not in file.getvalue()


def test_a_baseline_that_is_compared_with_an_estimate_tells_of_it_too(log):
    quality = train("SessionKNN", "runs/a").verdicts.quality
    assert quality is not None and quality.weights_of == "policy"
    assert np.isfinite([quality.nll, quality.weights.mean.mean]).all()


def test_first_events_and_a_split_within_sessions_are_judged_too(log):
    quality = train("LoggingPolicy", "runs/a", evaluate_first_event=True).verdicts.quality
    assert quality is not None and np.isfinite(quality.floor_nll)
    quality = train("LoggingPolicy", "runs/b", split="leave_one_out").verdicts.quality
    assert quality is not None and np.isfinite(quality.floor_nll)
