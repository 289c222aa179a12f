"""Settings that a run of an earlier version does not have."""

import pytest

from recbole_lpi.plugin import stored_settings

pytestmark = pytest.mark.recbole
READS = ("inputs", "repeat_head", "fit_temperature")


def test_a_policy_of_before_there_were_inputs_goes_on_as_it_was():
    kept = stored_settings.again({"model": "LoggingPolicy", "dataset": "shop"}, {}, "runs/a")
    assert [kept[name] for name in READS] == [["item"], False, False]
    kept = stored_settings.again({"model": "LPI", "dataset": "shop", "inputs": ["x"]}, {}, "runs/a")
    assert kept["inputs"] == ["x"]
    kept = stored_settings.again({"model": "GRU4Rec", "dataset": "shop"}, {}, "runs/a")
    assert not set(READS) & kept.keys()
