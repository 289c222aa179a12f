"""Plain loops to which passes over the catalogue are compared, and small tables to pass over."""

from __future__ import annotations

import math

import torch

from recbole_lpi.nn.catalogue import Additions, Factors, Table


def random_tables(n=5, d=3, a=7):
    g = torch.Generator().manual_seed(1)
    r = lambda *s: torch.randn(*s, generator=g, dtype=torch.float64)  # noqa: E731
    action = torch.randint(a, (n,), generator=g)
    q = Factors(r(n, d + 1), Table(r(a, d + 1), r(a)))  # of a width of its own
    return r(n, d), action, Table(r(a, d)), q, Factors(r(n, d), Table(r(a, d)))


def some_seen(n, a, seed=2):
    """Additions to up to four items of each event, by chance; to none of some events."""
    g = torch.Generator().manual_seed(seed)
    item = torch.stack([torch.randperm(a, generator=g)[:4] for _ in range(n)])
    item[torch.rand(n, 4, generator=g) < 0.3] = -1
    item[::3, 1:] = -1
    return Additions(item, 2 * torch.randn(n, 4, generator=g, dtype=torch.float64))


def loop_softmax(logits):
    top = max(logits)
    z = sum(math.exp(x - top) for x in logits)
    return [math.exp(x - top) / z for x in logits]


def loop_kl(p, q):
    return sum(x * math.log(x / y) for x, y in zip(p, q, strict=True))
