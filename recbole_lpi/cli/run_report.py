"""Show what a run ends with: a table to read."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recbole_lpi.evaluation.measures import MEASURES
from recbole_lpi.evaluation.metrics import KINDS, NOVELTY, Estimate, Kinds, Metric
from recbole_lpi.plugin.runner import Run
from recbole_lpi.text import one_line, visible

RANKINGS = (MEASURES["hit"], MEASURES["ndcg"])


def show(run: Run, console: Console | None = None) -> None:
    """Print test metrics by kind of event with ± standard errors, divergence, and the folder."""
    console = console or Console()
    test = run.results["test"]
    title = f"{run.model} on {run.dataset}: test part"
    table = rankings(title, test, run.kinds)
    console.print(table if table.row_count else Text(visible(title)))
    for name, words in (
        ("average_reward@1", "AR@1, the reward collected by first choices"),
        ("imputed_average_reward@1", "iAR@1, the imputed reward of first choices"),
        ("js_divergence", "JS divergence from the logging policy (at most 0.693)"),
        ("kl_divergence", "KL divergence from the logging policy"),
    ):
        if name in test:
            floor = beside_floor(run.noise_floor.get(name))
            console.print(f"{words}: [bold]{plus_minus(test[name])}[/bold]{floor}")
    console.print("± is one standard error; events of one session count as one draw.", style="dim")
    for line in () if run.quality is None else run.quality.lines():
        console.print(Text(line, "bold" if line.startswith("Warning") else ""))
    console.print(Text(visible(f"Run folder: {run.folder.path}")), soft_wrap=True)


def rankings(title: str, estimates: Mapping[str, Estimate], kinds: Kinds) -> Table:
    """Tabulate hit rate and nDCG at each cut-off, a column for each kind of event."""
    table = Table(title=Text(visible(title)))
    table.add_column("")
    found = {Metric.parse(name): estimate for name, estimate in estimates.items()}
    numbers = {kind: _number(found, kind) for kind in (*KINDS, *NOVELTY, None)}
    shown = [kind for kind, number in numbers.items() if number]
    for kind in shown:
        word = "all" if kind is None else _named(kind, kinds)
        table.add_column(Text(one_line(f"{word} ({numbers[kind]:,})")), justify="right")
    for measure in RANKINGS:
        for k in sorted({metric.k or 0 for metric in found if metric.measure is measure}):
            metrics = [Metric(measure, kind, k) for kind in shown]
            if any(metric in found for metric in metrics):
                texts = [plus_minus(found[metric]) if metric in found else "" for metric in metrics]
                table.add_row(metrics[0].label, *texts)
    return table


def _named(kind: str, kinds: Kinds) -> str:
    """Name a kind: ``purchase``, or ``purchase: liked`` where the data call it something else."""
    events = kinds.names(kind) if kind in KINDS else (kind,)
    return kind if events == (kind,) else f"{kind}: {', '.join(events)}"


def _number(estimates: Mapping[Metric, Estimate], kind: str | None) -> int:
    """How many events of a kind the rankings are over; 0 if none is measured."""
    for measure in RANKINGS:
        for metric, estimate in estimates.items():
            if metric.measure is measure and metric.kind == kind:
                return estimate.count
    return 0


def beside_floor(floor: Estimate | None) -> str:
    """Say what a divergence has to exceed to be one; nothing where that is not known."""
    if floor is None:
        return ""
    return (
        f" (two seeds of the logging policy differ by {plus_minus(floor)}: nothing below that is a "
        "difference)"
    )


def plus_minus(estimate: Estimate) -> str:
    """Spell an estimate as mean ± standard error."""
    return f"{estimate.mean:.4f} ± {estimate.stderr:.4f}"
