"""A shop is fitted to the shape of a log: by hand, and one that a shop is known to have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from recbole_lpi.data import flat_sessions
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation import ShopSettings, shop_fitting
from recbole_lpi.simulation.shop_fitting import fitted_shop, read_log, shape_of, shape_of_shop

START = ShopSettings(n_items=60, dimension=3, max_events=15)
ROWS = [("a", "x", 1, "click"), ("b", "y", 5, "click"), ("a", "x", 2, "purchase"),
        ("a", "y", 3, "click"), ("b", "z", 4, "click")]  # fmt: skip


def test_the_shape_of_a_log_by_hand(tmp_path):
    path = tmp_path / "log.inter"
    head = "session_id:token\titem_id:token\ttimestamp:float\tevent:token\treward:float\n"
    path.write_text(head + "".join("\t".join(map(str, row)) + "\t1\n" for row in ROWS))
    found = shape_of(read_log(path))
    assert found.length == 2.5 and found.purchases == 0.2
    assert found.repeats == pytest.approx(1 / 3)  # x x y, z y
    assert found.concentration == pytest.approx((2 * 1 + 2 * 1 + 0) / (5 * 4))


@pytest.mark.slow
def test_a_shop_is_found_that_has_the_shape(monkeypatch):
    monkeypatch.setattr(shop_fitting, "SESSIONS", 1000)
    target = replace(START, leave=0.15, purchase=(-3.0, 4.0), remind=0.3, popular=2.5)
    sought, before = shape_of_shop(target, 0), shape_of_shop(START, 0)
    found = fitted_shop(sought, START, 0)
    reached = shape_of_shop(found, 0)
    for name, value in vars(sought).items():
        assert getattr(reached, name) == pytest.approx(value, rel=0.05), name
        assert abs(getattr(before, name) / value - 1) > 0.1, name
    assert replace(found, leave=0.15, purchase=(-3.0, 4.0), remind=0.3, popular=2.5) == target


def test_a_log_without_a_shape_is_told(tmp_path):
    with pytest.raises(SettingError, match="no log at"):
        read_log(tmp_path / "none.inter")
    (tmp_path / "bad.inter").write_text("session_id:token\tx:token\n1\t2\n")
    with pytest.raises(SettingError, match=r"bad\.inter: .*item_id"):
        read_log(tmp_path / "bad.inter")
    alone = flat_sessions([0, 1], [1, 1], [0, 1], [0, 0], [0, 0], ("click",))
    with pytest.raises(SettingError, match="no shape"):
        shape_of(alone)
    again = flat_sessions([0, 0], [1, 1], [0, 1], [0, 0], [0, 0], ("click",))
    assert shape_of(again).repeats == 1 and shape_of(again).purchases == 0
