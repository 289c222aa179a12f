"""Wrap the network of a policy as a RecBole model, which translates RecBole's calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor, nn

from recbole_lpi.data.batches import Batch, History
from recbole_lpi.data.session_data import item_counts
from recbole_lpi.nn.catalogue import Factors
from recbole_lpi.plugin.event_rows import GAPS, KINDS
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.policy.settings import PolicySettings


class PolicyRecommender(SequentialRecommender):  # type: ignore[misc]
    """A RecBole model of the policy whose row of OBJECTIVES has the class's name.

    Args:
        config: RecBole's.
        dataset: gives the number of items, the largest reward and, for candidates, how often each
            item was logged.
        encoder, heads: as ``PolicyNetwork`` takes them.
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
        settings = PolicySettings.of(config)
        sampled = settings.softmax.softmax == "sampled"
        self.network = PolicyNetwork(
            type(self).__name__,
            settings,
            self.n_items - 1,
            float(dataset.max_reward),
            item_counts(dataset) if sampled else None,
            encoder,
            heads,
            dataset.sessions.event_names,
        )

    def forward(self, history: History | Tensor) -> Tensor:
        """Encode a history [B, L], padded on the right, to states after each event [B, L, D].

        A tensor, as RecBole's models take it, is of items alone.
        """
        return self.network.forward(History(history) if isinstance(history, Tensor) else history)

    def calculate_loss(self, interaction: Any) -> tuple[Tensor, ...]:
        """Return the parts of the loss; ``interaction`` holds the fields of a ``Batch``."""
        known = (name for name in Batch._fields if name != "propensity" or name in interaction)
        batch = Batch(**{name: interaction[name] for name in known})
        return tuple(self.network.losses(batch).parts.values())

    def predict(self, interaction: Any) -> Tensor:
        """Return the score of one item per row, [B]."""
        return self._factors(interaction).gather(interaction[self.ITEM_ID] - 1)

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Return the scores of all ids [B, A + 1]; padding, id 0, gets −∞."""
        scores = self._factors(interaction).outputs()
        return nn.functional.pad(scores, (1, 0), value=float("-inf"))

    def _factors(self, interaction: Any) -> Factors:
        """Return what gives the logits [B, A] after each row's items."""
        known = interaction.interaction if hasattr(interaction, "interaction") else interaction
        history = History(known[self.ITEM_SEQ], known.get(KINDS), known.get(GAPS))
        read = self.network.settings.network.inputs
        for name, column in (("event", KINDS), ("time_gap", GAPS)):
            if name in read and column not in known:
                raise ValueError(
                    f"{type(self).__name__} reads inputs {list(read)}, and the rows have no column "
                    f"'{column}' beside '{self.ITEM_SEQ}': docs/recommending.md says what is in it"
                )
        return self.network.last_factors(history, interaction[self.ITEM_SEQ_LEN])
