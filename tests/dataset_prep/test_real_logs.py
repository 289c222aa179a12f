"""The converters on samples of the real logs, where these lie in ``../shared/data``."""

import csv
import gzip
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from dataset_prep import movielens, retailrocket, yoochoose

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PURCHASES = {
    "addtocart": ["addtocart"],
    "transaction": ["transaction"],
    "both": ["addtocart", "transaction"],
}
Row = tuple[str, str, float, str]


def sample(*parts: str) -> Path:
    path = DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs ../shared/data/{'/'.join(parts)}, which is not part of the project")
    return path


def converted(folder: Path) -> list[Row]:
    with (folder / f"{folder.name}.inter").open() as file:
        cells = [line.split("\t") for line in file][1:]
    return [(session, item, float(time), event) for session, item, time, event, _ in cells]


def test_yoochoose_sample(tmp_path: Path) -> None:
    folder = sample("yoochoose-1pct")
    clicks, buys = folder / "yoochoose-clicks.dat.gz", folder / "yoochoose-buys.dat.gz"
    summary = yoochoose.convert(clicks, buys, tmp_path / "yc")
    assert vars(summary.raw) == {
        "sequences": 92_497,
        "items": 19_947,
        "clicks": 329_537,
        "purchases": 11_825,
    }
    assert vars(summary.kept) == {
        "sequences": 44_312,
        "items": 17_834,
        "clicks": 245_825,
        "purchases": 10_074,
    }
    rows = converted(tmp_path / "yc")
    assert Counter(event for *_, event in rows) == {"click": 245_825, "purchase": 10_074}
    assert len({session for session, *_ in rows}) == 44_312
    assert len({item for _, item, *_ in rows}) == 17_834


@cache
def raw_rows(log: Path) -> list[dict[str, str]]:
    with gzip.open(log, "rt") as file:
        return list(csv.DictReader(file))


def plain_loops(log: Path, purchases: list[str], minimum: int) -> list[Row]:
    """The published protocol, one visitor pass and one item pass, in a few lines of Python."""
    rows = [row for row in raw_rows(log) if row["event"] in ["view", *purchases]]
    for column in ("visitorid", "itemid"):
        occurs = Counter(row[column] for row in rows)
        rows = [row for row in rows if occurs[row[column]] >= minimum]
    place = {row["visitorid"]: -number for number, row in enumerate(reversed(rows))}
    rows.sort(key=lambda row: (place[row["visitorid"]], int(row["timestamp"])))  # stable
    return [
        (
            row["visitorid"],
            row["itemid"],
            int(row["timestamp"]) / 1000,
            "click" if row["event"] == "view" else "purchase",
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    ("setting", "sequences", "events", "longest", "whole"),
    [
        ("addtocart", 1795, 62_034, 3130, 4430),
        ("transaction", 1814, 59_172, 3033, 4339),
        ("both", 2080, 74_139, 3794, 4961),
    ],
)
def test_retailrocket_sample_and_its_longest_visitor(
    tmp_path: Path,
    setting: retailrocket.PurchaseEvent,
    sequences: int,
    events: int,
    longest: int,
    whole: int,
) -> None:
    """``whole`` events of visitor 326 are used; the item pass then leaves ``longest``."""
    log = sample("retailrocket-buyers", "events.csv.gz")
    summary = retailrocket.convert(log, tmp_path / "rr", purchase_event=setting)
    assert converted(tmp_path / "rr") == plain_loops(log, PURCHASES[setting], 3)
    assert (summary.kept.sequences, summary.longest_sequence) == (sequences, longest)
    assert vars(summary.kept)["clicks"] + vars(summary.kept)["purchases"] == events
    unfiltered = retailrocket.convert(
        log,
        tmp_path / "all",
        purchase_event=setting,
        min_interactions=1,
        min_item_interactions=1,
    )
    assert unfiltered.longest_sequence == whole
    assert converted(tmp_path / "all") == plain_loops(log, PURCHASES[setting], 1)


def test_rows_exactly_as_in_the_original_file(tmp_path: Path) -> None:
    log = sample("retailrocket-buyers", "events_raw_excerpt.csv")
    summary = retailrocket.convert(
        log, tmp_path / "rr", purchase_event="both", min_interactions=1, min_item_interactions=1
    )
    assert sum(summary.raw_events.values()) == len(log.read_text().splitlines()) - 1
    assert ("79", "450209", 1437927001.434, "click") in converted(tmp_path / "rr")


def test_movielens_latest_small(tmp_path: Path) -> None:
    """Section 4.1 in a few lines of Python, against the whole file."""
    log = sample("ml-latest-small", "ratings.csv.gz")
    summary = movielens.convert(log, tmp_path / "ml")
    assert vars(summary.raw) == {
        "sequences": 671,
        "items": 9_066,
        "ratings": 100_004,
        "liked": 51_568,
    }
    by_user: dict[str, list[dict[str, str]]] = {}
    for row in raw_rows(log):
        by_user.setdefault(row["userId"], []).append(row)
    expected = [
        (user, row["movieId"], float(row["timestamp"]), float(row["rating"]))
        for user, ratings in by_user.items()
        if len(ratings) >= 5
        for row in sorted(ratings, key=lambda row: int(row["timestamp"]))[-200:]
    ]
    with (tmp_path / "ml" / "ml.inter").open() as file:
        cells = [line.rstrip("\n").split("\t") for line in file][1:]
    found = [(user, item, float(time), float(rating)) for user, item, time, rating, *_ in cells]
    assert sorted(found) == sorted(expected)
    assert per_user(found) == per_user(expected)
    worth = {rating: 0.0 if rating < 3 else 0.5 if rating < 4 else 1.0 for *_, rating in expected}
    assert [float(reward) for *_, reward in cells] == [worth[rating] for *_, rating in found]
    assert {(event, float(reward)) for *_, event, reward in cells} == {
        ("rated", 0.0),
        ("rated", 0.5),
        ("liked", 1.0),
    }


def per_user(rows: list[tuple[str, str, float, float]]) -> dict[str, list[str]]:
    items: dict[str, list[str]] = {}
    for user, item, *_ in rows:
        items.setdefault(user, []).append(item)
    return items
