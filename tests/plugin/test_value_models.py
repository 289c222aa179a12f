"""Models of rewards and values for a finished run, as ``estimate --values`` fits them."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from recbole_lpi.evaluation.off_policy import read_logged_events, report_on
from recbole_lpi.evaluation.off_policy.report_settings import ReportSettings
from recbole_lpi.plugin.runner import run
from recbole_lpi.plugin.value_models import values_of
from recbole_lpi.settings import SettingError
from recbole_lpi.training import RunFolder
from recbole_lpi.training.fitted_q import FitSettings
from tests.support.logs import SMALL

pytestmark = pytest.mark.recbole
HOW = FitSettings(gamma=0.9, epochs=1)


def test_values_are_of_the_events_of_the_run_and_fitted_once(log):
    run("LPI", "shop", (), {**SMALL, "epochs": 1, "run_dir": "runs/first"})
    folder = RunFolder("runs/first")
    path = values_of(folder, HOW, show=False)
    values, events = pl.read_parquet(path), pl.read_parquet(folder.events)
    for name in ("session_id", "position"):
        assert values[name].equals(events[name])
    assert values.drop("session_id").to_numpy().shape[1] == 10
    assert np.isfinite(values.drop("session_id").to_numpy()).all()
    written = path.stat().st_mtime_ns
    assert values_of(folder, HOW, show=False).stat().st_mtime_ns == written
    report = report_on("π", read_logged_events(folder.events, path), ReportSettings(resamples=0))
    made = {row.estimator.name for row in report.estimates}
    assert made >= {"dr", "mips", "offcem", "sequential_dr", "fqe", "first_order"}
    assert not report.not_made
    values_of(folder, FitSettings(gamma=0.5, epochs=1), show=False)
    assert path.stat().st_mtime_ns != written
    shuffled = values.reverse()
    shuffled.write_parquet(path)
    with pytest.raises(SettingError, match="is of other events: remove it"):
        read_logged_events(folder.events, Path(path))


def test_what_has_no_network_or_no_logging_policy_is_refused(log):
    run("Popularity", "shop", (), {**SMALL, "run_dir": "runs/counted"})
    with pytest.raises(SettingError, match="is a Popularity, which has no network of ours"):
        values_of(RunFolder("runs/counted"), HOW, show=False)
    alone = {**SMALL, "epochs": 1, "run_dir": "runs/alone", "logging_policy": "none"}
    run("LPI", "shop", (), alone)
    with pytest.raises(SettingError, match="logging_policy: none"):
        values_of(RunFolder("runs/alone"), HOW, show=False)
