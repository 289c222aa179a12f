"""What a sweep found: its search, its table, paired tests of one row against all, the trade-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from recbole_lpi.evaluation.event_table import read_events
from recbole_lpi.evaluation.scores import PolicyScore, session_score
from recbole_lpi.evaluation.significance import holm, paired, stars
from recbole_lpi.experiments import tables
from recbole_lpi.experiments.comparison import Comparison, compare
from recbole_lpi.experiments.plans import Row, Settings
from recbole_lpi.experiments.runs import load
from recbole_lpi.experiments.sweep import MAY_DIFFER, Sweep
from recbole_lpi.settings import SettingError
from recbole_lpi.text import markdown as markdown_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

K = 20
TESTED = (f"purchase_ndcg@{K}", f"click_ndcg@{K}")
SHOWN = (
    f"purchase_hit@{K}", f"purchase_ndcg@{K}", f"click_hit@{K}", f"click_ndcg@{K}", "nll",
    "js_divergence",
)  # fmt: skip

ADJUSTED = (
    r"\* p < .05, \*\* p < .01, \*\*\* p < .001, paired t-tests over sessions and seeds, p adjusted"
    " for the number of rows (Holm)."
)


def markdown(sweep: Sweep, against: str, metrics: Sequence[str] = SHOWN) -> str:
    """The report of a sweep in Markdown; rows without a finished run are named as missing.

    Args:
        against: the row that every other is tested against.
    """
    comparison = table(sweep, metrics)
    parts = [f"# {markdown_of(comparison.dataset)}: {markdown_of(sweep.plan.title)}"]
    parts += [settings_line(sweep)]
    parts += ["## Test part", tables.markdown(comparison, metrics)]
    parts += [
        f"## {markdown_of(against)} against every other policy",
        tests_against(sweep, against),
    ]
    parts += ["## Search on validation, seed 1", search_table(sweep)]
    parts += [*still_improving_line(sweep), *missing_line(sweep)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def settings_line(sweep: Sweep) -> str:
    """A line of the settings that all runs were given."""
    shared = {k: v for k, v in sweep.shared.items() if k not in MAY_DIFFER}
    return f"Settings of all runs: {_spelled(shared)}."


def missing_line(sweep: Sweep) -> list[str]:
    """A line of the rows that still lack runs; none if no row does."""
    missing = [row.name for row in sweep.rows if len(sweep.runs(row)) < sweep.seeds_of(row)]
    if not missing:
        return []
    return [f"Not all of their runs have finished: {markdown_of(', '.join(missing))}."]


def still_improving_line(sweep: Sweep) -> list[str]:
    """A line of the tries that were best in their last epoch, which ``epochs`` ended too early."""
    at_the_end, number = [], 0
    for row in sweep.rows:
        for settings in row.tries:
            folder = sweep.folder(row, settings, 1)
            if not folder.finished:
                continue
            found = folder.read_metrics()
            if found.get("best_epoch", -1) < 0:  # nothing is trained
                continue
            number += 1
            if found["best_epoch"] + 1 == found.get("epochs"):
                at_the_end.append(f"{markdown_of(row.name)} ({_spelled(settings)})")
    if not number:
        return []
    names = f": {', '.join(at_the_end)}" if at_the_end else ""
    return [
        f"Still improving when their epochs ran out: {len(at_the_end)} of {number} tries{names}. "
        "The others stopped improving before training did."
    ]


def search_table(sweep: Sweep) -> str:
    """The table of every try of every row on validation, the best in bold."""
    names = (*dict.fromkeys(str(sweep.criterion(row)) for row in sweep.rows), *TESTED)
    lines = [f"| policy | tried | {' | '.join(names)} | best epoch |"]
    lines.append(f"| - | - |{' - |' * len(names)} - |")
    for row in sweep.rows:
        best = sweep.best(row)
        for settings in row.tries:
            mark = "**" if settings == best else ""
            cells = _measured(sweep, row, settings, names)
            lines.append(
                f"| {markdown_of(row.name)} | {mark}{_spelled(settings)}{mark} | {cells} |"
            )
    return "\n".join(lines)


def table(sweep: Sweep, metrics: Sequence[str], named: bool = True) -> Comparison:
    """Compare finished rows, each by its best settings and all seeds; SettingError if none is.

    They are called what the plan calls them, or else by model and what sets them apart.
    """
    rows = {folder.path: row for row in sweep.rows for folder in sweep.runs(row)}
    if not rows:
        raise SettingError(f"{sweep.root} has no row all of whose tries have finished")
    names = {path: row.name for path, row in rows.items()} if named else None
    drawless = [path for path, row in rows.items() if not row.seeded]
    return compare(list(rows), metrics, names, drawless, _references(sweep))


def tests_against(
    sweep: Sweep, against: str, metrics: Sequence[str] = TESTED, turned: bool = False
) -> str:
    """Paired t-tests over sessions and seeds of one row against each other one.

    The differences are of that row less the others, or ``turned``, of the others less that row.
    Stars are of p-values adjusted for the number of other rows.
    """
    scores = {row.name: _scores(sweep, row, metrics) for row in sweep.rows if sweep.runs(row)}
    if against not in scores:
        return f"No run of {markdown_of(against)} has finished."
    head = markdown_of(f"minus {against}" if turned else f"{against} minus")
    lines = [f"| {head} | {' | '.join(metrics)} |", f"| - |{' - |' * len(metrics)}"]
    own = scores.pop(against)
    columns = [_tests(own, list(scores.values()), metric, turned) for metric in metrics]
    for name, *cells in zip(scores, *columns, strict=True):
        lines.append(f"| {markdown_of(name)} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", ADJUSTED])


def tested_row(sweep: Sweep, wanted: str | None) -> str:
    """The row that every other is tested against: LPIRL, or the reference, if none is ``wanted``.

    SettingError for a row that the sweep has not.
    """
    names = [row.name for row in sweep.rows]
    if wanted is None:
        return next(name for name in ("LPIRL", sweep.plan.reference, *names) if name in names)
    if wanted not in names:
        raise SettingError(f"--against: the sweep has no row {wanted}, only {', '.join(names)}")
    return wanted


def trade_off(sweep: Sweep, along: str) -> Figure:
    """The trade-off figure of the rows; tries of ``along`` that differ in β alone are joined."""
    from recbole_lpi.experiments import figures  # matplotlib takes a second to import

    paths: list[Path] = []
    names: dict[Path, str] = {}
    for row in sweep.rows:
        name, folders = row.name, sweep.runs(row)
        if row.name == along and {key for settings in row.tries for key in settings} == {"beta"}:
            tries = [sweep.folder(row, settings, 1) for settings in row.tries]
            name, folders = f"{name}, seed 1 of each β", [f for f in tries if f.finished]
        for folder in folders:
            paths.append(folder.path)
            names[folder.path] = name
    metrics = figures.trade_off_metrics(K)
    comparison = compare(paths, metrics, names, references=_references(sweep))
    return figures.trade_off(comparison, K)


def divergence(sweep: Sweep) -> Figure:
    """The figure of JS over β of the rows that have one."""
    from recbole_lpi.experiments import divergence_figure  # matplotlib takes a second to import

    return divergence_figure.over_beta(table(sweep, [divergence_figure.JS]))


def _references(sweep: Sweep) -> list[Path]:
    """The runs of the logging policy that all others are compared with."""
    return [folder.path for folder in sweep.runs(sweep.reference)]


def _measured(sweep: Sweep, row: Row, settings: Settings, names: Sequence[str]) -> str:
    folder, score = sweep.folder(row, settings, 1), sweep.score(row, settings)
    if score is None or not folder.finished:
        return f"{'not run' if score is None else 'diverged'}{' | ' * len(names)}"
    found = folder.read_metrics()
    means = [found["valid"].get(name, {}).get("mean") for name in names]
    cells = ["–" if mean is None else f"{mean:.4f}" for mean in means]
    trained = f" of {found['epochs']}" if "epochs" in found else ""
    epoch = found.get("best_epoch", -1)
    best = f"{epoch + 1}{trained}" if epoch >= 0 else "–"
    return " | ".join([*cells, best])


def _tests(
    own: Mapping[str, PolicyScore],
    others: Sequence[Mapping[str, PolicyScore]],
    metric: str,
    turned: bool,
) -> list[str]:
    """Difference, error and adjusted stars for each of ``others``."""
    pairs = [(other[metric], own[metric]) for other in others]
    found = [paired(*(pair[::-1] if turned else pair)) for pair in pairs]
    adjusted = holm([test.p for test in found])
    marks = ["\\*" * len(stars(p)) for p in adjusted]
    return [
        f"{test.difference:+.4f} ± {test.stderr:.4f} {mark}".strip()
        for test, mark in zip(found, marks, strict=True)
    ]


def _scores(sweep: Sweep, row: Row, metrics: Sequence[str]) -> dict[str, PolicyScore]:
    runs = [load(folder.path) for folder in sweep.runs(row)]
    events = [(read_events(run.folder.events), run.kinds) for run in runs]
    return {
        metric: PolicyScore.of([session_score(table, metric, kinds) for table, kinds in events])
        for metric in metrics
    }


def _spelled(settings: Settings) -> str:
    words = ", ".join(f"{key} {value}" for key, value in settings.items())
    return markdown_of(words or "defaults")
