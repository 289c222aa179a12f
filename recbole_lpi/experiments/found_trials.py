"""What a search has found: its trials, those on the front, and the one to pick."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recbole_lpi.experiments.search_space import Choices
from recbole_lpi.experiments.trial_storage import optuna
from recbole_lpi.experiments.tuning import JS, Tuning
from recbole_lpi.experiments.tuning_work import ERROR, KEPT
from recbole_lpi.settings import SettingError

STATES = {
    "COMPLETE": "", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running",
    "WAITING": "waiting",
}  # fmt: skip


@dataclass(frozen=True)
class FoundTrial:
    """A trial.

    Attributes:
        number: its number, from 0; ``folder``: its run folder, perhaps of another machine.
        settings: what the search chose.
        measured: estimates of validation, with ``mean`` and ``stderr``; {} unless it is complete.
        epochs: how many were trained, and which of them, from 1, is kept.
        state: "" if it is complete; why: what it came to nothing for.
    """

    number: int
    folder: Any
    settings: dict[str, Any]
    measured: dict[str, dict[str, Any]]
    epochs: tuple[int, int]
    state: str
    why: str = ""

    def mean(self, metric: str) -> float:
        """The mean of a metric of validation."""
        return float(self.measured[metric]["mean"])


def found_trials(tuning: Tuning) -> list[FoundTrial]:
    """List the trials: complete ones first, the best on validation first."""
    queue, criterion = tuning.queue, tuning.criterion
    found = [
        FoundTrial(
            trial.number,
            queue.folder_of(trial),
            {name: _chosen(tuning, name, value) for name, value in trial.params.items()},
            dict(trial.user_attrs.get(KEPT, {})) if trial.state.name == "COMPLETE" else {},
            tuple(
                trial.user_attrs.get("epochs", (0, max(trial.intermediate_values, default=-1) + 1))
            ),
            STATES[trial.state.name],
            str(trial.user_attrs.get(ERROR, "")),
        )
        for trial in queue.counted()
    ]
    sign = 1 if criterion.smaller_is_better else -1

    def order(trial: FoundTrial) -> tuple[Any, ...]:
        complete = bool(trial.measured)
        return not complete, sign * trial.mean(str(criterion)) if complete else 0, trial.number

    return sorted(found, key=order)


def on_front(tuning: Tuning, trials: Sequence[FoundTrial]) -> list[FoundTrial]:
    """List the trials that no other beats in both objectives, from the nearest to the farthest."""
    from recbole_lpi.experiments.figures import pareto_front

    name, sign = str(tuning.criterion), -1 if tuning.criterion.smaller_is_better else 1
    complete = [trial for trial in trials if trial.measured]
    points = [(-trial.mean(JS), sign * trial.mean(name)) for trial in complete]
    return [complete[n] for n in reversed(pareto_front(points))]


def picked(tuning: Tuning, trials: Sequence[FoundTrial], max_js: float | None = None) -> FoundTrial:
    """Pick a trial: the best, or of a front the nearest that is about as good as the best.

    About as good is within one standard error of it (Breiman et al. 1984, section 3.4.3).

    Args:
        max_js: JS divergence that a trial may have, the best included; None: any.

    Raises:
        SettingError: there is none.
    """
    complete = [trial for trial in trials if trial.measured]
    if not complete:
        raise SettingError(f"no trial of the search '{tuning.study}' is complete")
    name = str(tuning.criterion)
    if not tuning.front:
        return complete[0]
    near = [trial for trial in complete if max_js is None or trial.mean(JS) <= max_js]
    if not near:
        least = min(trial.mean(JS) for trial in complete)
        raise SettingError(f"--max_js={max_js}: no trial is so near; the nearest has {least:.4f}")
    error = float(near[0].measured[name].get("stderr") or 0)
    good = [trial for trial in near if abs(trial.mean(name) - near[0].mean(name)) <= error]
    return min(good, key=lambda trial: trial.mean(JS))


def importances(tuning: Tuning, least: int = 10) -> dict[str, dict[str, float]]:
    """How much of the variation each setting explains, by objective; {} for too few trials."""
    found = optuna()
    study = tuning.queue.study
    complete = study.get_trials(deepcopy=False, states=[found.trial.TrialState.COMPLETE])
    if len(tuning.space) < 2 or len(complete) < least:
        return {}
    return {
        name: found.importance.get_param_importances(
            study, target=lambda trial, place=place: trial.values[place]
        )
        for place, name in enumerate(tuning.objectives)
    }


def _chosen(tuning: Tuning, name: str, value: Any) -> Any:
    """A value as a setting has it: of choices Optuna keeps the JSON."""
    return json.loads(value) if isinstance(tuning.space.get(name), Choices) else value
