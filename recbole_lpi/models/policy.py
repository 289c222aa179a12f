"""A policy as a RecBole model: an encoder, a head tied to the item embedding, and an objective."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_lpi import settings
from recbole_lpi.data.sequences import Batch
from recbole_lpi.models.estimation import Events, Learnt, with_q_head, with_value_head, without_head
from recbole_lpi.models.settings import NetworkSettings
from recbole_lpi.nn.catalogue import Table
from recbole_lpi.nn.encoder import SASRec
from recbole_lpi.nn.heads import QHead, ValueHead
from recbole_lpi.objectives import OBJECTIVES, Objective, ObjectiveSettings, sampled


class Losses(NamedTuple):
    """Loss of a batch by part, to be summed, and numbers that tell how training goes.

    Attributes:
        parts: ``policy loss`` and, with an auxiliary head, ``td loss`` (λ included); scalars.
        diagnostics: ``mean weight`` of the policy, Σsw / Σs with sample weights s; and
            ``effective fraction``, (Σsw)² / (N Σ(sw)²): the share of the events that both weights
            together leave to speak.
    """

    parts: dict[str, Tensor]
    diagnostics: dict[str, Tensor]


class PolicyRecommender(SequentialRecommender):  # type: ignore[misc]
    """π(a | x) = softmax of state(x) · embedding(a), trained by the row of OBJECTIVES of its name.

    Args:
        config: RecBole's.
        dataset: gives the number of items.
        encoder: [B, L, D] item embeddings to [B, L, D] states, causal; SASRec if None.
        heads: the auxiliary heads the objective learns: one or two like QHead, or one like
            ValueHead. None makes those the settings ask for.
    """

    input_type = InputType.PAIRWISE  # what RecBole calls a model that brings its own loss

    def __init__(
        self,
        config: Any,
        dataset: Any,
        encoder: nn.Module | None = None,
        heads: Sequence[QHead] | Sequence[ValueHead] | None = None,
    ) -> None:
        super().__init__(config, dataset)
        network = settings.read(NetworkSettings, config)
        self.objective: Objective = OBJECTIVES[type(self).__name__]
        self.settings = settings.read(ObjectiveSettings, config)
        self.opens_sessions = bool(config["evaluate_first_event"])
        self.item_embedding = nn.Embedding(
            self.n_items + self.opens_sessions, network.hidden_size, padding_idx=0
        )
        with torch.no_grad():
            self.item_embedding.weight[1:].normal_(std=network.initializer_range)
        self.encoder = encoder or SASRec(
            hidden_size=network.hidden_size,
            n_layers=network.n_layers,
            n_heads=network.n_heads,
            inner_size=network.inner_size,
            hidden_dropout_prob=network.hidden_dropout_prob,
            attn_dropout_prob=network.attn_dropout_prob,
            hidden_act=network.hidden_act,
            layer_norm_eps=network.layer_norm_eps,
            max_length=self.max_seq_length,
            initializer_range=network.initializer_range,
        )
        self.head = self.objective.head(self.settings)
        size, std = network.hidden_size, network.initializer_range
        if self.head == "q":
            count = 2 if network.double_q else 1
            self.q_heads = nn.ModuleList(
                heads or (QHead(self.n_items - 1, size, std) for _ in range(count))
            )
        elif self.head == "value":
            (self.value_head,) = cast(Sequence[ValueHead], heads or (ValueHead(size),))
        self._logging: list[PolicyRecommender] = []  # in a list: no part of this module's state

    @property
    def logging_policy(self) -> PolicyRecommender | None:
        """The frozen logging policy that training and evaluation compare with, or None."""
        return self._logging[0] if self._logging else None

    def compare_with(self, logging_policy: PolicyRecommender | None) -> None:
        """Take ``logging_policy``, frozen, as the one to compare with."""
        self._logging = [] if logging_policy is None else [
            logging_policy.requires_grad_(False).eval()
        ]  # fmt: skip

    @property
    def needs_logging_policy(self) -> bool:
        """Whether the objective cannot be computed without one."""
        return self.head == "q" and self.settings.advantage_baseline == "logging"

    @property
    def policy_table(self) -> Table:
        """Rows of the A items: the embedding without padding and start token."""
        return Table(self.item_embedding.weight[1 : self.n_items])

    def forward(self, item_seq: Tensor) -> Tensor:
        """States after each position: item_seq [B, L], padded on the right, to [B, L, D]."""
        return torch.as_tensor(self.encoder(self.item_embedding(item_seq)))

    def losses(self, batch: Batch) -> Losses:
        """Loss of a batch of sessions, by part (Eq. 10)."""
        counts = batch.counts
        if not counts.any():
            raise ValueError("no event of this batch counts")
        sample_weight = batch.sample_weight[counts]
        events = Events(
            self.forward(batch.item_seq)[counts],
            batch.action[counts] - 1,
            batch.reward[counts],
            batch.discount[counts],
            batch.return_[counts],
            sample_weight,
        )
        policy, td_error = self._learn(events, batch)
        mean = policy.weight.sum() / sample_weight.sum()
        scale = 1 / mean if self.settings.weight_normalize else 1.0
        parts = {"policy loss": policy.loss * scale}
        if td_error is not None:
            parts["td loss"] = self.settings.td_weight * (sample_weight * td_error).mean()
        fraction = policy.weight.mean().square() / policy.weight.square().mean()
        return Losses(parts, {"mean weight": mean, "effective fraction": fraction})

    def _learn(self, events: Events, batch: Batch) -> Learnt:
        common = events, self.policy_table, sampled(self.objective), self.settings
        if self.head == "q":
            first = int(torch.randint(len(self.q_heads), ()))
            chooser = cast(QHead, self.q_heads[first])
            valuer = cast(QHead, self.q_heads[first - 1])
            logging = None
            if self.needs_logging_policy and self.logging_policy is not None:
                mu = self.logging_policy
                logging = mu.forward(batch.item_seq)[batch.counts], mu.policy_table
            return with_q_head(*common, (chooser, valuer), logging)
        if self.head == "value":
            return with_value_head(*common, self.value_head)
        return without_head(*common)

    # ------------------------------------------------------------------ as RecBole calls it

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """The parts of the loss; ``interaction`` holds the fields of a ``Batch`` of sessions."""
        batch = Batch(*(interaction[name] for name in Batch._fields))
        return tuple(self.losses(batch).parts.values())

    def predict(self, interaction: Any) -> Tensor:
        """Score of one item per row, [B]."""
        item = interaction[self.ITEM_ID]
        return (self._last_state(interaction) * self.item_embedding.weight[item]).sum(-1)

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores of all ids [B, n_items]; padding, id 0, gets −∞."""
        scores = self.policy_table.outputs(self._last_state(interaction))
        return nn.functional.pad(scores, (1, 0), value=float("-inf"))

    def _last_state(self, interaction: Any) -> Tensor:
        item_seq, length = interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN]
        if self.opens_sessions:
            item_seq, length = self._opened(item_seq, length)
        state = self.forward(item_seq)
        return torch.as_tensor(self.gather_indexes(state, length - 1))

    def _opened(self, item_seq: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """Start token before every list that is not full, and so begins with its session."""
        short = length < item_seq.shape[1]
        start = torch.full_like(item_seq[:, :1], self.n_items)
        moved = torch.cat([start, item_seq[:, :-1]], 1)
        return torch.where(short[:, None], moved, item_seq), length + short.long()
