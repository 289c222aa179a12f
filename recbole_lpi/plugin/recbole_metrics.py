"""Offer our metrics to RecBole's own evaluation: ``metrics: [purchase_hit, …]``."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import torch
from recbole.evaluator.base_metric import AbstractMetric
from recbole.utils import EvaluatorType

from recbole_lpi import settings
from recbole_lpi.data.settings import DataSettings
from recbole_lpi.evaluation.event_table import EventTable
from recbole_lpi.evaluation.metrics import Kinds, Metric, evaluate, known_names, names_at
from recbole_lpi.settings import SettingError

KIND_OF_EVENT = "data.kind"  # 0 other, 1 purchase, 2 click
REWARD = "data.reward"
NAMES_OF_KINDS = ("other", "purchase", "click")  # in the order of their numbers
# What columns of the event table take, that a top-k list does not hold.
NEEDS_MORE = {
    "log_pi": "the whole of a policy", "log_mu": "the whole of two policies",
    "js": "the whole of two policies", "kl": "the whole of two policies",
    "imputed_reward": "rewards imputed from ratings", "seen": "the whole of each session",
    "log_propensity": "propensities of the log",
}  # fmt: skip


class EventMetric(AbstractMetric):  # type: ignore[misc]
    """A metric over purchases, clicks or rewards, from the top-k list that RecBole collects."""

    name: str
    columns: tuple[str, ...]  # of the event table, that a top-k list does not hold
    metric_type = EvaluatorType.RANKING
    metric_need = ("rec.topk", KIND_OF_EVENT, REWARD)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.topk = config["topk"]

    def calculate_metric(self, dataobject: Any) -> dict[str, float]:
        """Compute the metric at every cut-off, rounded as RecBole rounds."""
        if self.columns:
            more = NEEDS_MORE[self.columns[0]]
            raise SettingError(
                f"{self.name} needs {more}, and RecBole's evaluation keeps top-k "
                "lists only: it is measured by run_recbole_lpi.py"
            )
        top = dataobject.get("rec.topk")[:, :-1].bool().numpy()
        kind, reward = (dataobject.get(name).numpy() for name in (KIND_OF_EVENT, REWARD))
        estimates = evaluate(
            _events(top, kind, reward),
            names_at([self.name], self.topk),
            Kinds(("purchase",), ("click",)),
        )
        return {name: round(e.mean, self.decimal_place) for name, e in estimates.items()}


def _events(top: np.ndarray, kind: np.ndarray, reward: np.ndarray) -> EventTable:
    """Make the event table as far as a top-k list [N, K] tells; a rank beyond K is infinite."""
    count = len(top)
    nothing = np.full(count, np.nan)
    found = top[:, 0]
    return EventTable(
        session=np.arange(count),
        position=np.zeros(count, np.int64),
        item_id=np.ones(count, np.int64),
        greedy_item=found.astype(np.int64),
        event=np.array(NAMES_OF_KINDS, dtype=object)[kind],
        reward=reward,
        rank=np.where(top.any(1), top.argmax(1) + 1.0, np.inf),
        log_pi=nothing,
        log_mu=nothing,
        js=nothing,
        kl=nothing,
    )


def add_to(register: ModuleType) -> None:
    """Add our metrics to RecBole's register of them, under the names it does not have yet."""
    names = {name: Metric(measure, kind) for name, (measure, kind) in known_names().items()}
    first = {f"{name}@1": m for name, m in names.items() if m.measure.of_first_choice}
    for name, metric in {**names, **first}.items():
        if name not in register.metrics_dict:
            own = {"name": name, "columns": metric.columns}
            register.metrics_dict[name] = type(name, (EventMetric,), own)
            register.metric_information[name] = EventMetric.metric_need
            register.metric_types[name] = EventMetric.metric_type
            if metric.smaller_is_better:
                register.smaller_metrics.append(name)


def amend_collector(collector_class: Any) -> None:
    """Let RecBole's collector keep kind and reward of each event, where a metric needs them."""
    if getattr(collector_class, "_keeps_events", False):
        return
    data_collect, eval_batch_collect = (
        collector_class.data_collect,
        collector_class.eval_batch_collect,
    )

    def collect_data(collector: Any, train_data: Any) -> None:
        data_collect(collector, train_data)
        if collector.register.need(KIND_OF_EVENT):
            collector.kind_of_id = _kind_of_id(collector.config, train_data.dataset)

    def collect_batch(
        collector: Any, scores: torch.Tensor, interaction: Any, *positive: torch.Tensor
    ) -> None:
        eval_batch_collect(collector, scores, interaction, *positive)
        if collector.register.need(KIND_OF_EVENT):
            s = _settings(collector.config)
            kind = collector.kind_of_id[interaction[s.event_column].cpu()]
            collector.data_struct.update_tensor(KIND_OF_EVENT, kind)
            collector.data_struct.update_tensor(REWARD, interaction[s.reward_column])

    reset = collector_class.get_data_struct

    def get_data_struct(collector: Any) -> Any:
        collected = reset(collector)
        for name in (KIND_OF_EVENT, REWARD):  # RecBole resets only what it knows
            if name in collector.data_struct:
                del collector.data_struct[name]
        return collected

    collector_class.data_collect = collect_data
    collector_class.eval_batch_collect = collect_batch
    collector_class.get_data_struct = get_data_struct
    collector_class._keeps_events = True


def _settings(config: Any) -> DataSettings:
    """Read the settings that say which columns and events are what."""
    return settings.read(DataSettings, config)


def _kind_of_id(config: Any, dataset: Any) -> torch.Tensor:
    """Number the kind of each event, by the id that the data set gives its name."""
    s = _settings(config)
    for name in (s.event_column, s.reward_column):
        if name not in dataset.field2type:
            raise SettingError(
                f"purchase, click and reward metrics need the column '{name}': add it to load_col"
            )
    tokens = dataset.field2id_token[s.event_column]
    kinds = [
        1 if token in s.purchase_events else 2 if token in s.click_events else 0 for token in tokens
    ]
    return torch.tensor(kinds)
