"""A report on off-policy estimates for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from recbole_lpi.evaluation.off_policy.diagnostics import Diagnostics
from recbole_lpi.evaluation.off_policy.estimation import PolicyEstimate
from recbole_lpi.evaluation.off_policy.intervals import Interval
from recbole_lpi.evaluation.off_policy.policy_report import PolicyReport
from recbole_lpi.text import visible

WIDE = 110  # characters from which the bootstrap has a column
STYLES = {"usable": "bold", "too wide": "", "refused": "dim"}


def show(report: PolicyReport, console: Console) -> None:
    """Print the report: estimates, reasons, bounds, diagnostics, warnings."""
    console.print(Text(f"\n{visible(report.name)}", style="bold"))
    log = report.log_value
    console.print(
        f"{report.events:,} events in {report.sessions:,} sessions, logged value "
        f"{log.mean:.4g} ± {log.stderr:.2g} per event",
        highlight=False,
    )
    for improves, heading in ((False, "value"), (True, "improvement")):
        rows = [row for row in report.estimates if row.estimator.improves is improves]
        if rows:
            console.print(_table(heading, rows, console.width >= WIDE))
    for line in lines(report):
        console.print(visible(line), markup=False, highlight=False)


def _table(heading: str, rows: list[PolicyEstimate], bootstrap: bool) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(heading, no_wrap=True)
    names = ["estimate", "± error", "t interval", *(["bootstrap"] * bootstrap), "at least"]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        cells = [
            row.estimator.title, f"{row.value:.4g}", f"{row.stderr:.2g}", spelled(row.t),
            *([spelled(row.bootstrap)] * bootstrap), f"{row.t.lower:.3g}", row.verdict.status,
        ]  # fmt: skip
        table.add_row(*(Text(cell) for cell in cells), style=STYLES[row.verdict.status])
    return table


def spelled(interval: Interval) -> str:
    """Spell the two ends; a dash where there is no interval."""
    if interval.low != interval.low:
        return "–"
    return f"{interval.low:.3g} … {interval.high:.3g}"


def lines(report: PolicyReport) -> Iterator[str]:
    """Say in words what stands beside the numbers, a line each."""
    for reason, titles in _by_reason(report):
        yield f"  {', '.join(titles)}: {reason}."
    bounds = report.bounds
    if bounds.logarithmic is not None:
        yield (
            f"Lower bounds for any number of sessions: value {bounds.logarithmic:.4g} (logarithmic "
            f"smoothing), {bounds.bernstein:.4g} (empirical Bernstein); improvement "
            f"{bounds.improvement:.4g}."
        )
    elif bounds.mean_weight is not None and bounds.mean_weight > 1:
        least = f"{bounds.mean_weight:.3g}"
        yield f"No lower bounds: μ is wrong, for the mean weight is at least {least}, not 1."
    yield from of_diagnostics(report.diagnostics)
    yield from (f"Warning: {warning}" for warning in report.warnings)


def _by_reason(report: PolicyReport) -> list[tuple[str, list[str]]]:
    """Why estimates were not made or are not usable, and which, those of one reason together."""
    found: dict[str, list[str]] = {}
    for row in report.estimates:
        for reason in row.verdict.reasons:
            found.setdefault(f"{row.verdict.status}: {reason}", []).append(row.estimator.title)
    for name, reason in report.not_made.items():
        found.setdefault(f"not made: {reason}", []).append(name)
    return list(found.items())


def of_diagnostics(found: Diagnostics) -> Iterator[str]:
    """Say in words what the columns show."""
    if (w := found.weights) is not None:
        yield (
            f"Weights: mean {w.mean.mean:.3g} ± {w.mean.stderr:.2g} (1 if μ is right and covers "
            f"the policy), worth {w.effective:,.0f} of {w.mean.count:,} events; the largest is "
            f"{w.largest:.3g}, {w.largest_share:.1%} of all; {w.clipped:.2%} are clipped."
        )
        exact = "" if w.unsupported is None else f", {w.unsupported:.2%} of the policy exactly"
        yield (
            f"Overlap: {w.below_floor:.2%} of all weight is on logged items that μ hardly shows"
            f"{exact}; {w.unseen:.2%} of the policy the log has nothing of."
        )
    r = found.rewards
    yield (
        f"Rewards: {r.rewarded:,} events have one, worth {r.effective:,.0f} equal ones; "
        f"{r.of_half:,} make half of the estimate."
    )
    if (p := found.propensities) is not None:
        yield (
            f"Estimated μ̂ beside the logged μ: {p.log_error:.3g} nats off on average, ratio "
            f"{p.ratio.mean:.3g} ± {p.ratio.stderr:.2g}."
        )
    if (c := found.calibration) is not None:
        yield (
            f"Calibration of μ on the policy's first choices: expected error {c.error:.3f}, about "
            f"{c.by_chance:.3f} by chance alone. By tenths of the events:"
        )
        yield from c.table
    if (g := found.choices) is not None:
        yield (
            f"First choices: {g.distinct:,} items, the ten most frequent have {g.top_ten:.0%}; "
            f"Gini {g.gini:.2f}."
        )
