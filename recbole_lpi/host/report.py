"""What a run ends with: a table to read."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from recbole_lpi.evaluation.metrics import Estimate
from recbole_lpi.host.runner import Run


def show(run: Run, console: Console | None = None) -> None:
    """Test metrics by purchase and click with ± standard errors, divergence, and the run folder."""
    console = console or Console()
    test = run.results["test"]
    model, dataset = run.config["model"], run.config["dataset"]
    console.print(rankings(f"{model} on {dataset}: test part", test))
    for name, words in (
        ("average_reward@1", "AR@1, mean logged reward where the first choice was the logged item"),
        ("js_divergence", "JS divergence from the logging policy, in nats (at most 0.693)"),
        ("kl_divergence", "KL divergence from the logging policy, in nats"),
    ):
        if name in test:
            console.print(f"{words}: [bold]{plus_minus(test[name])}[/bold]")
    console.print("± is one standard error; events of one session count as one draw.", style="dim")
    console.print(f"Run folder: {run.folder.path}")


def rankings(title: str, estimates: Mapping[str, Estimate]) -> Table:
    """Hit rate and nDCG at each cut-off, a row for each kind of event."""
    cuts = sorted({int(k) for name in estimates for m, _, k in [name.partition("@")]
                   if m in ("hit", "ndcg") and k})  # fmt: skip
    table = Table(title=title)
    table.add_column("events")
    table.add_column("number", justify="right")
    for metric in ("HR", "nDCG"):
        for k in cuts:
            table.add_column(f"{metric}@{k}", justify="right")
    for kind in ("purchase", "click", ""):
        prefix = f"{kind}_" if kind else ""
        cells = [estimates.get(f"{prefix}{metric}@{k}") for metric in ("hit", "ndcg") for k in cuts]
        counted = [cell for cell in cells if cell is not None]
        if counted and counted[0].count:
            texts = ["" if cell is None else plus_minus(cell) for cell in cells]
            table.add_row(kind or "all", f"{counted[0].count:,}", *texts)
    return table


def plus_minus(estimate: Estimate) -> str:
    """Mean ± standard error."""
    return f"{estimate.mean:.4f} ± {estimate.stderr:.4f}"
