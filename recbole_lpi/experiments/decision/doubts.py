"""What in a run may be unsound, a sentence each: of its training, its weights, its test part."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.off_policy.diagnostics import WeightDiagnostics
from recbole_lpi.evaluation.propensity_quality import weights_of
from recbole_lpi.evaluation.variety import mostly_the_item_before, nearly_constant
from recbole_lpi.experiments.decision.estimates import RunEstimates
from recbole_lpi.experiments.decision.rules import FloorAhead
from recbole_lpi.experiments.runs import FinishedRun
from recbole_lpi.training import run_warnings

FEW = 0.05  # the share of events that weights are worth
MOST = 0.5  # of the weights
DIVERGED = 3.0  # times its least, at which a TD error counts as diverging
EPOCH = re.compile(r"epoch (\d+) training \[(.*)\]$", re.MULTILINE)


def doubts(run: FinishedRun, table: EventTable, estimates: RunEstimates | None) -> Iterator[str]:
    """Say what is doubtful of a run, given its event table and what its log says of it."""
    metrics = run.folder.read_metrics()
    trained, best = metrics.get("epochs"), metrics.get("best_epoch", -1)
    if trained and best == trained - 1:
        yield (
            f"The best epoch is the last of the {trained} trained: it may still be improving. "
            "Train longer."
        )
    by_epoch = epochs(run)
    yield from of_training(by_epoch, best)
    yield from of_clipping(run, table)
    if estimates is not None and (w := estimates.report.diagnostics.weights) is not None:
        yield from of_weights(w, estimates.events.weight)
    for told in (run_warnings.of_untrained(table), nearly_constant(table),
                 mostly_the_item_before(table)):  # fmt: skip
        if told is not None:
            yield told[0].upper() + told[1:] + "."


def epochs(run: FinishedRun) -> list[dict[str, float]]:
    """Read what each epoch of training logged, by name; of a run without a log, nothing."""
    if not run.folder.log.is_file():
        return []
    text = run.folder.log.read_text(encoding="utf-8", errors="replace")
    found: dict[int, dict[str, float]] = {}
    for line in text.splitlines():
        if (match := EPOCH.search(line)) and "logging policy:" not in line:
            found[int(match[1])] = dict(_numbers(match[2]))
    return [found[epoch] for epoch in sorted(found)]


def _numbers(text: str) -> Iterator[tuple[str, float]]:
    for part in text.split(", "):
        name, _, value = part.partition(": ")
        try:
            yield name, float(value)
        except ValueError:
            continue  # such as a time


def of_training(by_epoch: list[dict[str, float]], best: int) -> Iterator[str]:
    """Say of the epochs whether few events taught, and whether Q diverges."""
    if 0 <= best < len(by_epoch):
        share = by_epoch[best].get("effective fraction", 1.0)
        if share < FEW:
            yield (
                f"Training weighted so unevenly that {share:.1%} of the events taught as much as "
                "all: below 5 % a policy follows a few sessions. Use a larger beta."
            )
    errors = [epoch["td loss"] for epoch in by_epoch if "td loss" in epoch]
    least = min(errors, default=0.0)
    if len(errors) > 2 and least > 0 and not errors[-1] <= DIVERGED * least:
        yield (
            f"Q is diverging: its error rose from {least:.3g} to {errors[-1]:.3g}. Lower gamma, "
            "learning_rate or td_weight."
        )


def of_clipping(run: FinishedRun, table: EventTable) -> Iterator[str]:
    """Say whether most weights that the policy learns from are clipped, at the end of training."""
    most = run.config.get("weight_clip")
    if not isinstance(most, (int, float)) or not table.has("log_mu"):
        return
    share = float((weights_of(table.log_pi, table.log_mu) > most).mean())
    if share > MOST:
        yield (
            f"{share:.0%} of the weights are clipped at weight_clip {most:g}: what it learnt is "
            "mostly the clip."
        )


def of_weights(w: WeightDiagnostics, weight: np.ndarray) -> Iterator[str]:
    """Say whether the estimate rests on few events."""
    share = w.effective / len(weight)
    if share < FEW:
        yield (
            f"The weights of the estimate are worth {w.effective:,.0f} of {len(weight):,} events "
            f"({share:.1%}): below 5 % a few events decide it."
        )
    if (above := float(weight[weight > 30].sum() / weight.sum())) > MOST:
        yield f"{above:.0%} of the estimate's weight is in weights above 30, which are clipped."


def floor_ahead(run: FinishedRun, metric: str, own: float) -> FloorAhead | None:
    """Find the rule without parameters that does best by a metric, if it is ahead of ``own``."""
    floors = run.folder.read_metrics().get("floors") or {}
    means = {
        rule: mean
        for rule, found in floors.items()
        if (mean := found.get(metric, {}).get("mean")) is not None
    }
    best = max(means, key=means.__getitem__, default=None)
    if best is None or not means[best] > own:
        return None
    return FloorAhead(best.replace("_", " "), means[best], own)
