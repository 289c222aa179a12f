"""Show what a run ends with: a table to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recbole_lpi.evaluation.measures import MEASURES
from recbole_lpi.evaluation.metrics import KINDS, NOVELTY, Estimate, Kinds, Metric
from recbole_lpi.plugin.runner import Run
from recbole_lpi.text import one_line, visible

PLUS = " ± "
WIDEST = 1000  # characters, more than any table has
RANKINGS = (MEASURES["hit"], MEASURES["ndcg"])


def show(run: Run, console: Console | None = None) -> None:
    """Print test metrics by kind of event with ± standard errors, warnings, and the folder."""
    console = console or Console()
    test = run.results["test"]
    title = f"{run.model} on {run.dataset}: test part"
    table = rankings(title, test, run.kinds, run.model, run.verdicts.floors)
    unbounded = console.options.update(max_width=WIDEST)
    if console.measure(table, options=unbounded).maximum > console.width:
        table = rankings(title, test, run.kinds, run.model, run.verdicts.floors, "\n±")
    console.print(table if table.row_count else Text(visible(title)))
    for name, words in (
        ("average_reward@1", "AR@1, the reward collected by first choices"),
        ("imputed_average_reward@1", "iAR@1, the imputed reward of first choices"),
        ("nll", "NLL, nats by which what was logged surprised"),
        ("js_divergence", "JS divergence from the logging policy (at most 0.693)"),
        ("kl_divergence", "KL divergence from the logging policy"),
    ):
        if name in test:
            floor = beside_floor((run.verdicts.noise_floor or {}).get(name))
            console.print(f"{words}: [bold]{plus_minus(test[name])}[/bold]{floor}")
    console.print("± is one standard error; events of one session count as one draw.", style="dim")
    quality = run.verdicts.quality
    for line in () if quality is None else quality.lines():
        console.print(Text(line, "yellow" if line.startswith("Warning") else ""))
    for warning in run.verdicts.warnings:
        console.print(Text(visible(f"Warning: {warning}."), style="yellow"), soft_wrap=True)
    console.print(Text(visible(f"Run folder: {run.folder.path}")), soft_wrap=True)


def rankings(
    title: str,
    estimates: Mapping[str, Estimate],
    kinds: Kinds,
    model: str = "",
    floors: Mapping[str, Mapping[str, Estimate]] | None = None,
    plus: str = PLUS,
) -> Table:
    """Tabulate hit rate and nDCG at each cut-off, a column for each kind of event.

    Below stands the last of them again, of ``model`` and of each of the ``floors``, by its name.
    ``plus`` is what stands between a mean and its error.
    """
    table = Table(title=Text(visible(title)))
    table.add_column("", no_wrap=True)
    found = {Metric.parse(name): estimate for name, estimate in estimates.items()}
    numbers = {kind: _number(found, kind) for kind in (*KINDS, *NOVELTY, None)}
    shown = [kind for kind, number in numbers.items() if number]
    for kind in shown:
        word = "all" if kind is None else _named(kind, kinds)
        table.add_column(Text(one_line(f"{word} ({numbers[kind]:,})")), justify="right")
    last = None
    for measure in RANKINGS:
        for k in sorted({metric.k or 0 for metric in found if metric.measure is measure}):
            metrics = [Metric(measure, kind, k) for kind in shown]
            if any(metric in found for metric in metrics):
                table.add_row(metrics[0].label, *_texts(metrics, estimates, plus))
                last = metrics
    if last and floors:
        table.add_section()
        table.add_row(f"{last[0].label} of")
        for name, each in ((model, estimates), *floors.items()):
            table.add_row(Text(one_line(name.replace("_", " "))), *_texts(last, each, plus))
    return table


def _texts(
    metrics: Sequence[Metric], estimates: Mapping[str, Estimate], plus: str
) -> Iterator[str]:
    """The cells of a row; empty where a metric is not among the estimates."""
    for metric in metrics:
        estimate = estimates.get(str(metric))
        yield "" if estimate is None else plus_minus(estimate, plus)


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


def plus_minus(estimate: Estimate, plus: str = PLUS) -> str:
    """Spell an estimate as mean ± standard error."""
    return f"{estimate.mean:.4f}{plus}{estimate.stderr:.4f}"
