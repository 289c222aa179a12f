"""Raw logs like YooChoose's and RetailRocket's, of any size, for the converters to read.

    python benchmarks/synthetic_log.py generate yoochoose runs/data_scale/raw --clicks=330000
    python benchmarks/synthetic_log.py fit yoochoose yoochoose-clicks.dat.gz yoochoose-buys.dat.gz

Popularity, lengths, repeats, times between clicks, and purchases are like those of a real log, by
the dozen numbers of a ``Shape``; ``fit`` prints them from the real log. Which items meet in a
session is drawn at random, so nothing can be learnt here but popularity: such a log is for
measuring cost. It is written by blocks of sessions, and so takes little memory at any size.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Annotated, Literal

import numpy as np
import polars as pl
import typer
from scipy.optimize import brentq, least_squares

from dataset_prep import retailrocket, sources, yoochoose

Kind = Literal["yoochoose", "retailrocket"]
BLOCK = 200_000  # sessions that are in memory at once
DAY = 86_400.0


@dataclass(frozen=True)
class Shape:
    """What a log is like.

    Attributes:
        items: of the catalogue, A, as published: how many there are is not in a sample.
        exponent, offset: popularity of the item of rank i, ∝ (i + offset)^−exponent (Mandelbrot).
        one, two: shares of sessions with one click and with two.
        log_mean, log_sd: of ln(n − 2) of the n clicks of other sessions, log-normal.
        longest: clicks of the longest session.
        clicks_per_session: the mean.
        repeat: share of clicks, but for first ones, that are on the item of the click before.
        gap_log_mean, gap_log_sd: of ln of the seconds between clicks, log-normal.
        buying: q; a session of n clicks buys with probability 1 − (1 − q)ⁿ.
        bought: of a session that buys one click is always bought, each other with this probability.
        paid: share of what was put into a cart, where a log tells the two apart.
    """

    items: int
    exponent: float
    offset: float
    one: float
    two: float
    log_mean: float
    log_sd: float
    longest: int
    clicks_per_session: float
    repeat: float
    gap_log_mean: float
    gap_log_sd: float
    buying: float
    bought: float
    paid: float = 0.0

    @property
    def popularity(self) -> np.ndarray:
        """Of the items, most popular first, [A]."""
        return popularity(self.items, self.exponent, self.offset)


# What `fit` prints of a 1 % sample of YooChoose's sessions, and of 2,174 visitors of RetailRocket
# who bought, each event there once: more clicks a visitor than in the whole log, and no repeats.
SHAPES: dict[Kind, Shape] = {
    "yoochoose": Shape(
        items=52_739, exponent=2.394, offset=1288.0, one=0.1368, two=0.3841, log_mean=0.8575,
        log_sd=0.9042, longest=200, clicks_per_session=3.563, repeat=0.1683, gap_log_mean=4.011,
        gap_log_sd=1.489, buying=0.01661, bought=0.2334,
    ),
    "retailrocket": Shape(
        items=235_061, exponent=1.682, offset=2966.0, one=0.1426, two=0.108, log_mean=2.091,
        log_sd=1.862, longest=3_808, clicks_per_session=36.19, repeat=0.0, gap_log_mean=5.856,
        gap_log_sd=2.562, buying=0.746, bought=0.1422, paid=0.7668,
    ),
}  # fmt: skip
ITEMS: dict[Kind, int] = {"yoochoose": 52_739, "retailrocket": 235_061}  # as published
CLICKS: dict[Kind, int] = {
    "yoochoose": 33_003_944,
    "retailrocket": 2_664_312,
}  # of the whole logs, as published
BEGIN: dict[Kind, float] = {
    "yoochoose": 1_396_321_200.0,
    "retailrocket": 1_430_622_000.0,
}  # Unix seconds
DAYS: dict[Kind, int] = {"yoochoose": 183, "retailrocket": 138}
FILES: dict[Kind, tuple[str, ...]] = {"yoochoose": ("yoochoose-clicks.dat", "yoochoose-buys.dat"),
         "retailrocket": ("events.csv",)}  # fmt: skip


def popularity(items: int, exponent: float, offset: float) -> np.ndarray:
    """∝ (i + offset)^−exponent for i = 1 … ``items``, [A]."""
    weight = (np.arange(1, items + 1) + offset) ** -exponent
    return np.asarray(weight / weight.sum())


# ---------------------------------------------------------------------- generation


def generate(kind: Kind, folder: Path, clicks: int, seed: int = 0) -> None:
    """Write the raw files of ``kind`` with about as many clicks into ``folder``."""
    shape = SHAPES[kind]
    count = max(1, round(clicks / shape.clicks_per_session))
    folder.mkdir(parents=True, exist_ok=True)
    files = [(folder / name).open("wb") for name in FILES[kind]]
    try:
        if kind == "retailrocket":
            files[0].write(b"timestamp,visitorid,event,itemid,transactionid\n")
        for block in blocks(shape, count, BEGIN[kind], DAYS[kind] * DAY, seed):
            (_write_yoochoose if kind == "yoochoose" else _write_retailrocket)(block, files)
    finally:
        for file in files:
            file.close()


def blocks(
    shape: Shape, count: int, begin: float, duration: float, seed: int
) -> Iterator[pl.DataFrame]:
    """``count`` sessions by blocks, a row per click.

    Columns: ``session`` and ``item`` (ranks from 0), ``time`` in ms since 1970, ``cart`` and
    ``paid``, the time in ms at which it was bought, or null.
    """
    reach = np.cumsum(shape.popularity)
    for number, first in enumerate(range(0, count, BLOCK)):
        rng = np.random.default_rng([seed, number])
        size = min(BLOCK, count - first)
        n = lengths(shape, size, rng)
        head = np.cumsum(n) - n
        session = np.repeat(np.arange(size), n)
        opens = np.zeros(len(session), bool)
        opens[head] = True

        drawn = np.searchsorted(reach[:-1], rng.random(len(session)), side="right")
        anew = opens | (rng.random(len(session)) >= shape.repeat)
        item = drawn[np.maximum.accumulate(np.where(anew, np.arange(len(session)), 0))]

        def gaps(rng: np.random.Generator, number: int) -> np.ndarray:
            gap = np.exp(rng.normal(shape.gap_log_mean, shape.gap_log_sd, number))
            return np.minimum(gap, duration)

        passed = np.cumsum(np.where(opens, 0.0, gaps(rng, len(session))))
        start = begin + duration * rng.random(size)
        time = start[session] + passed - passed[head][session]

        buys = rng.random(size) < 1 - (1 - shape.buying) ** n
        bought = rng.random(len(session)) < shape.bought
        bought[head + (n * rng.random(size)).astype(np.int64)] = True  # one of each session
        cart = np.where(bought & buys[session], time + gaps(rng, len(session)), np.nan)
        paid = np.where(rng.random(len(session)) < shape.paid, cart + gaps(rng, len(cart)), np.nan)
        frame = pl.DataFrame({"session": session + first, "item": item, "time": time,
                              "cart": cart, "paid": paid}, nan_to_null=True)  # fmt: skip
        yield frame.with_columns((pl.col("time", "cart", "paid") * 1000).cast(pl.Int64))


def lengths(shape: Shape, count: int, rng: np.random.Generator) -> np.ndarray:
    """Clicks of each session, int64 [count]."""
    u = rng.random(count)
    rest = np.rint(np.exp(rng.normal(shape.log_mean, shape.log_sd, count))).astype(np.int64)
    long = np.minimum(2 + np.maximum(rest, 1), shape.longest)
    return np.where(u < shape.one, 1, np.where(u < shape.one + shape.two, 2, long))


def _write_yoochoose(block: pl.DataFrame, files: Sequence[IO[bytes]]) -> None:
    def rows(time: str, **more: pl.Expr) -> pl.DataFrame:
        at = pl.col(time).cast(pl.Datetime("ms")).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        columns = pl.col("session") * 5 // 4 + 1, at, pl.col("item") + 214_500_001
        return block.filter(pl.col(time).is_not_null()).select(*columns, **more)

    price = pl.col("item") % 5000 + 100
    rows("time", category=pl.lit("0")).write_csv(files[0], include_header=False)
    rows("cart", price=price, quantity=pl.lit(1)).write_csv(files[1], include_header=False)


def _write_retailrocket(block: pl.DataFrame, files: Sequence[IO[bytes]]) -> None:
    def rows(time: str, event: str) -> pl.DataFrame:
        return block.filter(pl.col(time).is_not_null()).select(
            pl.col(time).alias("time"), "session", event=pl.lit(event), item=pl.col("item")
        )

    views, carts, paid = (
        rows("time", "view"),
        rows("cart", "addtocart"),
        rows("paid", "transaction"),
    )
    number = pl.lit(None, pl.Int64)
    log = [views.with_columns(transaction=number), carts.with_columns(transaction=number),
           paid.with_columns(transaction=pl.col("session"))]  # fmt: skip
    pl.concat(log).sort("time").write_csv(files[0], include_header=False)


# ---------------------------------------------------------------------- fit


def fit(kind: Kind, clicks: pl.DataFrame, carts: pl.DataFrame, paid: int) -> Shape:
    """The shape of a log, from its clicks and carts (columns of ``dataset_prep.logs``)."""
    per_session = clicks.group_by("session").agg(n=pl.len())
    n = per_session["n"].to_numpy()
    rest = n[n > 2] - 2.0
    ordered = clicks.sort("session", "timestamp", "row")
    same = ordered.select(
        session=pl.col("session") == pl.col("session").shift(1),
        item=pl.col("item") == pl.col("item").shift(1),
        gap=pl.col("timestamp") - pl.col("timestamp").shift(1),
    ).filter("session")
    gap = np.log(same.filter(pl.col("gap") > 0)["gap"].to_numpy())
    buyers = per_session.join(carts.group_by("session").agg(carts=pl.len()), on="session")
    counts = clicks.group_by("item").agg(n=pl.len())["n"].to_numpy()
    exponent, offset = fit_popularity(counts, ITEMS[kind])
    return Shape(
        items=ITEMS[kind],
        exponent=exponent,
        offset=offset,
        one=float((n == 1).mean()),
        two=float((n == 2).mean()),
        log_mean=float(np.log(rest).mean()),
        log_sd=math.sqrt(2 * (math.log(rest.mean()) - np.log(rest).mean())),  # so the mean is kept
        longest=int(n.max()),
        clicks_per_session=float(n.mean()),
        repeat=float(same["item"].to_numpy().mean()),
        gap_log_mean=float(gap.mean()),
        gap_log_sd=float(gap.std()),
        buying=fit_hazard(n, len(buyers)),
        bought=float(
            (buyers["carts"].to_numpy() - 1.0).sum() / (buyers["n"].to_numpy() - 1.0).sum()
        ),
        paid=paid / len(carts),
    )


def fit_popularity(counts: np.ndarray, items: int) -> tuple[float, float]:
    """Exponent and offset by two moments of the clicks on each item seen, [A'].

    They are how many items are seen, and Σ n (n − 1) / (N (N − 1)), which estimates Σ p², the
    probability that two clicks are on one item (Simpson 1949), at any size of the sample.
    """
    total = counts.sum()
    alike = (counts * (counts - 1.0)).sum() / (total * (total - 1.0))

    def misses(logs: np.ndarray) -> np.ndarray:
        p = popularity(items, *np.exp(logs))
        seen = -np.expm1(total * np.log1p(-p)).sum()
        return np.log([(p**2).sum() / alike, seen / len(counts)])

    exponent, offset = np.exp(least_squares(misses, np.log([1.5, 100.0])).x)
    return float(exponent), float(offset)


def fit_hazard(n: np.ndarray, buyers: int) -> float:
    """q such that Σ 1 − (1 − q)ⁿ over sessions of n clicks is the number of buyers."""
    if buyers >= len(n):
        return 1.0
    return float(brentq(lambda q: (1 - (1 - q) ** n).sum() - buyers, 0, 1))


def read(kind: Kind, files: list[Path]) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Clicks and carts of raw files, as the converter reads them, and how many were paid."""
    with tempfile.TemporaryDirectory() as scratch:
        unpacked = [
            sources.unpack(file, name, Path(scratch))
            for file, name in zip(files, FILES[kind], strict=True)
        ]
        if kind == "yoochoose":
            log, _ = yoochoose.read_both(unpacked[0], unpacked[1], "stop", Path(scratch))
            name, click, cart, paid = "event", "click", "purchase", ""
        else:
            log, _ = retailrocket.read(unpacked[0], "stop", Path(scratch))
            name, click, cart, paid = "name", "view", "addtocart", "transaction"
    event = pl.col(name).cast(pl.String)
    return log.filter(event == click), log.filter(event == cart), len(log.filter(event == paid))


# ---------------------------------------------------------------------- command line

app = typer.Typer(add_completion=False, help=__doc__, rich_markup_mode=None)


@app.command("generate")
def generate_command(
    kind: Annotated[Kind, typer.Argument(help="Whose shape")],
    folder: Annotated[Path, typer.Argument(help="Folder for the raw files")],
    clicks: Annotated[int, typer.Option(help="About how many; 0: as the whole log has")] = 0,
    seed: int = 0,
) -> None:
    """Write raw files."""
    generate(kind, folder, clicks or CLICKS[kind], seed)


@app.command("fit")
def fit_command(
    kind: Annotated[Kind, typer.Argument(help="Whose format")],
    files: Annotated[list[Path], typer.Argument(help="events.csv, or clicks and buys")],
) -> None:
    """Print the shape of a real log: what SHAPES holds."""
    for name, value in asdict(fit(kind, *read(kind, files))).items():
        digits = value if isinstance(value, int) or not value else round(
            value, 4 - math.ceil(math.log10(abs(value)))
        )  # fmt: skip
        print(f"{name}={digits:_}," if isinstance(value, int) else f"{name}={digits},")


if __name__ == "__main__":
    app()
