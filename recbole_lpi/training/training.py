"""Training a model on one part of a log, choosing its epoch on another, and measuring it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from recbole_lpi.data.identity import data_hash, part_hash
from recbole_lpi.data.session_data import SessionData, event_counts
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.measures import DIVERGENCE
from recbole_lpi.evaluation.metrics import Estimate, Metric
from recbole_lpi.evaluation.quality_report import judge
from recbole_lpi.policy.checkpoint import check_catalogue, read_checkpoint
from recbole_lpi.settings import SettingError
from recbole_lpi.stored_tensors import load_weights
from recbole_lpi.training import distributed, run_warnings
from recbole_lpi.training.calibration import fit_temperature, mean_nll
from recbole_lpi.training.epochs import Epochs
from recbole_lpi.training.learner import Learner, has_parameters
from recbole_lpi.training.loop import TrainingLoop
from recbole_lpi.training.measuring import Measure
from recbole_lpi.training.recorder import Recorder, RunDescription
from recbole_lpi.training.run_checks import check_run
from recbole_lpi.training.selection import Selector
from recbole_lpi.training.settings import TrainingSettings
from recbole_lpi.training.step import TrainingStep
from recbole_lpi.training.surroundings import Surroundings
from recbole_lpi.training.verdicts import Verdicts
from recbole_lpi.training.warm_start import begin


class Training:
    """Trains a model, keeps its best epoch, and can be killed and resumed at any moment.

    Several processes train as one with the same batches would: see ``training.distributed``.

    Args:
        learner: the model.
        settings: how it is trained and measured.
        about: what the files of the run say of it.
        surroundings: where it is trained, and what it is compared with.

    Attributes:
        results: estimates by part, ``valid`` and ``test``, and by metric.
        verdicts: what the test part tells besides.
        events: the event table of the test part, once it is evaluated.
        loop: the loop, once ``fit`` has begun; None: nothing was trained.
        recorder: what keeps the run.
    """

    def __init__(
        self,
        learner: Learner,
        settings: TrainingSettings,
        about: RunDescription,
        surroundings: Surroundings | None = None,
    ) -> None:
        self.learner, self.settings, self.about = learner, settings, about
        self.around = surroundings or Surroundings()
        self.ranks = distributed.join(self.around.device, settings.collective_timeout)
        self.measure = Measure(
            learner, settings, self.around.acceleration, self.around.device, self.ranks
        )
        self.results: dict[str, dict[str, Estimate]] = {}
        self.verdicts = Verdicts()
        self.events: EventTable | None = None
        self.loop: TrainingLoop | None = None
        self.recorder: Recorder | None = None
        self._parts: tuple[SessionData, SessionData | None] | None = None  # it is fitted to
        self._held = ExitStack()  # the folder, where it is claimed here

    def fit(
        self,
        train: SessionData,
        valid: SessionData | None = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback: Callable[[int, float], None] | None = None,
    ) -> Selector:
        """Train to the best epoch on ``valid``; what was selected.

        Args:
            train, valid: parts of one log. Without ``valid`` every epoch is trained and the last
                is the best.
            verbose: whether each epoch is told in the log.
            saved: whether anything is kept.
            show_progress: whether bars are shown, on a terminal.
            callback: called after each validation with the epoch and its score.

        Raises:
            SettingError: the data do not suit the settings, or the folder holds another run.
            FloatingPointError: the loss is not finite.
        """
        check_run(self.about.model, self.learner.objective, self.settings, train, valid)
        self.around.acceleration.warn(self.around.device)
        self._parts = train, valid
        if self.around.acceleration.compile:
            self.learner.compile(self.around.acceleration, self.around.device)
        self.measure.show_progress = show_progress
        self.measure.item_counts = event_counts(train)
        epochs = self.learner.epochs(train, self.settings, self.around.device, self.ranks)
        self.recorder = self._recorder(train, valid, saved)
        try:
            return self._fit(epochs, train, valid, verbose, show_progress, callback)
        except BaseException:
            self.close()
            raise

    def evaluate(
        self, held: SessionData, best: bool = True, file: str | None = None
    ) -> dict[str, Estimate]:
        """Measure the model on a part; the test part ends the folder of the run.

        Args:
            held: the part.
            best: with the weights of the best epoch, not those of the last.
            file: with the weights of that checkpoint instead.
        """
        if file is not None:
            state = read_checkpoint(file)
            check_catalogue(state, held, file)
            load_weights(self.learner.module, state["state_dict"], file)
        elif best and self.loop is not None and self.loop.selector.best_state is not None:
            self.learner.module.load_state_dict(self.loop.selector.best_state)
        table, estimates = self.measure(held)
        self.results["valid" if held.part_name == "validation" else held.part_name] = estimates
        if held.part_name == "test":
            self.events = table
            self._judge(table, estimates, held)
            if table is not None and self.recorder is not None:
                self.recorder.write_events(table, held)
            self.finish()
        return estimates

    def finish(self) -> None:
        """Write metrics.json: from here on the run counts as finished."""
        if self.recorder is not None:
            imputation = self.measure.imputation
            report = None if imputation is None else imputation.report
            more = {"imputation": report, **self.verdicts.plain()}
            self.recorder.finish(self.loop, self.results, more)
        self.close()

    def close(self) -> None:
        """Let go of the observers and the folder, whether or not the run has finished."""
        if self.recorder is not None:
            self.recorder.observer.close()
        self._held.close()

    def _judge(
        self, table: EventTable | None, estimates: dict[str, Estimate], held: SessionData
    ) -> None:
        """Tell what the test part says of the run besides its metrics."""
        told, (train, valid) = self.verdicts, self._parts or (None, None)
        told.floors = self.ranks.from_first(lambda: self.measure.floors(table, held))
        if table is not None:
            learns = has_parameters(self.learner.module)
            told.warn_of(table, estimates, self.settings, learns)
            if train is not None and valid is not None:
                own = self.about.model == "LoggingPolicy"
                told.quality = judge(table, train, valid, held, own)
        find, mu = self.around.noise_floor, self.learner.logging_policy
        wanted = any(Metric.parse(name).heading == DIVERGENCE for name in estimates)
        if wanted and find is not None and mu is not None and train is not None:
            told.noise_floor = find(mu, train, valid, held)

    def _fit(
        self,
        epochs: Epochs,
        train: SessionData,
        valid: SessionData | None,
        verbose: bool,
        show_progress: bool,
        callback: Callable[[int, float], None] | None,
    ) -> Selector:
        """Find what the model is compared with, go on where the run broke off, and train."""
        recorder, around = self.recorder, self.around
        assert recorder is not None
        with recorder.logging():
            begin(self.learner.module, self.settings.init_from, recorder, around.resume)
            find = around.imputation
            if valid is not None and self.settings.imputes and find is not None:
                self.measure.imputation = self.ranks.from_first(
                    lambda: find(train, valid, show_progress)
                )
            find_mu = around.logging_policy
            self.learner.compare_with(None if find_mu is None else find_mu(train, valid))
            if self.ranks.from_first(lambda: recorder.data) != recorder.data:
                raise SettingError(
                    f"{train.dataset_name}: process {self.ranks.rank} read other data than the "
                    "first; give every machine the same files"
                )
            self.loop = loop = self._loop(epochs, valid)
            recorder.restore(loop, around.resume)
            self.learner.share_draws(recorder.draws)
            loop.run(verbose, show_progress, callback)
            if not has_parameters(loop.module):
                recorder.write_best(loop)
            if valid is not None:
                self._fit_temperature(loop, valid)
                self.verdicts.warn(run_warnings.of_epochs(loop))
                self.evaluate(valid)
        return loop.selector

    def _fit_temperature(self, loop: TrainingLoop, valid: SessionData) -> None:
        """Fit the temperature of the best weights, where they have one, and keep it."""

        def nll() -> float:
            table, _ = self.measure(valid, whole=False)
            return self.ranks.from_first(lambda: mean_nll(table))

        if fit_temperature(self.learner.module, loop.selector.best_state, nll):
            assert self.recorder is not None
            self.recorder.write_best(loop)

    def _recorder(self, train: SessionData, valid: SessionData | None, saved: bool) -> Recorder:
        folder, claim = None, self.around.folder
        if saved and claim is not None:
            folder = self.ranks.from_first(lambda: claim(self._held))
        identify = self.about.identify
        return Recorder(
            self.about, folder, self.ranks, self.around.device, train, data_hash(train),
            None if valid is None else part_hash(valid),
            None if identify is None else identify(train, valid),
            self.around.observer,
        )  # fmt: skip

    def _loop(self, epochs: Epochs, valid: SessionData | None) -> TrainingLoop:
        s, module = self.settings, self.learner.module
        optimizer = None
        if has_parameters(module):
            tables = getattr(module, "sparse_parameters", ())
            optimizer = s.optimiser(module.parameters(), tables)
        step = TrainingStep(
            module, self.learner.losses, optimizer, self.around.acceleration, self.around.device,
            self.ranks, s.clip_grad_norm, self.learner.cure,
        )  # fmt: skip
        selector = Selector(str(s.criterion), s.stopping_step, s.criterion.smaller_is_better)
        selector.stopped = optimizer is None  # fitted already
        return TrainingLoop(
            module, epochs, step, selector,
            None if valid is None else lambda: self.measure.scores(valid),
            self.recorder, s.epochs, s.eval_step, s.seed, self.learner.begin_epoch,
            lambda: not self.learner.warming_up,
            [f"{kind}_ndcg@{max(s.topk)}" for kind in ("purchase", "click")],
        )  # fmt: skip
