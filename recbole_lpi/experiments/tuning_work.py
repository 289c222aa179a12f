"""Do the work of a search: trial after trial, until there are as many as were asked for.

Stopped and started again, a search goes on where it was; started twice, the two share the work.
"""

from __future__ import annotations

import math
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from recbole_lpi.experiments.search_space import corners, suggested
from recbole_lpi.experiments.sweep_work import refuse_other
from recbole_lpi.experiments.trial_queue import interrupted
from recbole_lpi.experiments.trial_storage import optuna
from recbole_lpi.experiments.tuning import JS, Tuning
from recbole_lpi.plugin import stored_settings as stored
from recbole_lpi.plugin.given_settings import unread_of
from recbole_lpi.plugin.run_description import plain_config
from recbole_lpi.settings import SettingError, Values
from recbole_lpi.text import visible
from recbole_lpi.training.observers import Observer, Scalars
from recbole_lpi.training.run_folder import RunFolder
from recbole_lpi.training.settings import TrainingSettings

if TYPE_CHECKING:
    from optuna.trial import Trial

KEPT = "measured"  # the attribute of a trial that holds what validation found of it
ERROR = "error"  # and the one that says why it came to nothing


def check(tuning: Tuning) -> None:
    """Raise SettingError for what would make a trial fail: each end of each range is tried."""
    from recbole_lpi.plugin.runner import make_config

    never_read = set(tuning.space)
    for settings in corners(tuning.space):
        try:
            config = make_config(tuning.model, tuning.dataset, (), {**tuning.given, **settings})
        except SettingError as error:
            raise SettingError(f"a trial with {settings}: {error}") from None
        values = Values(config.final_config_dict)
        passed_over = unread_of(tuning.model, tuning.space, values, set(values))
        never_read &= {name for _, names, _ in passed_over for name in names}
        training = TrainingSettings.of(config)
        for name in tuning.objectives:
            if name not in training.metric_names:
                raise SettingError(f"{name} is not measured: add it to metrics, and its k to topk")
        if tuning.front and training.logging_policy == "none":
            raise SettingError("a front needs a logging policy, and logging_policy is none")
    if never_read:
        raise SettingError(
            f"{tuning.model} does not read {', '.join(sorted(never_read))}: leave it out of the "
            "space"
        )


def work(tuning: Tuning, seed: int, prune: bool) -> None:
    """Make trials until there are enough, or all that are left have a worker.

    Args:
        seed: of what is tried; with the number of a trial it is all that decides it, beside what
            was found before.
        prune: stop a trial that is worse than the median of the others at an epoch.
    """
    check(tuning)
    queue = tuning.queue
    tuning = replace(tuning, given={**tuning.given, "logging_policy": _logging_policy(tuning)})
    queue.study.pruner = _pruner(prune and not tuning.front)
    while True:
        with ExitStack() as held:
            taken = queue.take(held)
            if taken is None:
                return
            trial, folder = taken
            queue.study.sampler = _sampler(seed, trial.number)
            say = f"trial {trial.number} (0 to {tuning.trials - 1}): {folder.path}"
            print(visible(say), file=sys.stderr, flush=True)
            try:
                _make(tuning, trial, folder)
            except KeyboardInterrupt:
                interrupted(trial)
                raise


def _make(tuning: Tuning, trial: Trial, folder: RunFolder) -> None:
    """Make the run of a trial, or what is left of it, and tell the study what came of it."""
    found = optuna()
    try:
        _run(tuning, trial, folder)
    except found.TrialPruned:
        trial.study.tell(trial, state=found.trial.TrialState.PRUNED)
        return
    except (_Refused, FloatingPointError, MemoryError, torch.OutOfMemoryError) as error:
        _fail(trial, str(error))
        return
    metrics = folder.read_metrics()
    valid = metrics.get("valid", {})
    missing = [name for name in tuning.objectives if _number(valid.get(name)) is None]
    if missing:
        _fail(trial, f"{', '.join(missing)} of validation is no number")
        return
    measured = {name: valid[name] for name in (*tuning.objectives, JS) if name in valid}
    trial.set_user_attr(KEPT, measured)
    trial.set_user_attr("epochs", (metrics.get("best_epoch", -1) + 1, metrics.get("epochs", 0)))
    trial.study.tell(trial, [valid[name]["mean"] for name in tuning.objectives])


class _Refused(Exception):
    """The settings of a trial do not go together."""


def _run(tuning: Tuning, trial: Trial, folder: RunFolder) -> None:
    """Run the model with the settings of a trial, from where an earlier worker left it."""
    from recbole_lpi.plugin.runner import make_config, run

    given = {**tuning.given, **suggested(tuning.space, trial)}
    try:
        made = plain_config(make_config(tuning.model, tuning.dataset, (), given))
    except SettingError as error:
        raise _Refused(str(error)) from None
    refuse_other(folder, made, given)
    if folder.finished:
        return
    observers = [] if tuning.front else [_Pruning(trial, str(tuning.criterion))]
    if folder.begun:
        here = {name: given[name] for name in stored.OF_THE_PLACE & given.keys()}
        run(config_dict={"resume": str(folder.path), **here}, observers=observers)
    else:
        given["run_dir"] = str(folder.path)
        run(tuning.model, tuning.dataset, (), given, observers)


class _Pruning(Observer):
    """Tells the study of each epoch that was validated, and ends the run if it is not worth it."""

    def __init__(self, trial: Trial, criterion: str) -> None:
        self.trial, self.name = trial, f"valid/{criterion}"

    def epoch(self, number: int, scalars: Scalars) -> None:
        """Report the criterion; Optuna's TrialPruned if other trials were better by then."""
        if self.name in scalars:
            self.trial.report(scalars[self.name], number)
            if self.trial.should_prune():
                raise optuna().TrialPruned


def _fail(trial: Trial, why: str) -> None:
    print(visible(f"trial {trial.number} came to nothing: {why}"), file=sys.stderr, flush=True)
    trial.set_user_attr(ERROR, why)
    trial.study.tell(trial, state=optuna().trial.TrialState.FAIL)


def _number(estimate: Any) -> float | None:
    """The mean of an estimate of metrics.json; None where there is no finite one."""
    mean = (estimate or {}).get("mean")
    return mean if isinstance(mean, (int, float)) and math.isfinite(mean) else None


def _sampler(seed: int, number: int) -> Any:
    """What proposes the settings of a trial: alike for every worker, after whatever break."""
    drawn = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    return optuna().samplers.TPESampler(seed=drawn, constant_liar=True)


def _pruner(wanted: bool) -> Any:
    """What stops a trial: its criterion is worse than the median, from the second epoch on."""
    pruners = optuna().pruners
    return pruners.MedianPruner(n_warmup_steps=1) if wanted else pruners.NopPruner()


def _logging_policy(tuning: Tuning) -> str:
    """Name the logging policy of all trials; one that is trained is trained once, before them."""
    from recbole_lpi.plugin.logging_policy import find
    from recbole_lpi.plugin.runner import make_config

    config = make_config(tuning.model, tuning.dataset, (), tuning.given)
    return find(config, Path("runs") / tuning.dataset)
