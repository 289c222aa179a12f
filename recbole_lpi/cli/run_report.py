"""Show what a run ends with: a table to read."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from recbole_lpi.evaluation.metrics import Estimate, Kinds
from recbole_lpi.plugin.runner import Run
from recbole_lpi.text import one_line, visible


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
            console.print(f"{words}: [bold]{plus_minus(test[name])}[/bold]")
    console.print("± is one standard error; events of one session count as one draw.", style="dim")
    console.print(Text(visible(f"Run folder: {run.folder.path}")), soft_wrap=True)


def rankings(title: str, estimates: Mapping[str, Estimate], kinds: Kinds) -> Table:
    """Tabulate hit rate and nDCG at each cut-off, a column for each kind of event."""
    table = Table(title=Text(visible(title)))
    table.add_column("")
    names = {
        "purchase_": _named("purchase", kinds.purchase), "click_": _named("click", kinds.click),
        "": "all",
    }  # fmt: skip
    shown = {prefix: number for prefix in names if (number := _number(estimates, prefix))}
    for prefix, number in shown.items():
        heading = Text(one_line(f"{names[prefix]} ({number:,})"))
        table.add_column(heading, justify="right")
    for metric, word in (("hit", "HR"), ("ndcg", "nDCG")):
        for k in sorted(
            {int(name.partition("@")[2]) for name in estimates if f"{metric}@" in name}
        ):
            cells = [estimates.get(f"{prefix}{metric}@{k}") for prefix in shown]
            if any(cells):
                texts = ["" if cell is None else plus_minus(cell) for cell in cells]
                table.add_row(f"{word}@{k}", *texts)
    return table


def _named(kind: str, events: tuple[str, ...]) -> str:
    """Name a kind: ``purchase``, or ``purchase: liked`` where the data call it something else."""
    return kind if events == (kind,) else f"{kind}: {', '.join(events)}"


def _number(estimates: Mapping[str, Estimate], prefix: str) -> int:
    """Count the events of a kind that were measured; 0 if none were."""
    for metric in ("hit@", "ndcg@"):
        for name, estimate in estimates.items():
            if name.startswith(prefix + metric):
                return estimate.count
    return 0


def plus_minus(estimate: Estimate) -> str:
    """Spell an estimate as mean ± standard error."""
    return f"{estimate.mean:.4f} ± {estimate.stderr:.4f}"
