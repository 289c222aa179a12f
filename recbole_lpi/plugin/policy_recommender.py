"""A policy as a RecBole model: an encoder, a head over the items, and an objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_lpi import settings
from recbole_lpi.data.sequences import Batch
from recbole_lpi.nn.candidates import LoggedItems, Sampler
from recbole_lpi.nn.catalogue import Factors, Table
from recbole_lpi.nn.heads import Q_HEADS, PropensityHead, QHead, ValueHead
from recbole_lpi.nn.lazy import stretch
from recbole_lpi.objectives import OBJECTIVES, Objective, ObjectiveSettings
from recbole_lpi.objectives.weights import uniform
from recbole_lpi.policy.candidate_sampling import make_sampler
from recbole_lpi.policy.encoders import make_encoder
from recbole_lpi.policy.losses import Events, Heads, compute_losses
from recbole_lpi.policy.normalization import TINY, MeanWeightSize
from recbole_lpi.policy.settings import CandidateSettings, NetworkSettings, SoftmaxSettings


class Losses(NamedTuple):
    """Loss of a batch by part, to be summed, and numbers that tell how training goes.

    Attributes:
        parts: ``policy loss`` and, by auxiliary head, ``td loss`` and ``value loss`` (λ included)
            and ``propensity loss``; scalars.
        diagnostics: ``mean weight`` of the policy, Σsw / Σs with sample weights s; and
            ``effective fraction``, (Σs|w|)² / (N Σ(sw)²): the share of the events that both
            weights together leave to speak.
    """

    parts: dict[str, Tensor]
    diagnostics: dict[str, Tensor]


class Whole(NamedTuple):
    """The batch of which a process takes the losses of a share, as if it took those of all.

    Attributes:
        logged: its events that carry loss.
        total: what sums a tensor of each share over all of them.
    """

    logged: LoggedItems
    total: Callable[[Tensor], Tensor]


class PolicyRecommender(SequentialRecommender):  # type: ignore[misc]
    """π(a | x) = softmax of state(x) · row(a), trained by the row of OBJECTIVES of its name.

    The rows are the item embedding, which the encoder reads, or with ``tie_weights: False`` a
    matrix of their own. With ``softmax: sampled`` the softmax of a training step is estimated from
    candidates, and with ``learner: sparse_adam`` the gradients of tables of items are sparse.

    Args:
        config: RecBole's.
        dataset: gives the number of items and, for candidates, how often each was logged.
        encoder: [B, L, D] item embeddings to [B, L, D] states, causal; the settings' if None.
        heads: auxiliary heads by name, in the place of those the settings ask for: ``q`` a
            ModuleList of one or two like QHead, ``value`` like ValueHead, ``propensity`` like
            PropensityHead.
    """

    input_type = InputType.PAIRWISE  # what RecBole calls a model that brings its own loss

    def __init__(
        self,
        config: Any,
        dataset: Any,
        encoder: nn.Module | None = None,
        heads: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__(config, dataset)
        network = settings.read(NetworkSettings, config)
        self.objective: Objective = OBJECTIVES[type(self).__name__]
        self.settings = settings.read(ObjectiveSettings, config)
        self.objective.check(type(self).__name__, self.settings)
        self.max_reward = float(dataset.max_reward)
        self.opens_sessions = bool(config["evaluate_first_event"])
        softmax = settings.read(SoftmaxSettings, config)
        self.sparse = softmax.sparse
        self.candidates: Sampler | None = None
        if softmax.softmax == "sampled":
            sampling = softmax.candidate_sampling or CandidateSettings()
            self.candidates = make_sampler(sampling, dataset.item_counts)
        self.item_embedding = nn.Embedding(
            self.n_items + self.opens_sessions, network.hidden_size, padding_idx=0,
            sparse=self.sparse,
        )  # fmt: skip
        with torch.no_grad():
            self.item_embedding.weight[1:].normal_(std=network.initializer_range)
        self.output_embedding: nn.Parameter | None = None
        if not network.tie_weights:
            rows = torch.empty(self.n_items - 1, network.hidden_size)
            self.output_embedding = nn.Parameter(rows.normal_(std=network.initializer_range))
        self.encoder = encoder or make_encoder(network, self.max_seq_length)
        self.heads = nn.ModuleDict(
            {
                name: (heads or {}).get(name) or self._make_head(name, network)
                for name in self.objective.heads(self.settings)
            }
        )
        self.mean_weight_size = MeanWeightSize() if self.settings.weight_normalize else None
        self.epoch = 0
        # What Q heads and candidates are drawn from, where not from torch's own generator.
        self.draws: torch.Generator | None = None
        self._logging: list[PolicyRecommender] = []  # in a list: no part of this module's state

    def _make_head(self, name: str, network: NetworkSettings) -> nn.Module:
        size, std, items = network.hidden_size, network.initializer_range, self.n_items - 1
        if name == "value":
            return ValueHead(size)
        if name == "propensity":
            return PropensityHead(items, size, std, self.sparse)
        # Of two Q heads, one evaluates the item that the other selects.
        number = self.objective.q_heads(self.settings)
        kind = Q_HEADS[self.settings.q_head]
        return nn.ModuleList(kind(items, size, std, self.sparse) for _ in range(number))

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
        return self.objective.needs_logging_policy(self.settings)

    @property
    def policy_table(self) -> Table:
        """Rows of the A items: of the embedding, without padding and start token, or their own."""
        if self.output_embedding is not None:
            return Table(self.output_embedding, sparse=self.sparse)
        return Table(stretch(self.item_embedding.weight, 1, self.n_items), sparse=self.sparse)

    @property
    def sparse_parameters(self) -> list[nn.Parameter]:
        """The tables of items whose gradients are sparse."""
        own = [self.output_embedding] if self.sparse and self.output_embedding is not None else []
        parts = [part for part in self.modules() if part is not self]
        sparse = (part for part in parts if getattr(part, "sparse", False))
        return own + [table for part in sparse for table in part.parameters(recurse=False)]

    def begin_epoch(self, epoch: int) -> None:
        """Tell that what ``losses`` is asked for from here on is of this epoch, counted from 0."""
        self.epoch = epoch
        if self.mean_weight_size is not None:
            self.mean_weight_size.begin_epoch()

    def forward(self, item_seq: Tensor) -> Tensor:
        """States after each position: item_seq [B, L], padded on the right, to [B, L, D]."""
        return torch.as_tensor(self.encoder(self.item_embedding(item_seq)))

    def losses(self, batch: Batch, whole: Whole | None = None) -> Losses:
        """Loss of a batch of sessions, by part (Eq. 10).

        Of a share of the batch ``whole`` it is what the share adds to the loss of the whole: the
        sum over the shares, and so that of their gradients, is that of one process. Diagnostics
        are of the whole.
        """
        counts = batch.counts
        if not counts.any():
            raise ValueError("no event of this batch counts")
        state, reward = self.forward(batch.item_seq)[counts], batch.reward[counts]
        sample_weight = batch.sample_weight[counts]
        events = Events(
            state,
            batch.action[counts] - 1,
            reward,
            batch.discount[counts],
            batch.return_[counts],
            torch.full_like(reward, self.max_reward),
            sample_weight,
        )
        heads = self._heads()
        candidates = None
        if self.candidates is not None:  # of the whole batch, and the same for every share
            session = batch.session[:, None].expand_as(counts)[counts]
            logged = LoggedItems(events.action, session)
            if whole is not None:
                logged = LoggedItems(*(column.to(state.device) for column in whole.logged))
            candidates = self.candidates.draw(logged, session, self.draws)
        step = compute_losses(
            events, self.policy_table, self._objective_now(), self.settings, heads,
            self._logging_of(batch), candidates,
        )  # fmt: skip
        weight = step.policy.weight
        sums = torch.stack([sample_weight.sum(), weight.sum(), weight.abs().sum(),
                            weight.square().sum()])  # fmt: skip
        count, share = len(reward), 1.0
        if whole is not None:
            count, sums = len(whole.logged.action), whole.total(sums)
            share = len(reward) / count  # of the means below
        drawn, signed, size, square = sums
        policy_loss = step.policy.loss * share
        if self.mean_weight_size is not None and not self.warming_up:
            policy_loss = policy_loss / self.mean_weight_size(size, drawn)
        parts = {"policy loss": policy_loss}
        for name, error in step.td_errors.items():
            parts[name] = self.settings.td_weight * error.mean() * share
        if step.propensity is not None:
            parts["propensity loss"] = step.propensity * share
        fraction = (size / count).square() / (square / count).clamp_min(TINY)
        return Losses(parts, {"mean weight": signed / drawn, "effective fraction": fraction})

    @property
    def warming_up(self) -> bool:
        """Whether the weights of this epoch are still uniform."""
        return self.epoch < self.settings.warmup_epochs

    def _objective_now(self) -> Objective:
        """The objective, or until the warm-up is over the same with uniform weights."""
        return replace(self.objective, weight=uniform) if self.warming_up else self.objective

    def _heads(self) -> Heads:
        """The heads of a step: of two Q heads, which one chooses is drawn anew."""
        heads = dict(self.heads.items())
        q = None
        if "q" in heads:
            pair = cast(nn.ModuleList, heads["q"])
            first = int(torch.randint(len(pair), (), generator=self.draws))
            q = cast(QHead, pair[first]), cast(QHead, pair[first - 1])
        value, propensity = heads.get("value"), heads.get("propensity")
        return Heads(q, cast("ValueHead | None", value), cast("PropensityHead | None", propensity))

    def _logging_of(self, batch: Batch) -> Factors | None:
        """States and table of the logging policy, where the objective reads it."""
        if not self.needs_logging_policy or self.logging_policy is None:
            return None
        mu = self.logging_policy
        return mu.forward(batch.item_seq)[batch.counts], mu.policy_table

    # ------------------------------------------------------------------ as RecBole calls it

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """The parts of the loss; ``interaction`` holds the fields of a ``Batch`` of sessions."""
        batch = Batch(*(interaction[name] for name in Batch._fields))
        return tuple(self.losses(batch).parts.values())

    def predict(self, interaction: Any) -> Tensor:
        """Score of one item per row, [B]."""
        return self.policy_table.gather(
            self._last_state(interaction), interaction[self.ITEM_ID] - 1
        )

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Factors of all ids [B, n_items]; padding, id 0, gets −∞."""
        scores = self.policy_table.outputs(self._last_state(interaction))
        return nn.functional.pad(scores, (1, 0), value=float("-inf"))

    def _last_state(self, interaction: Any) -> Tensor:
        item_seq, length = most_recent(
            interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN], self.max_seq_length
        )
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


def most_recent(item_seq: Tensor, length: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """The last ``limit`` items of each list of ``item_seq`` [B, L], padded on the right."""
    if item_seq.shape[1] <= limit:
        return item_seq, length
    first = (length - limit).clamp_min(0)
    place = first[:, None] + torch.arange(limit, device=item_seq.device)
    return item_seq.gather(1, place), length.clamp_max(limit)
