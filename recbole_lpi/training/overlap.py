"""How far a policy overlaps with another: by clusters of items, and on items that one hardly shows.

Estimates over clusters weigh an event by how much likelier π is to show an item *like* the logged
one (Saito & Joachims 2022), which varies less than how much likelier it shows that item.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_lpi.data.prefetch import prefetched
from recbole_lpi.data.session_data import SessionData
from recbole_lpi.data.windows import evaluation_batches
from recbole_lpi.nn.catalogue import Factors
from recbole_lpi.nn.tile_sizes import parts
from recbole_lpi.policy.network import PolicyNetwork

MATRIX_ELEMENTS = 2**24  # of one [events, items] matrix: 64 MB in float32


class OverlapColumns(NamedTuple):
    """Of the N targets of a part, in the order of its places, float64 [N].

    Attributes:
        log_pi_cluster, log_mu_cluster: log-probability of the cluster of the logged item.
        unsupported: how much of π lies on items to which μ gives less than the floor.
    """

    log_pi_cluster: np.ndarray
    log_mu_cluster: np.ndarray
    unsupported: np.ndarray


def clusters_of(network: PolicyNetwork, number: int, seed: int) -> np.ndarray:
    """Cluster items by the directions of the rows that score them, int64 [A], by k-means.

    Args:
        network: whose rows; that of the logging policy knows what is shown alike.
        number: C ≥ 1, at most as many as there are items.
        seed: of the first centres.
    """
    from sklearn.cluster import MiniBatchKMeans

    rows = network.policy_table.weight.detach().cpu().double()
    rows = torch.nn.functional.normalize(rows, dim=-1)
    means = MiniBatchKMeans(min(number, len(rows)), random_state=seed, n_init=3)
    return np.asarray(means.fit_predict(rows.numpy()), np.int64)


@torch.no_grad()
def overlap_columns(
    policy: PolicyNetwork,
    logging: PolicyNetwork,
    held: SessionData,
    clusters: np.ndarray,
    floor: float = 1e-4,
    batch_size: int = 1024,
) -> OverlapColumns:
    """Measure the targets of a part.

    Args:
        policy, logging: π and μ̂.
        held: the part.
        clusters: of the items, [A].
        floor: the probability below which μ̂ hardly shows an item.
        batch_size: windows of a pass of the encoders.
    """
    device = policy.item_embedding.weight.device
    cluster = torch.from_numpy(clusters).to(device)
    place, windows = held.places, held.windows
    columns = np.empty((3, len(place)))
    batches = evaluation_batches(windows, batch_size)
    for batch in prefetched(lambda index: held.batch(windows.take(index)), batches):
        rows = np.searchsorted(place, batch.place[batch.counts].numpy())
        history, at = batch.history.to(device), batch.counts.to(device)
        own = cluster[batch.action.to(device)[at] - 1]
        pi, mu = policy.factors(history, at), logging.factors(history, at)
        for part in parts(len(own), max(1, MATRIX_ELEMENTS // len(cluster))):
            found = _of_part(pi.at(part), mu.at(part), cluster, own[part], floor)
            columns[:, rows[part]] = torch.stack(found).cpu().numpy()
    return OverlapColumns(*columns)


def _of_part(
    pi: Factors, mu: Factors, cluster: Tensor, own: Tensor, floor: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The columns of a stretch of events, whose logits are written down."""
    p, m = (factors.outputs().double().softmax(-1) for factors in (pi, mu))
    same = cluster == own[:, None]
    of_pi, of_mu = ((chance * same).sum(-1).log() for chance in (p, m))
    return of_pi, of_mu, (p * (m < floor)).sum(-1)
