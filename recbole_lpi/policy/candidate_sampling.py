"""The sampler that ``candidate_sampling`` asks for, over the items of a data set."""

from __future__ import annotations

import numpy as np
import torch

from recbole_lpi.data.reward_sampling import inclusion_probabilities
from recbole_lpi.nn.candidates import InBatchSampler, Sampler, StratifiedSampler
from recbole_lpi.policy.settings import ALPHA, SAMPLE_NUM, CandidateSettings
from recbole_lpi.settings import SettingError


def make_sampler(settings: CandidateSettings, counts: np.ndarray) -> Sampler:
    """Make the sampler of items that are logged ``counts`` [A] times in the training data.

    Raises:
        SettingError: more candidates are asked for than there are items.
    """
    if settings.distribution == "in_batch":
        return InBatchSampler(torch.from_numpy(counts))
    number = SAMPLE_NUM if settings.sample_num is None else settings.sample_num
    if number > len(counts):
        raise SettingError(
            f"candidate_sampling: sample_num is {number}, and the catalogue has {len(counts)} "
            "items: lower it, or set softmax: full"
        )
    alpha = 0.0
    if settings.distribution == "popularity":
        alpha = ALPHA if settings.alpha is None else settings.alpha
    expected = inclusion_probabilities((counts + 1.0) ** alpha, number)
    expected[expected > 1 - 1e-9] = 1.0  # rounding apart
    return StratifiedSampler(torch.from_numpy(expected))
