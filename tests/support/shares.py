"""A batch cut into shares, as several processes take them, one after the other in this one."""

import torch

from recbole_lpi.nn.candidates import LoggedItems
from recbole_lpi.policy.loss_parts import GlobalBatch
from tests.support.tiny import gradients


def share_of(whole, rows):
    """Rows of a batch; one that counts for nothing where there are none."""
    if not rows:
        one = share_of(whole, [0])
        return one._replace(sample_weight=0 * one.sample_weight)
    return whole.each(lambda tensor: tensor[rows])


def drawn(policy, *batch_and_whole):
    """Losses with the same Q head and candidates whenever asked, whatever else is drawn."""
    policy.draws = torch.Generator().manual_seed(1)
    return policy.losses(*batch_and_whole)


def losses_of_shares(policy, whole, cut):
    """The losses of each share, told the sums over all, and gradients summed over the shares."""
    sums, losses = [], []

    def heard(own):
        sums.append(own)
        return own

    def added(own):
        return torch.stack(sums).sum(0)

    session = whole.session[:, None].expand_as(whole.counts)[whole.counts]
    logged = LoggedItems(whole.action[whole.counts] - 1, session)
    for total in (heard, added):  # twice, since nobody waits for another here
        losses = [drawn(policy, share_of(whole, rows), GlobalBatch(logged, total)) for rows in cut]
    for found in losses:
        assert found.diagnostics == losses[0].diagnostics
    return losses, gradients(policy, sum(sum(found.parts.values()) for found in losses))
