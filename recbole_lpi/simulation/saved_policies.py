"""A policy of a finished run in the world whose log it was trained on."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from recbole_lpi.data.tokens import Tokens
from recbole_lpi.policy.checkpoint import load_policy
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation.histories import Histories, Policy
from recbole_lpi.simulation.known_logging_policy import world_numbers
from recbole_lpi.simulation.networks import policy_of
from recbole_lpi.simulation.saved_worlds import SavedWorld


class TranslatedPolicy:
    """A network's policy, whose items and kinds of event are numbered as those of a world.

    Events on items that it does not know are not shown to it, and it does not show them. Where
    nothing is left to read and the network has no start token, the world's logging policy shows.

    Args:
        network: the policy.
        item: its number of each item of the world, int64 [A + 1], 0 for none and for padding.
        kind: its number, plus 1, of each kind of the world, int64 [K + 1]; 0 is padding.
        opening: what shows items where the network cannot.
    """

    def __init__(self, network: PolicyNetwork, item: Tensor, kind: Tensor, opening: Policy) -> None:
        self.item, self.kind, self.opening = item, kind, opening
        self.knows_all = bool((item[1:] > 0).all())
        self.opens = network.settings.evaluate_first_event
        self._logits = policy_of(network)
        self._column = torch.where(item[1:] > 0, item[1:] - 1, network.n_items)

    def __call__(self, histories: Histories) -> Tensor:
        """Return logits of the items of the world, float32 [S, A]; −∞ for what is not known."""
        own = histories._replace(items=self.item[histories.items], kinds=self.kind[histories.kinds])
        if not self.knows_all:
            own = own.keep(own.items > 0)
        reads = torch.ones(len(own.items), dtype=torch.bool) if self.opens else own.lengths > 0
        if reads.all():
            return self._translated(own)
        logits = torch.empty(len(own.items), len(self.item) - 1)
        logits[~reads] = self.opening(histories.take(~reads))
        if reads.any():
            logits[reads] = self._translated(own.take(reads))
        return logits

    def _translated(self, own: Histories) -> Tensor:
        logits = self._logits(own)
        if not self.knows_all:
            logits = torch.cat([logits, torch.full((len(logits), 1), -torch.inf)], 1)
        return logits[:, self._column]


def saved_policy(path: str | os.PathLike[str], saved: SavedWorld) -> TranslatedPolicy:
    """Load a policy from its run folder or checkpoint, for a world; RecBole is not needed.

    Raises:
        SettingError: there is no such policy, or it was trained on another data set.
    """
    loaded = load_policy(path)
    if loaded.items is None:
        raise SettingError(
            f"{path} is of an earlier version, whose file does not name its items: train it again"
        )
    item = _items(loaded.items, saved, path)
    kind = _kinds(loaded.network, saved, path)
    return TranslatedPolicy(loaded.network, item, kind, saved.world.logging_policy)


def _items(tokens: Tokens, saved: SavedWorld, path: object) -> Tensor:
    """Return the policy's number of each item of the world, [A + 1]."""
    item = torch.zeros(saved.world.n_items + 1, dtype=torch.int64)
    item[world_numbers(tokens, saved, f"{path} ranks")] = torch.arange(len(tokens))
    return item


def _kinds(network: PolicyNetwork, saved: SavedWorld, path: object) -> Tensor:
    """Return the policy's number, plus 1, of each kind of event of the world, [K + 1]."""
    names = saved.world.event_names
    if not network.reads_events:
        return torch.arange(len(names) + 1)
    own = network.event_names
    unknown = [name for name in names if name not in own]
    if unknown:
        raise SettingError(
            f"{path} reads the kinds of event {', '.join(own)}, and not {', '.join(unknown)}, "
            f"which the world in {saved.folder} has: give a policy trained on the log in that "
            "folder"
        )
    return torch.tensor([0, *(own.index(name) + 1 for name in names)])
