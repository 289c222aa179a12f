"""Filter the rows of a log by how many rows their users and items have."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Rule = tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]


def rows_within(rules: Sequence[Rule]) -> np.ndarray:
    """Find the rows [E] that are left once no row has a user or an item of a forbidden count.

    Each rule is the code of every row, 0 …, and what tells of counts of rows which are allowed. All
    rules are applied to the same counts, then to those of what is left, as RecBole does: the k-core
    of a log is where the rules ask at least k rows of every user and of every item.
    """
    left = np.arange(len(rules[0][0]))
    codes = [code for code, _ in rules]
    while True:
        stays = np.ones(len(left), bool)
        for code, (_, allowed) in zip(codes, rules, strict=True):
            stays &= allowed(np.bincount(code))[code]
        if stays.all():
            break
        left, codes = left[stays], [code[stays] for code in codes]
    kept = np.zeros(len(rules[0][0]), bool)
    kept[left] = True
    return kept
