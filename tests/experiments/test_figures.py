"""The trade-off: what is drawn where, who is on the front, and that names stay apart."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex
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


def joined(axes):
    """The lines that join points along β: solid, and of more than one point."""
    return [
        line for line in axes.lines if line.get_linewidth() == 1 and line.get_linestyle() == "-"
    ]


def markers(axes):
    """(x, y) of every point drawn as a circle: whether it is filled."""
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    return {
        tuple(round(float(v[0]), 3) for v in (dot.get_xdata(), dot.get_ydata())): to_hex(
            dot.get_markerfacecolor()
        )
        != "#ffffff"
        for dot in dots
    }


def test_every_policy_is_named_beside_its_point_and_beta_is_a_line(comparison):
    (axes,) = figures.trade_off(comparison, 20).axes
    assert {text.get_text() for text in axes.texts} == {
        "LPIRL (gamma=0.5)\nβ = 0.1",
        "β = 0.3",
        "β = 1.0",
        "LPIRL (beta=1.0, gamma=0.1)",
        "LoggingPolicy",
        "SQN",
    }
    (line,) = joined(axes)
    np.testing.assert_allclose(np.asarray(line.get_xdata(), float), [0.05, 0.15, 0.5])
    np.testing.assert_allclose(np.asarray(line.get_ydata(), float), [0.95, 0.85, 0.5])
    assert len(markers(axes)) == 6
    assert axes.get_xlabel() == "click nDCG@20" and axes.get_ylabel() == "purchase nDCG@20"
    assert not axes.figure.legends


def test_filled_points_are_the_front(comparison):
    (axes,) = figures.trade_off(comparison, 20).axes
    second, third, tenth = (1 / np.log2(rank + 1) for rank in (2, 3, 9 + 0))
    assert {at for at, filled in markers(axes).items() if filled} == {
        (0.05, 0.95),
        (0.15, 0.85),
        (round(second, 3), round(second, 3)),
    }
    assert (round(third, 3), round(tenth, 3)) in markers(axes)


@pytest.mark.parametrize("seed", range(5))
def test_pareto_front_by_its_definition(seed):
    drawn = np.random.default_rng(seed).integers(0, 6, (12, 2))
    points = [(float(x), float(y)) for x, y in drawn]

    def beaten(n):
        return any(m[0] >= points[n][0] and m[1] >= points[n][1] and m != points[n] for m in points)

    front = figures.pareto_front(points)
    assert sorted(front) == [n for n in range(12) if not beaten(n)]
    assert [points[n][0] for n in front] == sorted(points[n][0] for n in front)


def test_bars_are_one_standard_error(comparison):
    (axes,) = figures.trade_off(comparison, 20).axes
    policy = next(p for p in comparison.policies if p.differing.get("beta") == 0.1)
    bars: Any = axes.containers[0]
    across, up = bars.lines[2]
    for ends_of, metric, axis in ((across, METRICS[0], 0), (up, METRICS[1], 1)):
        ends = ends_of.get_segments()[0][:, axis]
        assert ends[1] - ends[0] == pytest.approx(2 * policy.cells[metric].stderr)


def test_a_policy_far_from_the_others_is_an_arrow_with_its_values(made):
    for number in range(6):
        made(f"r{number}", [3, 3] * (20 + number) + [4, 4] * (20 - number), learning_rate=number)
    made("far", [999, 1] * 40, model="SessionPopularity")
    found = compare([*(f"r{number}" for number in range(6)), "far"], METRICS)
    (axes,) = figures.trade_off(found, 20).axes
    texts = [text.get_text() for text in axes.texts]
    assert "SessionPopularity\n(0.000, 1.000)" in texts and len(texts) == 7
    assert axes.get_xlim()[0] > 0.3 and axes.get_ylim()[1] < 0.7
    assert len(markers(axes)) == 6
    arrow: Any
    (arrow,) = [line for line in axes.lines if isinstance(line.get_marker(), tuple)]
    x, y = arrow.get_xdata()[0], arrow.get_ydata()[0]
    assert axes.get_xlim()[0] < x < axes.get_xlim()[1]
    assert axes.get_ylim()[0] < y < axes.get_ylim()[1]


def crowd(made, policies):
    """Many policies in a small space, as in a real table."""
    draw = np.random.default_rng(3)
    for number in range(policies):
        ranks = draw.choice([2, 3, 4], 40)
        made(f"p{number}", list(ranks), learning_rate=number, seed=number)
    return compare([f"p{number}" for number in range(policies)], METRICS)


@pytest.mark.parametrize("policies", [6, 25])
def test_no_text_hides_another_or_leaves_the_figure(made, comparison, policies):
    figure = figures.trade_off(comparison if policies == 6 else crowd(made, policies), 20)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    texts = [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
    assert len(axes.texts) == policies
    boxes = [Bbox.from_bounds(*text.get_window_extent().bounds) for text in texts]
    for text, box in zip(texts, boxes, strict=True):
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, text
    for a, b in itertools.combinations(boxes, 2):
        assert not Bbox.intersection(a, b)


@pytest.mark.parametrize("rises", [True, False])
def test_no_text_lies_on_a_line_or_a_point(made, rises):
    for n in (1, 4, 6, 9):
        hit, missed = ([1, 1], [99, 99]) if rises else ([1, 99], [99, 1])
        made(f"r{n}", hit * n + missed * (20 - n), beta=n)
    figure = figures.trade_off(compare([f"r{n}" for n in (1, 4, 6, 9)], METRICS), 20)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    points = axes.transData.transform(np.asarray(joined(axes)[0].get_xydata(), float))
    along = np.concatenate([np.linspace(a, b, 200) for a, b in itertools.pairwise(points)])
    for text in axes.texts:
        box = text.get_window_extent()
        assert not any(box.contains(x, y) for x, y in along), text.get_text()


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


def test_one_session_has_no_bars(made):
    made("a", [1, 2])
    made("b", [2, 1], model="SQN")
    (axes,) = figures.trade_off(compare(["a", "b"], METRICS), 20).axes
    assert len(axes.texts) == 2 and np.isfinite([*axes.get_xlim(), *axes.get_ylim()]).all()


def test_no_purchases_is_no_trade_off(made):
    made("a", [1, 1], kinds=["click", "click"])
    with pytest.raises(SettingError, match="no purchase in the test part"):
        figures.trade_off(compare(["a"], METRICS), 20)
    with pytest.raises(SettingError, match=r"must end in one of \.png"):
        figures.check_suffix(Path("figure"))
