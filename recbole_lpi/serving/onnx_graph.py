"""A policy's network as an ONNX graph: from histories to the k best items and log π of all.

The graph is traced by torch's older exporter (``dynamo=False``), which every torch from 2.6 to 2.14
has: batch and length stay free in all our encoders, a GRU becomes ONNX's own, and it takes a
second. The newer one takes fifteen.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_lpi.data.batches import History
from recbole_lpi.nn.repeats import Seen
from recbole_lpi.policy.inputs import FIELDS
from recbole_lpi.policy.network import PolicyNetwork
from recbole_lpi.serving.onnx_policy import OUTPUTS
from recbole_lpi.settings import SettingError

OPSET = 17  # the first with what is needed, layer norm included
LARGEST = 2**31  # bytes of a file of ONNX


class Graph(nn.Module):
    """What the file computes of B histories, each padded on the right to L ≤ max_length events.

    It gives what ``ScoringNetwork.last_factors`` does, without a shape that depends on values.

    Args:
        network: the policy, in evaluation mode.
        k: how many items are the best.
    """

    def __init__(self, network: PolicyNetwork, k: int) -> None:
        super().__init__()
        self.network, self.k = network, k
        self.fields = ["items", *(FIELDS[name] for name in network.settings.network.inputs[1:])]

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids and log π of the k best items, [B, k], and log π of all, [B, A].

        Args: int64 [B, L] each, items and what else ``fields`` names (``History``).
        """
        history = History(**dict(zip(self.fields, given, strict=True)))
        length = (history.items > 0).sum(1)
        if self.network.settings.evaluate_first_event:
            history, length = self._opened(history, length)
        row = torch.arange(length.shape[0], device=length.device)
        state = self.network(history)[row, length - 1]
        seen = None if self.network.repeats is None else self._seen(history, length)
        log_pi = self.network.factors_of(state, seen).outputs().float().log_softmax(-1)
        best = log_pi.topk(self.k)
        return best.indices + 1, best.values, log_pi

    def _opened(self, history: History, length: Tensor) -> tuple[History, Tensor]:
        """Put the start token before every history that is shorter than the longest."""
        limit = self.network.settings.max_length
        short = length < limit

        def moved(field: Tensor | None, first: int) -> Tensor | None:
            if field is None:
                return None
            later = F.pad(field, (1, 0), value=first)
            return torch.where(short[:, None], later, F.pad(field, (0, 1)))[:, :limit]

        items, kinds, gaps = history
        opened = moved(items, self.network.n_items + 1)
        assert opened is not None
        return History(opened, moved(kinds, 0), moved(gaps, 0)), length + short.long()

    def _seen(self, history: History, length: Tensor) -> Seen:
        """Return what whole histories hold, as ``nn.repeats.items_seen`` does of any place."""
        items, kinds, _ = history
        place = torch.arange(items.shape[1], device=items.device)
        same = items[:, :, None] == items[:, None, :]
        again = (same & (place > place[:, None])).any(2)
        real = (items > 0) & (items <= self.network.n_items) & ~again
        assert self.network.repeats is not None
        ever = [
            (same & (kinds == kind)[:, None, :]).any(2)
            for kind in range(1, self.network.repeats.n_kinds + 1)
            if kinds is not None
        ]
        return Seen(
            torch.where(real, items - 1, -1),
            (length[:, None] - 1 - place).clamp_min(0),
            same.sum(2),
            torch.stack(ever) if ever else torch.zeros(0, *items.shape),
        )


def write_graph(network: PolicyNetwork, k: int, path: Path) -> None:
    """Write the graph of a policy to a file.

    Raises:
        SettingError: its encoder is one that the exporter cannot trace, or it is too large.
    """
    size = sum(weights.nbytes for weights in network.state_dict().values())
    if size >= LARGEST:
        raise SettingError(
            f"the policy has {size / 2**30:.1f} GiB of weights, and a file of ONNX holds 2 GiB: "
            "serve it by load_policy"
        )
    graph = Graph(network, k).eval()
    example = tuple(torch.ones(2, min(3, network.settings.max_length)).long() for _ in graph.fields)
    free = {0: "sessions", 1: "events"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # what is traced is checked on sessions of other shapes
        try:
            torch.onnx.export(
                graph,
                example,
                str(path),
                input_names=graph.fields,
                output_names=list(OUTPUTS),
                dynamic_axes={
                    **{name: free for name in graph.fields},
                    **{name: {0: "sessions"} for name in OUTPUTS},
                },
                opset_version=OPSET,
                dynamo=False,
            )
        except ModuleNotFoundError as error:
            raise SettingError(
                f"to export needs {error.name}: pip install 'recbole-lpi[onnx]'"
            ) from None
        except Exception as error:  # whatever torch makes of an encoder of the user's own
            said = next((line for line in str(error).splitlines() if line.strip()), "no reason")
            raise SettingError(
                f"encoder {network.settings.network.encoder} cannot be exported to ONNX: "
                f"{type(error).__name__}: {said.strip()}; serve it by load_policy"
            ) from None
