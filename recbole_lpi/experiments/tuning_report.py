"""What a search found, for its user: a table, what to pick, and the command that trains it."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from recbole_lpi.evaluation.metrics import Metric
from recbole_lpi.experiments.found_trials import (
    FoundTrial,
    found_trials,
    importances,
    on_front,
    picked,
)
from recbole_lpi.experiments.sweep import MAY_DIFFER
from recbole_lpi.experiments.tuning import JS, Tuning
from recbole_lpi.files import write_text
from recbole_lpi.text import csv_cell
from recbole_lpi.text import markdown as escaped

RULE = (
    "The one to pick is the nearest to the logging policy of those{within} whose {criterion} is "
    "within one standard error of the best."
)
FILES = ("tune.md", "tune.csv", "front.svg")


def write(tuning: Tuning, folder: Path, max_js: float | None = None) -> str:
    """Write tune.md, tune.csv and, of a front, front.svg into ``folder``; the first of them.

    SettingError if no trial is complete, or none is so near the logging policy.
    """
    trials = found_trials(tuning)
    text = markdown(tuning, trials, max_js)
    report, table, drawn = (folder / name for name in FILES)
    write_text(report, text)
    write_text(table, to_csv(tuning, trials))
    if tuning.front:
        from recbole_lpi.experiments import figure_style, front_figure

        front = on_front(tuning, trials)
        chosen = picked(tuning, trials, max_js)
        figure_style.write(front_figure.draw(tuning, trials, front, chosen), drawn)
    return text


def markdown(tuning: Tuning, trials: Sequence[FoundTrial], max_js: float | None = None) -> str:
    """The report of a search in Markdown."""
    chosen = picked(tuning, trials, max_js)
    front = on_front(tuning, trials) if tuning.front else [chosen]
    given = {k: v for k, v in tuning.given.items() if k not in MAY_DIFFER}
    parts = [f"# {escaped(tuning.dataset)}: {escaped(tuning.model)}, {len(trials)} trials"]
    parts += [f"Settings of all trials: {escaped(_spelled(given) or 'defaults')}."]
    parts += ["## Pick", *_pick(tuning, chosen, max_js)]
    parts += ["## Trials", _table(tuning, trials, front)]
    bold = "on the front, which no other trial beats in both" if tuning.front else "the best"
    parts += [f"Validation, ± one standard error over sessions. Bold: {bold}."]
    parts += [*_left(tuning, trials)]
    if tuning.front:
        parts += [f"![JS divergence and {tuning.criterion} of every trial]({FILES[2]})"]
    for name, shares in importances(tuning).items():
        said = ", ".join(f"{setting} {share:.2f}" for setting, share in shares.items())
        parts += [f"What {escaped(name)} varied with, in shares: {escaped(said)}."]
    return "\n\n".join(parts) + "\n"


def to_csv(tuning: Tuning, trials: Sequence[FoundTrial]) -> str:
    """The trials as CSV, in full precision."""
    measured = list(dict.fromkeys(name for trial in trials for name in trial.measured))
    front = {trial.number for trial in on_front(tuning, trials)} if tuning.front else set()
    columns = [column for name in measured for column in (name, f"{name} stderr")]
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    more = ["front"] if tuning.front else []
    rows.writerow(["trial", "state", *tuning.space, *columns, "epochs", *more, "folder"])
    for trial in trials:
        settings = [_cell(trial.settings.get(name)) for name in tuning.space]
        values = [
            trial.measured.get(name, {}).get(key) for name in measured for key in ("mean", "stderr")
        ]
        state = trial.state or "complete"
        on = [trial.number in front] if tuning.front else []
        folder = csv_cell(trial.folder.path)
        rows.writerow([trial.number, state, *settings, *values, trial.epochs[1], *on, folder])
    return text.getvalue()


def command(tuning: Tuning, settings: Mapping[str, Any]) -> str:
    """The command that trains the model with these settings, and those of all trials."""
    words = ["recbole-lpi", "run", f"--model={tuning.model}", f"--dataset={tuning.dataset}"]
    words += [f"--{name}={_value(value)}" for name, value in {**tuning.given, **settings}.items()]
    return shlex.join(words)


def _pick(tuning: Tuning, chosen: FoundTrial, max_js: float | None) -> list[str]:
    """Which trial, why, and how to train it."""
    why = "It has the best validation score."
    if tuning.front:
        within = "" if max_js is None else f" of at most JS {max_js:g}"
        why = RULE.format(within=within, criterion=escaped(tuning.criterion))
    measured = ", ".join(f"{escaped(n)} {_estimate(e)}" for n, e in chosen.measured.items())
    lines = [f"Trial {chosen.number}, {escaped(_spelled(chosen.settings))}: {measured}. {why}"]
    if chosen.folder.finished:
        test = chosen.folder.read_metrics().get("test", {})
        said = [f"{escaped(n)} {_estimate(test[n])}" for n in chosen.measured if n in test]
        lines += [f"On the test part, which picked nothing: {', '.join(said)}."]
    lines += [f"It is kept in `{chosen.folder.path}`. To train it again, perhaps with more seeds:"]
    return [*lines, f"```sh\n{command(tuning, chosen.settings)}\n```"]


def _table(tuning: Tuning, trials: Sequence[FoundTrial], front: Sequence[FoundTrial]) -> str:
    shown = list(dict.fromkeys([*tuning.objectives, JS]))
    shown = [name for name in shown if any(name in trial.measured for trial in trials)]
    named = [f"{Metric.parse(name).heading} {Metric.parse(name).label}" for name in shown]
    heads = ["trial", *tuning.space, *named]
    lines = [f"| {' | '.join(map(escaped, [*heads, 'best epoch']))} |"]
    lines += [f"| {' | '.join(['-:'] * (len(heads) + 1))} |"]
    for trial in trials:
        settings = [_short(trial.settings.get(name)) for name in tuning.space]
        found = [_estimate(trial.measured.get(name)) for name in shown]
        cells = [str(trial.number), *map(escaped, settings), *found]
        if trial in front:
            cells = [f"**{cell}**" for cell in cells]
        lines.append(f"| {' | '.join([*cells, _came_to(trial)])} |")
    return "\n".join(lines)


def _came_to(trial: FoundTrial) -> str:
    best, number = trial.epochs
    if trial.measured:
        return f"{best} of {number}" if best else "–"
    after = f" after {number} epochs" if number else ""
    return escaped(f"{trial.state}{after}{f': {trial.why}' if trial.why else ''}")


def _left(tuning: Tuning, trials: Sequence[FoundTrial]) -> list[str]:
    """A line of what is not done; none where all is."""
    begun = sum(trial.state in ("running", "waiting") for trial in trials)
    left = tuning.trials - len(trials)
    if not begun and left <= 0:
        return []
    return [
        f"Not done: {begun} begun or waiting, {max(left, 0)} to begin. The same command goes on."
    ]


def _estimate(found: Mapping[str, Any] | None) -> str:
    if not found or found.get("mean") is None:
        return "–"
    error = found.get("stderr")
    return f"{found['mean']:.4f}" + ("" if error is None else f" ± {error:.4f}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else _value(value)


def _spelled(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in settings.items())


def _value(value: Any) -> str:
    """A value as the command line takes it: text as it is, all else as YAML reads it back."""
    return value if isinstance(value, str) else json.dumps(value)


def _cell(value: Any) -> Any:
    return value if isinstance(value, (int, float)) else csv_cell(_value(value))
