"""A comparison as a table in Markdown, LaTeX and CSV, and the words that every table shares."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from itertools import groupby

from recbole_lpi import text
from recbole_lpi.evaluation.measures import DIVERGENCE
from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.comparison import Cell, ComparedPolicy, Comparison


def heading(metric: str) -> tuple[str, str]:
    """The two headings of a metric: ``purchase_hit@5`` as (``purchase``, ``HR@5``)."""
    parsed = Metric.parse(metric)
    return parsed.heading, parsed.label


def caption(comparison: Comparison, metrics: Sequence[str]) -> list[str]:
    """What is to be known beside the numbers, a sentence or two each."""
    numbers = []
    for kind, events in comparison.events.items():
        called = "" if set(events) <= {kind} else f" ({' or '.join(events)})"
        numbers.append(f"{sum(events.values()):,} {kind}s{called}")
    lines = [f"{comparison.dataset}, test part: {' and '.join(numbers)}."]
    lines.append(f"± is one standard error over {comparison.over}.")
    if any(cell.best for policy in comparison.policies for cell in policy.cells.values()):
        lines.append(
            "Bold: the best. It differs from every other policy at * p < .05, ** p < .01, *** p < "
            f".001 (paired t-tests over {comparison.over}, the largest p)."
        )
    lines += comparison.notes
    lines += one_seed_line([policy.label for policy in comparison.policies if policy.of_one_seed])
    divergence = any(heading(metric)[0] == DIVERGENCE for metric in metrics)
    if divergence and comparison.logging_policies:
        lines.append("Divergence is from the logging policy, in nats; neither more nor less wins.")
        if len(comparison.logging_policies) > 1:
            each = "; ".join(
                f"{', '.join(labels)} from {name}"
                for name, labels in comparison.logging_policies.items()
            )
            lines.append(f"Divergences are from different logging policies: {each}.")
        lines += floor_line(comparison)
    return lines


def floor_line(comparison: Comparison) -> list[str]:
    """What a table says of how far two seeds of the logging policy are apart, if that is known."""
    apart = [
        f"{Metric.parse(name).label} {found.mean:.4f} ± {found.stderr:.4f}"
        for name, found in comparison.noise_floor.items()
    ]
    if not apart:
        return []
    return [
        f"Two seeds of the logging policy differ by {' and '.join(apart)}: nothing below that is a "
        "difference."
    ]


def one_seed_line(labels: Sequence[str]) -> list[str]:
    """What a table says of policies of which one run is all there is; nothing if there are none."""
    if not labels:
        return []
    return [
        f"Trained with one seed: {', '.join(labels)}; errors and tests of these say nothing of "
        "what another seed would do."
    ]


def markdown(comparison: Comparison, metrics: Sequence[str]) -> str:
    """The comparison as a Markdown table, the caption below."""

    def cell(found: Cell | None) -> str:
        shown, stars = plain(found), text.markdown(found.stars if found else "")
        return f"**{shown}**{stars}" if found and found.best else shown

    heads = ["policy", "seeds", *(" ".join(heading(metric)) for metric in metrics)]
    rows = [heads, ["-", "-:", *["-:"] * len(metrics)]]
    rows += _rows(comparison, metrics, text.markdown, cell)
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*lines, "", *map(text.markdown, caption(comparison, metrics))]) + "\n"


def latex(comparison: Comparison, metrics: Sequence[str]) -> str:
    """The comparison as a table of the LaTeX package booktabs, as the paper's Table 3."""

    def cell(found: Cell | None) -> str:
        if found is None or not found.count:
            return "--"
        mean = f"{found.mean:.4f}"
        mean = rf"\textbf{{{mean}}}" if found.best else mean
        stars = f"$^{{{found.stars}}}$" if found.stars else ""
        return rf"{mean}{stars} {{\scriptsize$\pm${found.stderr:.4f}}}"

    kinds = [(kind, len(list(of))) for kind, of in groupby(metrics, lambda m: heading(m)[0])]
    above, rules, column = [], [], 3
    for kind, number in kinds:
        above.append(rf"\multicolumn{{{number}}}{{c}}{{{kind.capitalize()}}}")
        rules.append(rf"\cmidrule(lr){{{column}-{column + number - 1}}}")
        column += number
    rows = [" & ".join(row) + r" \\" for row in _rows(comparison, metrics, text.latex, cell)]
    lines = [
        r"% \usepackage{booktabs}",
        r"\begin{table*}", r"\centering\footnotesize", r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{lr{'r' * len(metrics)}}}", r"\toprule",
        " & ".join(["", "", *above]) + r" \\", "".join(rules),
        " & ".join(["Policy", "Seeds", *(heading(metric)[1] for metric in metrics)]) + r" \\",
        r"\midrule", *rows, r"\bottomrule", r"\end{tabular}",
        rf"\caption{{{' '.join(map(text.latex, caption(comparison, metrics)))}}}",
        r"\end{table*}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def to_csv(comparison: Comparison, metrics: Sequence[str]) -> str:
    """A row for each policy and metric, in full precision; empty where nothing was measured."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        ["policy", "seeds", "metric", "mean", "stderr", "spread", "count", "best", "stars", "p"]
    )
    for policy in comparison.policies:
        for metric in metrics:
            cell = policy.cells.get(metric)
            row: list[object] = [text.csv_cell(policy.label), len(policy.seeds), metric]
            if cell is not None and cell.count:
                p = cell.against_others.p if cell.against_others else None
                row += [cell.mean, cell.stderr, cell.spread, cell.count, int(cell.best), cell.stars]
                row.append(p)
            writer.writerow(row + [None] * (10 - len(row)))
    return file.getvalue()


TEXTS: dict[str, Callable[[Comparison, Sequence[str]], str]] = {
    "markdown": markdown, "latex": latex, "csv": to_csv,
}  # fmt: skip


def _rows(
    comparison: Comparison,
    metrics: Sequence[str],
    escape: Callable[[str], str],
    cell: Callable[[Cell | None], str],
) -> list[list[str]]:
    def row(policy: ComparedPolicy) -> list[str]:
        cells = [cell(policy.cells.get(metric)) for metric in metrics]
        return [escape(policy.label), str(len(policy.seeds)), *cells]

    return [row(policy) for policy in comparison.policies]


def plain(cell: Cell | None, stars: int = 0) -> str:
    """Mean ± error, and room for ``stars`` stars, so that the numbers stand below one another."""
    if cell is None or not cell.count:
        return "–" + " " * stars
    return f"{cell.mean:.4f} ± {cell.stderr:.4f}" + (cell.stars.ljust(stars) if stars else "")
