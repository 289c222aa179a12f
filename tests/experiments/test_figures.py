"""The trade-off: what is drawn where, and that no text hides another."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.transforms import Bbox

from recbole_lpi.experiments import figures
from recbole_lpi.experiments.comparison import compare
from recbole_lpi.settings import SettingError

METRICS = figures.trade_off_metrics(20)


@pytest.fixture
def comparison(made):
    """Three β, given out of order, one with another γ, and two models of one point each."""
    for number, beta in enumerate((0.3, 1.0, 0.1)):
        n = round(10 * beta)
        made(f"b{beta}", [1, 99] * n + [99, 1] * (20 - n), beta=beta, seed=number)
    made("gamma", [2, 2] * 20, gamma=0.1, beta=1.0)
    made("mu", [3, 9] * 20, model="LoggingPolicy")
    made("sqn", [9, 3] * 20, model="SQN")
    return compare(["b0.3", "b1.0", "b0.1", "gamma", "mu", "sqn"], METRICS)


def test_every_policy_is_a_point_and_beta_a_line(comparison):
    (axes,) = figures.trade_off(comparison, 20).axes
    drawn: dict[Any, Any] = {bars.get_label(): bars for bars in axes.containers}
    assert list(drawn) == [
        "LPIRL (gamma=0.5)",
        "LPIRL (beta=1.0, gamma=0.1)",
        "LoggingPolicy",
        "SQN",
    ]
    line = drawn["LPIRL (gamma=0.5)"].lines[0]
    assert line.get_linestyle() == "-"
    np.testing.assert_allclose(
        np.asarray(line.get_xdata(), float), [0.05, 0.15, 0.5]
    )  # clicks, along β
    np.testing.assert_allclose(np.asarray(line.get_ydata(), float), [0.95, 0.85, 0.5])
    for name in list(drawn)[1:]:
        assert drawn[name].lines[0].get_linestyle() == "None"
        assert len(drawn[name].lines[0].get_xdata()) == 1
    assert [text.get_text() for text in axes.texts] == ["β = 0.1", "β = 0.3", "β = 1.0"]
    assert axes.get_xlabel() == "click nDCG@20" and axes.get_ylabel() == "purchase nDCG@20"


def test_bars_are_one_standard_error(comparison):
    (axes,) = figures.trade_off(comparison, 20).axes
    bars: Any = axes.containers[0]
    across, up = bars.lines[2]
    policy = next(p for p in comparison.policies if p.differing.get("beta") == 0.1)
    for bars, metric, axis in ((across, METRICS[0], 0), (up, METRICS[1], 1)):
        ends = bars.get_segments()[0][:, axis]
        assert ends[1] - ends[0] == pytest.approx(2 * policy.cells[metric].stderr)


def test_no_text_hides_another_or_leaves_the_figure(comparison):
    figure = figures.trade_off(comparison, 20)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    texts = [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label, *figure.legends]
    boxes = [text.get_window_extent() for text in texts]
    assert not any(Bbox.intersection(a, b) for a, b in itertools.combinations(boxes, 2))
    for box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("rises", [True, False])
def test_no_text_lies_on_a_line_or_a_point(made, rises):
    for n in (1, 4, 6, 9):
        hit, missed = ([1, 1], [99, 99]) if rises else ([1, 99], [99, 1])
        made(f"r{n}", hit * n + missed * (20 - n), beta=n)
    figure = figures.trade_off(compare([f"r{n}" for n in (1, 4, 6, 9)], METRICS), 20)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    bars: Any = axes.containers[0]
    points = axes.transData.transform(np.asarray(bars.lines[0].get_xydata(), float))
    along = np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(points)])
    for text in axes.texts:
        box = text.get_window_extent()
        assert not any(box.contains(x, y) for x, y in along), text.get_text()


def test_colour_and_marker_tell_policies_apart(made):
    for number in range(9):
        made(f"r{number}", [1, 1], learning_rate=number)
    found = compare([f"r{number}" for number in range(9)], METRICS)
    axes: Any
    (axes,) = figures.trade_off(found, 20).axes
    lines = [bars.lines[0] for bars in axes.containers]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 9


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_files(comparison, tmp_path, suffix, magic):
    paths = [tmp_path / "new" / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        figures.write(figures.trade_off(comparison, 20), path)
    contents = [path.read_bytes() for path in paths]
    assert contents[0].startswith(magic) and contents[0] == contents[1]  # the same bytes again
    assert sorted(tmp_path.joinpath("new").iterdir()) == paths


def test_no_purchases_is_no_trade_off(made):
    made("a", [1, 1], kinds=["click", "click"])
    with pytest.raises(SettingError, match="no purchase in the test part"):
        figures.trade_off(compare(["a"], METRICS), 20)
    with pytest.raises(SettingError, match=r"must end in one of \.png"):
        figures.check_suffix(Path("figure"))
