"""Which rows the counts of users and items leave, against RecBole's loop."""

from collections import Counter

import numpy as np
import pytest

from recbole_lpi.plugin.filters import rows_within


def by_loop(pairs, allowed):
    """RecBole's ``_filter_by_inter_num``: count, drop all that is forbidden, until nothing is."""
    left = list(range(len(pairs)))
    while True:
        counts = [Counter(pairs[row][side] for row in left) for side in (0, 1)]
        stays = [
            row
            for row in left
            if all(allowed[side](counts[side][pairs[row][side]]) for side in (0, 1))
        ]
        if stays == left:
            return left
        left = stays


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("least", [(1, 1), (2, 3), (4, 4), (30, 30)])
def test_rows_within_counts(seed, least):
    rng = np.random.default_rng(seed)
    user, item = rng.integers(0, 40, 150), rng.integers(0, 30, 150)
    most = 9  # an interval may end, too
    allowed = [lambda n, k=k: (n >= k) & (n <= most) for k in least]
    kept = rows_within([(user, allowed[0]), (item, allowed[1])])
    expected = by_loop(list(zip(user.tolist(), item.tolist(), strict=True)), allowed)
    assert np.flatnonzero(kept).tolist() == expected
