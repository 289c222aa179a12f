"""Batches that are made before they are asked for."""

import threading
from typing import Any

import pytest

from recbole_lpi.data.prefetch import prefetched


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
def test_everything_comes_once_and_in_order(count):
    assert list(prefetched(lambda i: i * i, range(count))) == [i * i for i in range(count)]


def test_as_many_are_made_as_are_to_be_ahead_and_no_more():
    made, reached = [], threading.Event()

    def make(i):
        made.append(i)
        if len(made) == 3:
            reached.set()
        return i

    batches = prefetched(make, range(10), number=2)
    assert next(batches) == 0
    assert reached.wait(10), "1 and 2 are made while 0 is used"
    assert made == [0, 1, 2]
    assert list(batches) == list(range(1, 10))


def test_one_thread_makes_them_and_not_that_which_takes_them():
    threads = set(prefetched(lambda _: threading.get_ident(), range(5)))
    assert len(threads) == 1 and threads != {threading.get_ident()}


def test_an_error_comes_in_the_place_of_its_batch_and_ends_the_rest():
    made = []

    def make(i):
        made.append(i)
        if i == 1:
            raise OSError("gone")
        return i

    batches = prefetched(make, range(10), number=1)
    assert next(batches) == 0
    with pytest.raises(OSError, match="gone"):
        next(batches)
    assert list(batches) == [] and len(made) <= 3


def test_what_is_no_longer_wanted_is_not_made():
    made, begun, go_on = [], threading.Event(), threading.Event()

    def make(i):
        if i == 1:
            begun.set()
            go_on.wait(10)
        made.append(i)

    batches: Any = prefetched(make, range(10), number=3)
    next(batches)
    assert begun.wait(10)
    threading.Timer(0.2, go_on.set).start()
    batches.close()  # while 1 is made, and 2 and 3 wait
    assert made == [0, 1]
