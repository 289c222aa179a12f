"""Run a model from settings to metrics, as the command line and scripts start it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from typing import Any

from recbole_lpi.evaluation.metrics import Estimate, Kinds
from recbole_lpi.objectives import OBJECTIVES
from recbole_lpi.plugin import configuration
from recbole_lpi.plugin import stored_settings as stored
from recbole_lpi.plugin.configuration import known_models
from recbole_lpi.plugin.input_files import check_data, check_files
from recbole_lpi.plugin.log_reports import describe_part
from recbole_lpi.plugin.model_factory import make_model
from recbole_lpi.plugin.models import BASELINES
from recbole_lpi.plugin.names import NEEDS_MORE
from recbole_lpi.plugin.run_description import plain_config
from recbole_lpi.settings import SettingError, brief, refused, suggest
from recbole_lpi.training import distributed
from recbole_lpi.training.observers import Observer
from recbole_lpi.training.run_folder import RunFolder, claimed
from recbole_lpi.training.run_log import log_to, log_to_screen
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.verdicts import Verdicts
from recbole_lpi.yaml_values import read_file


@dataclass(frozen=True)
class Run:
    """A finished run: its settings, its folder and its results.

    Attributes:
        config: RecBole's, as it was used.
        folder: where everything is kept.
        results: estimates by part, ``valid`` and ``test``, and name.
        kinds: the events of this data that count as purchases and as clicks.
        verdicts: what the test part tells besides: floors, quality of the logging policy, warnings.
    """

    config: Any = field(repr=False)  # RecBole's prints itself in colours, page after page
    folder: RunFolder
    results: dict[str, dict[str, Estimate]] = field(repr=False)
    kinds: Kinds
    verdicts: Verdicts = field(default_factory=Verdicts, repr=False)

    @property
    def model(self) -> str:
        """The name of the model."""
        return str(self.config["model"])

    @property
    def dataset(self) -> str:
        """The name of the data set."""
        return str(self.config["dataset"])

    def __str__(self) -> str:
        """Say in one line what the run is, its test metrics, and where it is kept."""
        test = self.results.get("test", {})
        found = ", ".join(f"{name} {estimate.mean:.4f}" for name, estimate in test.items())
        return f"{self.model} on {self.dataset}: {found} ({self.folder.path})"


@brief
def run(
    model: str | None = None,
    dataset: str | None = None,
    config_files: Sequence[str] = (),
    config_dict: Mapping[str, Any] | None = None,
    observers: Sequence[Observer] = (),
) -> Run:
    """Train, evaluate and keep a model, or go on with the run that ``resume`` names.

    Beside ``resume``, in ``config_dict``, only settings of the machine can be given, and an
    ``encoder`` of the user's own must be: a run's own file has no module imported.

    ``observers`` follow it, beside TensorBoard and the ``trackers`` of its settings; an exception
    of theirs ends the run, which can be resumed.

    Of several processes started by torchrun each calls this, and all get the same estimates.

    Raises:
        SettingError: a setting or the data is wrong; before any work is done where that can be.
        DatasetMissing: there is no such data set.
    """
    given = dict(config_dict or {})
    resume = given.pop("resume", None)
    if resume:
        if model or dataset or config_files:
            raise SettingError(
                "--resume goes on with a run as it was; it takes no model, dataset or config_files"
            )
        folder = RunFolder(resume)
        kept = folder.read_config()
        config = resumed_config(folder, kept, given)
    else:
        config = make_config(model, dataset, config_files, given)
    ranks = distributed.join(config["device"], TrainingSettings.of(config).collective_timeout)
    ranks.from_first(lambda: check_files(config, bool(resume)))
    check_data(config)  # on every machine
    with ExitStack() as held:  # the folder, against all others, until all is written
        folder = ranks.from_first(
            lambda: resumed_folder(folder, kept, held) if resume else _begun(config, held)
        )
        try:
            with log_to(folder.log) if ranks.first else nullcontext():
                return _train(config, folder, bool(resume), observers)
        except distributed.LostProcess:  # the run can go on, from its beginning too
            raise
        except Exception:
            if ranks.first and not resume and not folder.resume.is_file():  # nothing was trained
                folder.give_up()
            raise


def resumed_config(folder: RunFolder, kept: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    """Make RecBole's Config of the run with the settings ``kept``; some can be given again."""
    if folder.finished:
        with folder.exclusive():  # which removes the lock of a run that was killed at its very end
            raise SettingError(f"{folder.path} holds a finished run: there is nothing to resume")
    stored.refuse_links(folder.path)
    settings = stored.again(kept, given, folder.config)
    if distributed.launched() and "gpu_id" not in given:
        settings.pop("gpu_id", None)  # of another launch
    check_model(settings.get("model"))
    return configuration.make(str(settings["model"]), settings.get("dataset"), settings, given)


