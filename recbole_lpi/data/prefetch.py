"""Prefetch: the next batches are made while a step is taken."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

S = TypeVar("S")
T = TypeVar("T")
AHEAD = 2


def prefetched(make: Callable[[S], T], of: Iterable[S], number: int = AHEAD) -> Iterator[T]:
    """Yield ``make`` of each, in their order, up to ``number`` of them made before they are needed.

    One thread makes them: numpy's and torch's work on arrays leaves the interpreter to the other,
    and to hand a batch over costs nothing, where processes would spend longer on that than on
    making it. What ``make`` raises is raised where its result is asked for.
    """
    thread, waiting = ThreadPoolExecutor(1, "batches"), deque[Future[T]]()
    try:
        for one in of:
            waiting.append(thread.submit(make, one))
            if len(waiting) > number:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        thread.shutdown(cancel_futures=True)
