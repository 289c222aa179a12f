"""The exact logging policy of a simulated log, in the numbering of the data set that was read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.data.tokens import Tokens
from recbole_lpi.settings import SettingError
from recbole_lpi.simulation.histories import Histories
from recbole_lpi.simulation.saved_worlds import SavedWorld


def world_numbers(tokens: Tokens, saved: SavedWorld, who: str) -> Tensor:
    """Return the world's number of each item that ``tokens`` names, int64 [N + 1], 0 of padding.

    Args:
        tokens: names of items by number, that of padding first.
        saved: the world.
        who: what errors begin with, such as ``the data set has``.

    Raises:
        SettingError: an item is not the world's.
    """
    numbers = {token: number for number, token in enumerate(saved.tokens, 1)}
    found = np.zeros(len(tokens), np.int64)
    for own, token in enumerate(tokens.tolist()[1:], 1):
        if token not in numbers:
            raise SettingError(
                f"{who} the item '{token}', which the world in {saved.folder} does not have: give "
                "what was made from the log in that folder"
            )
        found[own] = numbers[token]
    return torch.from_numpy(found)


class KnownLoggingPolicy:
    """log μ(a | x) of the items of a data set, exactly: the truth beside an estimate μ̂.

    Items of the world that the data set does not have have no column; what μ gives them is missing
    from the sum of a row.

    Args:
        saved: the world whose log the data set is.
        tokens: names of the data set's items by number, that of padding first.
        event_names: the data set's kinds of event, by code.

    Raises:
        SettingError: an item or a kind of event is not the world's.
    """

    def __init__(self, saved: SavedWorld, tokens: Tokens, event_names: Sequence[str]) -> None:
        self.world = saved.world
        self.item = world_numbers(tokens, saved, "the data set has")
        known = list(self.world.event_names)
        unknown = [name for name in event_names if name not in known]
        if unknown:
            raise SettingError(
                f"the data set has the kind of event '{unknown[0]}', and the world in "
                f"{saved.folder} has {', '.join(known)}: give the log in that folder"
            )
        self.kind = torch.tensor([0, *(known.index(name) + 1 for name in event_names)])

    def __call__(self, histories: Histories) -> Tensor:
        """Return log μ, float32 [S, N], at histories in the data set's numbering."""
        theirs = histories._replace(
            items=self.item[histories.items], kinds=self.kind[histories.kinds]
        )
        return self.world.logging_policy(theirs)[:, self.item[1:] - 1]
