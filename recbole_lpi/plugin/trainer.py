"""Training and evaluation of a policy, in the place of RecBole's trainer."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.trainer import AbstractTrainer
from torch import Tensor
from tqdm import tqdm

from recbole_lpi import settings
from recbole_lpi.data.prefetch import made_ahead
from recbole_lpi.data.reward_sampling import RewardSampler
from recbole_lpi.data.sequences import Windows, logged_targets, training_batches
from recbole_lpi.evaluation.event_table import EventTable, Impute, event_table, joined
from recbole_lpi.evaluation.imputation import Imputation, ImputedRewards
from recbole_lpi.evaluation.metrics import Estimate, evaluate
from recbole_lpi.evaluation.variety import nearly_constant
from recbole_lpi.files import write_tensors
from recbole_lpi.nn.candidates import LoggedItems
from recbole_lpi.nn.lazy import clip_gradients
from recbole_lpi.plugin import checkpoints, logging_policy
from recbole_lpi.plugin import imputation_model as imputation
from recbole_lpi.plugin.dataset import PolicyDataset
from recbole_lpi.plugin.models import LoggingPolicy, PolicyRecommender
from recbole_lpi.plugin.policy_recommender import Losses, Whole
from recbole_lpi.policy.stored_tensors import load_optimizer, load_weights, refusing
from recbole_lpi.settings import SettingError
from recbole_lpi.training import distributed
from recbole_lpi.training.acceleration import AccelerationSettings, compile_encoder
from recbole_lpi.training.memory import FreedMemory
from recbole_lpi.training.random_states import random_states, set_random_states
from recbole_lpi.training.resume_file import check_best, read_resume_file
from recbole_lpi.training.reward_checks import check_rewards
from recbole_lpi.training.run_folder import RunFolder, claimed
from recbole_lpi.training.run_log import label, log_to, log_to_file
from recbole_lpi.training.settings import TrainingSettings

Bar = Callable[[list[np.ndarray]], Iterable[np.ndarray]]


class PolicyTrainer(AbstractTrainer):  # type: ignore[misc]
    """Trains on whole sessions, keeps the best epoch, and can be killed and resumed at any moment.

    Several processes train as one with the same batches would: see ``training.distributed``.

    Args:
        config: RecBole's.
        model: a policy.
        folder: the run folder, already claimed; None makes or claims one when training begins.
        resume: go on from the last epoch in ``folder``.
    """

    cure = "lower learning_rate, raise beta, or set weight_clip or clip_grad_norm"

    def __init__(
        self,
        config: Any,
        model: PolicyRecommender,
        folder: RunFolder | None = None,
        resume: bool = False,
    ) -> None:
        self.config, self.model = config, model  # RecBole's __init__ would wrap it for nccl as well
        self.logger = logging.getLogger()
        self.settings = TrainingSettings.of(config)
        self.acceleration = settings.read(AccelerationSettings, config)
        self.device = torch.device(config["device"])
        self.ranks = distributed.join(self.device, self.settings.collective_timeout)
        self.folder, self._resume = folder, resume
        self._held = ExitStack()  # the folder, where it is claimed here
        scaled = self.acceleration.enable_scaler
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=scaled)
        self.next_epoch, self.waited, self.stopped = 0, 0, False
        self.best_epoch = -1
        self.best_valid_score = -np.inf
        self.best_valid_result: OrderedDict[str, float] = OrderedDict()
        self._best_state: dict[str, Tensor] | None = None
        self._draws: torch.Generator | None = None  # what several processes draw from alike
        self._sampler: RewardSampler | None = None
        self._windows: Windows | None = None  # of the epoch's sample, and its weights
        self._weights: np.ndarray | None = None
        self.results: dict[str, dict[str, Estimate]] = {}
        self.events: EventTable | None = None
        self._imputation: Imputation | None = None
        self._saved = False
        self._data = ""
        self._validation: str | None = None

    @cached_property
    def optimizer(self) -> torch.optim.Optimizer:
        """Of all parameters, where the model has any."""
        tables = getattr(self.model, "sparse_parameters", ())
        return self.settings.optimiser(self.model.parameters(), tables)

    # ------------------------------------------------------------------ RecBole's two calls

    def fit(
        self,
        train_data: Any,
        valid_data: Any = None,
        verbose: bool = True,
        saved: bool = True,
        show_progress: bool = False,
        callback_fn: Callable[[int, float], None] | None = None,
    ) -> tuple[float, OrderedDict[str, float]]:
        """Train to the best epoch on validation; its score and results, unrounded.

        Without ``valid_data`` every epoch is trained and the last is the best.
        """
        self._saved = saved
        train = part_of(train_data)
        if len(train.training_windows) == 0:
            raise SettingError(f"{train.dataset_name}: no training session has two events")
        check_rewards(
            self.config["model"],
            getattr(self.model, "objective", None),
            train,
            None if valid_data is None else part_of(valid_data),
            self.settings.valid_metric.lower(),
        )
        if self.settings.reward_sampling is not None:
            self._sampler = RewardSampler(
                train.sessions, train.training_windows, self.settings.reward_sampling
            )
        valid = None if valid_data is None else part_of(valid_data)
        if valid is not None:
            self._check_criterion(valid)
            self._validation = checkpoints.part_hash(valid)
        self._check_candidates(train)
        self.acceleration.warn(self.device)
        if self.acceleration.compile:
            self._compile()
        with self._recording():
            if valid is not None and self.settings.imputes:
                self._imputation = self.ranks.from_first(
                    lambda: imputation.resolve(
                        self.settings, train, valid, self.device, show_progress
                    )
                )
            mu = logging_policy.resolve(self.settings.logging_policy, self.config, train, valid)
            self._compare_with(mu)
            if self.ranks.from_first(lambda: self._data_hash(train)) != self._data_hash(train):
                raise SettingError(
                    f"{train.dataset_name}: process {self.ranks.rank} read other data than the "
                    "first; give every machine the same files"
                )
            self._restore(train)
            while self.next_epoch < self.settings.epochs and not self.stopped:
                epoch = self.next_epoch
                losses = self._train_epoch(train, epoch, verbose, show_progress)
                found = self._validate(valid_data, epoch, verbose, show_progress)
                self._record(epoch, losses, found, train)
                if callback_fn and found:
                    callback_fn(epoch, found[self.settings.valid_metric.lower()])
            if valid_data is not None:
                self.evaluate(valid_data, show_progress=show_progress)
        if valid_data is None:
            return -1, OrderedDict()
        return self.best_valid_score, self.best_valid_result

    def evaluate(
        self,
        eval_data: Any,
        load_best_model: bool = True,
        model_file: str | None = None,
        show_progress: bool = False,
    ) -> OrderedDict[str, float]:
        """Metrics of the best epoch on a part, unrounded; the test part ends the run's folder."""
        held = part_of(eval_data)
        if model_file is not None:
            state = checkpoints.read_checkpoint(model_file)
            checkpoints.check_catalogue(state, held, model_file)
            load_weights(self.model, state["state_dict"], model_file)
        elif load_best_model and self._best_state is not None:
            self.model.load_state_dict(self._best_state)
        table, estimates = self._measure(held, show_progress, whole=True)
        self.results["valid" if held.part_name == "validation" else held.part_name] = estimates
        if held.part_name == "test":
            self.events = table
            warning = None if table is None else nearly_constant(table)
            if warning is not None and any(True for _ in self.model.parameters()):
                self.logger.warning(warning)
            if table is not None and self._saved:
                self._write_events(table, held)
            self.finish()
        return OrderedDict((name, estimate.mean) for name, estimate in estimates.items())

    def finish(self) -> None:
        """Write metrics.json: from here on the run counts as finished."""
        if self._writes:
            assert self.folder is not None
            self.folder.settle()
            self.folder.write_metrics(
                {
                    "model": self.config["model"],
                    "dataset": self.config["dataset"],
                    "data": self._data,
                    "seed": self.settings.seed,
                    "imputation": None if self._imputation is None else self._imputation.report,
                    "best_epoch": self.best_epoch,
                    "epochs": self.next_epoch,
                    **{
                        part: {name: asdict(estimate) for name, estimate in estimates.items()}
                        for part, estimates in self.results.items()
                    },
                }
            )
        self._held.close()

    @property
    def saved_model_file(self) -> str:
        """Where the best epoch is kept."""
        return "" if self.folder is None else str(self.folder.model)

    @property
    def _writes(self) -> bool:
        """Whether this process keeps anything of the run."""
        return self._saved and self.folder is not None and self.ranks.first

    # ------------------------------------------------------------------ an epoch

    def _compile(self) -> None:
        """The encoder, before anything is trained; SettingError if that cannot be."""
        items = self.model.item_embedding
        length = min(3, self.model.max_seq_length)
        example = torch.zeros(2, length, items.embedding_dim, device=self.device)
        self.model.train()
        with self.acceleration.training(), self.acceleration.autocast(self.device):
            compile_encoder(self.model.encoder, example)

    def _train_epoch(
        self, train: PolicyDataset, epoch: int, verbose: bool, show_progress: bool
    ) -> dict[str, float]:
        """One pass over the training sessions, or a draw of them; means over batches, by name."""
        began = time.time()
        self.model.train()
        self._begin_epoch(epoch)
        rng = np.random.default_rng([self.settings.seed, epoch])  # so resuming needs no state of it
        batches = self._batches(train, rng)
        totals: dict[str, Tensor] = {}
        freed = FreedMemory()
        # One of RecBole's model files turns anomaly detection on for all of torch when imported.
        with (
            torch.autograd.set_detect_anomaly(False),
            self.acceleration.training(),
            _bar(batches, f"Train {epoch:>5}", show_progress) as bar,
        ):
            made = self._made(train, batches)
            for step, (_, batch) in enumerate(zip(bar, made, strict=True)):
                for name, value in self._step(batch, epoch, step).items():
                    totals[name] = totals.get(name, torch.zeros_like(value)) + value
                freed.give_back()
                if show_progress and step % 20 == 0:
                    bar.set_postfix_str(_spelled(totals, step + 1))
        means = {name: float(total) / len(batches) for name, total in totals.items()}
        if verbose:
            numbers = ", ".join(f"{name}: {value:.4f}" for name, value in means.items())
            took = time.time() - began
            self.logger.info(f"epoch {epoch} training [time: {took:.2f}s, {numbers}]")
        return means

    def _begin_epoch(self, epoch: int) -> None:
        self.model.begin_epoch(epoch)

    def _compare_with(self, mu: LoggingPolicy | None) -> None:
        logging_policy.attach(self.model, mu)

    def _batches(self, train: PolicyDataset, rng: np.random.Generator) -> list[np.ndarray]:
        """What each step of an epoch is taken on."""
        sample = self._sampler.draw(rng) if self._sampler else None
        self._windows = sample.windows if sample else train.training_windows
        batches = training_batches(self._windows, self.settings.train_batch_size, rng)
        if self._sampler and sample:
            self._weights = sample.weights(batches)
            drawn = self._sampler.describe(sample)
            self.logger.info(f"epoch {self.next_epoch} sampling [{drawn}]")
        return batches

    def _made(self, train: PolicyDataset, batches: list[np.ndarray]) -> Iterable[Any]:
        """``_batch`` of each, in order."""
        return made_ahead(lambda index: self._batch(train, index), batches)

    def _batch(self, train: PolicyDataset, index: np.ndarray) -> Any:
        """The windows of ``index`` that this process takes, and of what they are a share."""
        assert self._windows is not None
        own = self.ranks.share(index)
        # With fewer windows than processes some take another's for nothing, so that all step alike.
        batch = train.batch(self._windows.take(own if len(own) else index[:1]), self._weights)
        if not len(own):
            batch = batch._replace(sample_weight=torch.zeros_like(batch.sample_weight))
        whole = None
        if self.ranks.several:
            targets = logged_targets(train.sessions, self._windows.take(index))
            whole = Whole(LoggedItems(*map(torch.from_numpy, targets)), self.ranks.sum)
        return batch.to(self.device), whole

    def _losses(self, batch: Any) -> Losses:
        return self.model.losses(*batch)

    def _step(self, batch: Any, epoch: int, step: int) -> dict[str, Tensor]:
        """One step of the optimiser; named numbers of it."""
        clip = self.settings.clip_grad_norm
        self.optimizer.zero_grad(set_to_none=True)
        with self.acceleration.autocast(self.device):
            losses = self._losses(batch)
        own = torch.stack(list(losses.parts.values())).sum()
        self.scaler.scale(own).backward()  # type: ignore[no-untyped-call]
        parts = self.ranks.sum_gradients(self.model.parameters(), losses.parts)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss is {loss.item()} in epoch {epoch}, step {step}: {self.cure}"
            )
        if clip:
            self.scaler.unscale_(self.optimizer)
            clip_gradients(self.model.parameters(), **vars(clip))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return {k: v.detach() for k, v in {**parts, **losses.diagnostics}.items()}

    def _validate(
        self, valid_data: Any, epoch: int, verbose: bool, show_progress: bool
    ) -> OrderedDict[str, float]:
        """Validation metrics of the epoch, {} when it is not time for them.

        Decides best epoch and early stop.
        """
        self.next_epoch = epoch + 1
        if valid_data is None:
            self._keep(epoch)
            return OrderedDict()
        if self.next_epoch % self.settings.eval_step and self.next_epoch < self.settings.epochs:
            return OrderedDict()
        began = time.time()
        _, estimates = self._measure(part_of(valid_data), show_progress, whole=False)
        found = OrderedDict((name, estimate.mean) for name, estimate in estimates.items())
        score = found[self.settings.valid_metric.lower()]
        if getattr(self.model, "warming_up", False):
            pass  # not yet the policy it is to be: neither the best epoch nor one without progress
        elif score > self.best_valid_score:
            self.best_valid_score, self.waited = score, 0
            self.best_valid_result = found
            self._keep(epoch)
        else:
            self.waited += 1
            self.stopped = self.waited > self.settings.stopping_step
        if verbose:
            took, criterion = time.time() - began, self.settings.valid_metric.lower()
            told = [f"time: {took:.2f}s", f"{criterion}: {score:.6f}"]
            few = [name for name in self._in_the_log if name in found and name != criterion]
            told += [f"{name}: {found[name]:.4f}" for name in few]
            if self.best_epoch >= 0:
                told.append(f"best epoch: {self.best_epoch}")
            self.logger.info(f"epoch {epoch} evaluating [{', '.join(told)}]")
            every = ", ".join(f"{name}: {value:.4f}" for name, value in found.items())
            log_to_file(f"epoch {epoch} validation [{every}]")
        return found

    @property
    def _in_the_log(self) -> tuple[str, ...]:
        """Of the metrics, those that every epoch tells on the screen."""
        return tuple(f"{kind}_ndcg@{max(self.settings.topk)}" for kind in ("purchase", "click"))

    @torch.no_grad()
    def _measure(
        self, held: PolicyDataset, show_progress: bool, whole: bool
    ) -> tuple[EventTable | None, dict[str, Estimate]]:
        """Event table and metrics; ``whole`` with divergences and imputed rewards.

        Of several processes the first alone has the table.
        """
        self.model.eval()

        def bar(batches: list[np.ndarray]) -> Iterable[np.ndarray]:
            return _bar(batches, "Evaluate   ", show_progress)

        imputed: tuple[Impute, int] | None = None
        if whole and self._imputation is not None:
            rewards = ImputedRewards(self._imputation, held.sessions, held.part, held.item_num)
            imputed = rewards, max(self.settings.topk)
        own = held.share(self.ranks.rank, self.ranks.size) if self.ranks.several else held
        with self.acceleration.evaluation():
            table = self._table(own, whole, bar, imputed) if len(own.windows) else None
        tables = [found for found in self.ranks.gather(table) if found is not None]
        table = joined(tables) if len(tables) > 1 else tables[0] if tables else None

        def estimates() -> dict[str, Estimate]:
            assert table is not None
            self._log_drawing(held, table)
            return evaluate(table, self.settings.metric_names, self.settings.kinds)

        return table, self.ranks.from_first(estimates)

    def _log_drawing(self, held: PolicyDataset, table: EventTable) -> None:
        """How much of the error of a divergence is of the candidates it is estimated from."""
        for name, each in (("js", table.js_stderr), ("kl", table.kl_stderr)):
            if each is not None:
                error = np.sqrt(np.square(each, dtype=np.float64).sum()) / len(each)
                self.logger.info(
                    f"{held.part_name} {name}_divergence is estimated from "
                    f"{self.settings.divergence_candidates} candidates an event: standard error "
                    f"of that {error:.2g}, part of the one reported"
                )

    def _table(
        self, held: PolicyDataset, divergence: bool, bar: Bar, imputed: tuple[Impute, int] | None
    ) -> EventTable:
        mu, size = self.model.logging_policy if divergence else None, self.settings.eval_batch_size
        number = self.settings.divergence_candidates
        return event_table(self.model, held, size, self.device, mu, bar, imputed, number)

    def _check_candidates(self, train: PolicyDataset) -> None:
        """SettingError if an estimate would take more than what it is an estimate of."""
        number, items = self.settings.divergence_candidates, train.item_num - 1
        if number is not None and number > items:
            raise SettingError(
                f"divergence_candidates is {number}, and the catalogue has {items} items: leave it "
                "empty, for the exact divergence"
            )

    def _check_criterion(self, valid: PolicyDataset) -> None:
        """SettingError if the metric that picks the epoch would be over nothing."""
        wanted = self.settings.criterion_events
        store = valid.sessions
        codes = np.unique(store.events[valid.places])
        present = {store.event_names[code] for code in codes}
        if wanted is not None and present.isdisjoint(wanted):
            raise SettingError(
                f"{self.settings.valid_metric} picks the best epoch, and validation has no event "
                f"that it is over ({', '.join(wanted)}), only {', '.join(sorted(present))}: set "
                "purchase_events and click_events, or another valid_metric"
            )

    # ------------------------------------------------------------------ what is kept

    @contextmanager
    def _recording(self) -> Iterator[None]:
        if not self._saved:
            yield
            return
        if self.folder is None:
            self.folder = self.ranks.from_first(self._claim)
            self.logger.info(f"run folder: {self.folder.path}")
        if not self._writes:
            yield
            return
        if not self.folder.begun:
            self.folder.write_config(checkpoints.plain_config(self.config))
        with log_to(self.folder.log):
            yield

    def _claim(self) -> RunFolder:
        c = self.config
        return claimed(c["model"], c["dataset"], c["run_dir"], c["overwrite"], self._held)

    def _keep(self, epoch: int) -> None:
        """The model as it is now is the best so far."""
        self.best_epoch = epoch
        self._best_state = {k: v.detach().clone() for k, v in self.model.state_dict().items()}

    def _record(
        self, epoch: int, losses: dict[str, float], found: dict[str, float], train: PolicyDataset
    ) -> None:
        """Resume file first, then the best model: what a kill between the two loses is in it."""
        if not self._saved:
            return
        random = random_states(self.ranks, self.device, self._draws)
        if not self._writes:
            return
        assert self.folder is not None
        self._write_tensorboard(epoch, losses, found)
        write_tensors(
            self.folder.resume,
            {
                "data": self._data_hash(train),
                "next_epoch": self.next_epoch,
                "waited": self.waited,
                "stopped": self.stopped,
                "best_epoch": self.best_epoch,
                "best_valid_score": float(self.best_valid_score),
                "best_valid_result": dict(self.best_valid_result),
                "state_dict": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "scaler": self.scaler.state_dict(),
                **random,
            },
        )
        if self.best_epoch == epoch:
            self._write_best(train)
        self.folder.settle()

    def _data_hash(self, train: PolicyDataset) -> str:
        """Taken once: it reads every event, and every epoch asks for it."""
        self._data = self._data or checkpoints.data_hash(train)
        return self._data

    def _write_best(self, train: PolicyDataset) -> None:
        assert self.folder is not None
        write_tensors(
            self.folder.model,
            {
                "format": checkpoints.FORMAT,
                "schema": 1,
                "model": self.config["model"],
                "config": checkpoints.plain_config(self.config, checkpoints.OF_THE_MACHINE),
                "catalogue": checkpoints.catalogue_hash(train),
                "data": self._data_hash(train),
                "validation": self._validation,
                "n_items": int(train.item_num),
                "epoch": self.best_epoch,
                "valid_score": float(self.best_valid_score),
                "state_dict": self._best_state,
            },
        )

    def _restore(self, train: PolicyDataset) -> None:
        """Go on where the resume file ends; from the beginning if there is none yet."""
        state = self.ranks.from_first(self._resume_state)
        path = self.folder.resume if state is not None and self.folder is not None else None
        with nullcontext() if path is None else refusing(path):
            if state is not None and path is not None:
                self._go_on(state, train, path)
            # RecBole's launcher has each process begin with other weights.
            self.ranks.copy_first(self.model.state_dict().values())
            seed = [self.settings.seed, self.next_epoch]
            self._draws = set_random_states(state, self.ranks, self.device, seed)
        self.model.draws = self._draws

    def _resume_state(self) -> dict[str, Any] | None:
        if not self._resume or self.folder is None or not self.folder.resume.is_file():
            return None
        return read_resume_file(self.folder.resume, self.settings.epochs)

    def _go_on(self, state: dict[str, Any], train: PolicyDataset, path: Path) -> None:
        assert self.folder is not None
        if state.get("data") != self._data_hash(train):
            raise SettingError(
                f"{self.folder.path} was trained on other data: {train.dataset_name} has changed "
                "since it broke off; start a new run"
            )
        for name in ("next_epoch", "waited", "stopped", "best_epoch", "best_valid_score"):
            setattr(self, name, state[name])
        self.best_valid_result = OrderedDict(state["best_valid_result"])
        if 0 <= self.best_epoch < self.next_epoch - 1:
            kept = self.folder.model
            best = self.ranks.from_first(lambda: checkpoints.read_checkpoint(kept))
            check_best(best, kept, state, path)
            load_weights(self.model, best["state_dict"], kept)
            self._best_state = {k: v.to(self.device) for k, v in best["state_dict"].items()}
        load_weights(self.model, state["state_dict"], path)
        # A scaler skips steps whose gradients overflow: at the beginning that may be all of them.
        stepped = not self.scaler.is_enabled()
        load_optimizer(self.optimizer, state["optimizer"], path, stepped)
        self.scaler.load_state_dict(state["scaler"])
        if self.best_epoch == self.next_epoch - 1:  # killed, perhaps, before it was written
            self._keep(self.best_epoch)
            if self._writes:
                self._write_best(train)
        self.logger.info(f"resumed after epoch {self.next_epoch - 1} of {self.folder.path}")

    def _write_events(self, table: EventTable, held: PolicyDataset) -> None:
        assert self.folder is not None
        tokens = held.field2id_token
        sessions = tokens[held.uid_field][held.user_of_session]
        table.write(self.folder.events, sessions, tokens[held.iid_field])

    def _write_tensorboard(
        self, epoch: int, losses: dict[str, float], found: dict[str, float]
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        assert self.folder is not None
        with SummaryWriter(str(self.folder.path / "tensorboard")) as writer:
            for name, value in losses.items():
                writer.add_scalar(f"train/{name}", value, epoch)
            for name, value in found.items():
                writer.add_scalar(f"valid/{name}", value, epoch)


def part_of(data: Any) -> PolicyDataset:
    """The part of the data itself, or the one that a loader of RecBole's holds."""
    part = data if isinstance(data, PolicyDataset) else data.dataset
    if not isinstance(part, PolicyDataset):
        raise SettingError(f"policies train on sessions: got a {type(part).__name__}")
    return part


def _bar(batches: list[np.ndarray], name: str, shown: bool) -> tqdm[np.ndarray]:
    """A progress bar, on a terminal only."""
    text, off = label.get() + name, None if shown else True
    return tqdm(batches, desc=text, ncols=100, leave=False, disable=off)


def _spelled(totals: dict[str, Tensor], steps: int) -> str:
    return ", ".join(f"{name} {float(total) / steps:.3f}" for name, total in totals.items())
