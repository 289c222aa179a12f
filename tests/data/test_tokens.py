"""Tokens are read as numpy's array of them would be, and take what they are long."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from recbole_lpi.data.tokens import PADDING, TokenIds, Tokens

NAMES = [PADDING, "a", "", "i5", "i5\0", "ü" * 3, "a" * 70]
TOKENS = Tokens(NAMES)


@pytest.mark.parametrize(
    "index",
    [
        0, -1, np.int64(3), slice(1, None), slice(None, None, -2), [0, 2],
        np.array([[1, 4], [6, 0]]), np.array([1, 0, 1, 0, 0, 0, 1], bool), np.array([], int), [-1],
    ],
)  # fmt: skip
def test_an_index_means_what_it_means_to_numpy(index):
    expected = np.array(NAMES, dtype=object)[index]
    found = TOKENS[index]
    assert type(found) is type(expected)
    if isinstance(expected, str):
        assert found == expected
    else:
        assert found.shape == expected.shape and found.tolist() == expected.tolist()


@pytest.mark.parametrize("index", [7, -8, [0, 7]])
def test_beyond_the_end_is_an_index_error(index):
    with pytest.raises(IndexError):
        TOKENS[index]


def test_ids_and_arrays():
    assert len(TOKENS) == 7 and list(TOKENS) == TOKENS.tolist() == NAMES
    assert np.asarray(TOKENS).tolist() == NAMES
    ids = TokenIds(TOKENS)
    assert [ids[name] for name in NAMES] == list(range(7)) and len(ids) == 7


def test_one_long_token_is_as_long_as_it_is():
    names = [PADDING, "x" * 100_000, *(f"i{n}" for n in range(20_000))]
    tracemalloc.start()
    tokens = Tokens(names)
    assert tokens[[1, 2]].tolist() == names[1:3]
    assert tracemalloc.get_traced_memory()[1] + tokens.text.nbytes < 2**21
    tracemalloc.stop()


def test_tokens_of_some_ids_are_a_column_of_their_own():
    taken = Tokens([PADDING, "a", "b", "c"]).take(np.array([3, 1, 1], np.int32))
    assert taken.tolist() == ["c", "a", "a"]
