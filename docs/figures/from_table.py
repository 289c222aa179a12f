"""Draw the front and the divergence over β of a sweep's report, from the table that it holds.

    python docs/figures/from_table.py docs/sweeps/front-yoochoose-1pct.md

Writes front-yoochoose-1pct.svg and front-yoochoose-1pct-divergence.svg beside it. ``recbole-lpi
sweep --figure`` draws the same from runs; a report outlives those.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.experiments import divergence_figure, figures
from recbole_lpi.experiments.comparison import Cell, ComparedPolicy, Comparison

K = 20
CELL = re.compile(r"\**(-?[\d.]+) ± ([\d.]+)")
HEADINGS = {
    f"purchase nDCG@{K}": f"purchase_ndcg@{K}",
    f"click nDCG@{K}": f"click_ndcg@{K}",
    "divergence JS": divergence_figure.JS,
}


def read(report: Path) -> Comparison:
    """The table of the test part in a report."""
    text = report.read_text("utf-8")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("## Test part")[2].partition("\n\n##")[0].splitlines()
        if line.startswith("| ")
    ]
    head, _, *body = rows
    policies = []
    for row in body:
        model, _, beta = row[0].partition(" ")
        cells = {}
        for heading, name in HEADINGS.items():
            if found := CELL.match(row[head.index(heading)]):
                cells[name] = Cell(float(found[1]), float(found[2]), None, 0)
        apart = {"beta": float(beta)} if beta else {}
        policies.append(ComparedPolicy(model, apart, tuple(range(int(row[1]))), cells))
    counts = re.search(r"test part: ([\d,]+) purchases and ([\d,]+) clicks", text)
    floor = re.search(r"Two seeds of the logging policy differ by JS ([\d.]+) ± ([\d.]+)", text)
    assert counts is not None
    number = [int(count.replace(",", "")) for count in counts.groups()]
    return Comparison(
        text.partition(":")[0].removeprefix("# "),
        {"purchase": {"purchase": number[0]}, "click": {"click": number[1]}},
        tuple(policies),
        {},
        noise_floor={}
        if floor is None
        else {divergence_figure.JS: Estimate(float(floor[1]), float(floor[2]), sum(number))},
    )


def main(report: Path) -> None:
    """Draw both figures beside a report."""
    comparison = read(report)
    figures.write(figures.trade_off(comparison, K), report.with_suffix(".svg"))
    other = report.with_name(f"{report.stem}-divergence.svg")
    figures.write(divergence_figure.over_beta(comparison), other)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