def make_config(
    model: str | None, dataset: str | None, files: Sequence[str], given: Mapping[str, Any]
) -> Any:
    """Make RecBole's Config apart from the command line; SettingError as ``run`` says."""
    settings = {key: value for file in files for key, value in read_file(file).items()}
    settings |= given
    if settings.get("resume"):
        raise SettingError("resume is for the command line: --resume=FOLDER")
    wanted = model or settings.get("model")
    check_model(wanted)
    if not (dataset or settings.get("dataset")):
        raise SettingError("no data set is named: give --dataset, such as --dataset=ml-100k")
    return configuration.make(str(wanted), dataset, settings)


def check_model(name: object) -> None:
    """Raise SettingError for a model that cannot be run, with the reason or the nearest name."""
    policies = ", ".join(sorted(OBJECTIVES))
    if name is None:
        raise SettingError(f"no model is named: give --model, one of {policies}")
    known = known_models()
    if name in NEEDS_MORE:
        raise SettingError(
            f"{name} of RecBole cannot run on sessions alone: it {NEEDS_MORE[str(name)]}"
        )
    if name not in known:
        near = suggest(str(name), known)
        hint = f"did you mean {near}? " if near else ""
        raise SettingError(
            f"unknown model '{name}': {hint}The policies are {policies}; the baselines "
            f"{', '.join(BASELINES)} and RecBole's sequential models run too"
        )


def _begun(config: Any, held: ExitStack) -> RunFolder:
    """Claim the folder of a new run, hold it, and write its settings there."""
    folder = claimed(
        config["model"], config["dataset"], config["run_dir"], config["overwrite"], held
    )
    folder.write_config(plain_config(config))
    return folder


def resumed_folder(folder: RunFolder, kept: Mapping[str, Any], held: ExitStack) -> RunFolder:
    """Hold the folder of a run; SettingError if it has ended, or is no longer that of ``kept``."""
    held.enter_context(folder.exclusive())
    folder.recover()
    if folder.finished:
        raise SettingError(f"{folder.path} holds a finished run: there is nothing to resume")
    if str(folder.read_config()) != str(kept):
        raise SettingError(
            f"{folder.path} holds another run than a moment ago: look, and try again"
        )
    return folder


def _train(config: Any, folder: RunFolder, resume: bool, observers: Sequence[Observer]) -> Run:
    """Train and evaluate into ``folder``, which is held; log to it and to the screen."""
    from recbole.utils import init_seed

    from recbole_lpi.plugin.dataset import PolicyDataset
    from recbole_lpi.plugin.trainer import PolicyTrainer

    log_to_screen(distributed.ranks().first)
    logger = logging.getLogger()
    logger.info(f"run folder: {folder.path}")
    init_seed(config["seed"], config["reproducibility"])
    train, valid, test = parts = PolicyDataset(config).build()
    for part in parts:
        logger.info(describe_part(part))
    init_seed(config["seed"], config["reproducibility"])
    with refused(f"{config['model']} cannot be made with these settings"):
        model = make_model(config, train)
    trainer = PolicyTrainer(config, model, folder, resume, observers)
    show = bool(config["show_progress"]) and distributed.ranks().first
    with closing(trainer.training):
        trainer.fit(train, valid, show_progress=show)
        trainer.evaluate(test, show_progress=show)
    names, kinds = train.sessions.event_names, trainer.training.settings.kinds
    occurring = Kinds(
        *(tuple(name for name in kind if name in names) for kind in (kinds.purchase, kinds.click))
    )
    done = trainer.training
    return Run(config, folder, done.results, occurring, done.verdicts)
