"""Measuring a model on a part of the data, in several processes as in one."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from recbole_lpi.data.session_data import SessionData, share_of
from recbole_lpi.evaluation.event_ranking import EvaluationPass, Imputed, rank_events
from recbole_lpi.evaluation.event_table import EventTable, joined
from recbole_lpi.evaluation.imputation import Imputation, ImputedRewards
from recbole_lpi.evaluation.metrics import Estimate, by_novelty, evaluate
from recbole_lpi.training.acceleration import AccelerationSettings
from recbole_lpi.training.distributed import Ranks
from recbole_lpi.training.floors import floors
from recbole_lpi.training.learner import Learner
from recbole_lpi.training.loop import progress_bar
from recbole_lpi.training.settings import TrainingSettings


@dataclass
class Measure:
    """Ranks the held-out events of a part, and reduces them to metrics.

    Attributes:
        learner: the model.
        settings: which metrics, at which cut-offs, in which batches.
        acceleration: how what was compiled is evaluated.
        device: where the model is.
        ranks: the processes that share the events.
        imputation: imputes the rewards of first choices; None: they are not measured.
        show_progress: whether a bar is shown.
        item_counts: training events of each item, [A]; None: not known.
    """

    learner: Learner
    settings: TrainingSettings
    acceleration: AccelerationSettings
    device: torch.device
    ranks: Ranks
    imputation: Imputation | None = None
    show_progress: bool = False
    item_counts: np.ndarray | None = None

    @torch.no_grad()
    def __call__(
        self, held: SessionData, whole: bool = True
    ) -> tuple[EventTable | None, dict[str, Estimate]]:
        """Return the event table of a part and its metrics.

        Of several processes the first alone has the table.

        Args:
            held: the part.
            whole: with divergences, imputed rewards, and metrics over repeated and new items, not
                rankings alone.
        """
        self.learner.module.eval()
        own = share_of(held, self.ranks.rank, self.ranks.size) if self.ranks.several else held
        with self.acceleration.evaluation():
            table = self._table(own, held, whole) if len(own.windows) else None
        tables = [found for found in self.ranks.gather(table) if found is not None]
        table = joined(tables) if len(tables) > 1 else tables[0] if tables else None

        def estimates() -> dict[str, Estimate]:
            assert table is not None
            self._tell_drawing(held, table)
            names = self.settings.metric_names
            return evaluate(
                table, by_novelty(names, table) if whole else names, self.settings.kinds
            )

        return table, self.ranks.from_first(estimates)

    def scores(self, held: SessionData) -> dict[str, float]:
        """Return the metrics of rankings alone, by name."""
        return {name: found.mean for name, found in self(held, whole=False)[1].items()}

    def floors(self, table: EventTable | None, held: SessionData) -> dict[str, dict[str, Estimate]]:
        """Return what rules that learn nothing reach on the table's events, as ``floors`` does.

        There is nothing without a table, or where the training events are not known.
        """
        if table is None or self.item_counts is None:
            return {}
        names = by_novelty(self.settings.metric_names, table)
        return floors(table, held.sessions, self.item_counts, names, self.settings.kinds)

    def _table(self, own: SessionData, held: SessionData, whole: bool) -> EventTable:
        imputed = None
        if whole and self.imputation is not None:
            rewards = ImputedRewards(self.imputation, held.sessions, held.part, held.item_num)
            imputed = Imputed(rewards, max(self.settings.topk))
        how = EvaluationPass(
            self.settings.eval_batch_size,
            self.device,
            self.learner.logging_policy if whole else None,
            self.settings.divergence_candidates,
            imputed,
            partial(progress_bar, name="Evaluate   ", shown=self.show_progress),
            self.item_counts,
        )
        return rank_events(self.learner.ranker(own, self.device), own, how)

    def _tell_drawing(self, held: SessionData, table: EventTable) -> None:
        """Log how much of a divergence's error is of the candidates it is estimated from."""
        for name, each in (("js", table.js_stderr), ("kl", table.kl_stderr)):
            if each is not None:
                error = np.sqrt(np.square(each, dtype=np.float64).sum()) / len(each)
                logging.getLogger().info(
                    f"{held.part_name} {name}_divergence is estimated from "
                    f"{self.settings.divergence_candidates} candidates an event: standard error "
                    f"of that {error:.2g}, part of the one reported"
                )
