"""RetailRocket: the three purchase settings and the two filter passes, worked by hand."""

from pathlib import Path

import pytest

from dataset_prep import retailrocket
from dataset_prep.sources import InputError
from tests.support.converters import ConverterSuite

HEADER = "timestamp,visitorid,event,itemid,transactionid"
# Visitor 5: four events on items 1 and 2, visitor 6: three on 1, 1 and 9, visitor 8: two on 1.
EVENTS = f"""{HEADER}
1433221332117,5,view,1,
1433221332999,6,view,1,
1433221332000,5,view,2,
1433221332118,5,addtocart,1,
1433221332119,5,transaction,1,7
1433221333001,6,view,9,
1433221333001,6,addtocart,1,
1433221334000,8,view,1,
1433221335000,8,transaction,1,8
"""


class TestRetailRocket(ConverterSuite):
    files = {"events.csv": EVENTS}
    rows = [
        ("5", "2", 1433221332.0, "click", 0.2),
        ("5", "1", 1433221332.117, "click", 0.2),
        ("5", "1", 1433221332.118, "purchase", 1.0),
        ("5", "1", 1433221332.119, "purchase", 1.0),
        ("6", "1", 1433221332.999, "click", 0.2),
        ("6", "9", 1433221333.001, "click", 0.2),  # a tie, in file order
        ("6", "1", 1433221333.001, "purchase", 1.0),
        ("8", "1", 1433221334.0, "click", 0.2),
        ("8", "1", 1433221335.0, "purchase", 1.0),
    ]
    bad = ("events.csv", "1433221335000,8,wishlist,1,", "the event is not view")

    def convert(self, paths, output, **options):
        options |= {"min_interactions": 1, "min_item_interactions": 1}
        return retailrocket.convert(paths[0], output, purchase_event="both", **options)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


def rows(folder: Path) -> list[tuple[str, ...]]:
    lines = (folder / f"{folder.name}.inter").read_text().splitlines()[1:]
    return [tuple(line.split("\t")) for line in lines]


def at_2015(lines: list[str]) -> list[str]:
    """Lines that begin by a digit, which becomes the last one of a time."""
    return [f"143322133211{line}" for line in lines]


def test_addtocart_is_the_default(events: Path, tmp_path: Path) -> None:
    summary = retailrocket.convert(events, tmp_path / "rr")
    # Without transactions visitor 8 has one event left; then items 2 and 9 have one each.
    # Visitor 6 keeps two events and stays: one pass each.
    assert [(s, i, float(t), e, float(r)) for s, i, t, e, r in rows(tmp_path / "rr")] == [
        ("5", "1", 1433221332.117, "click", 0.2),
        ("5", "1", 1433221332.118, "purchase", 1.0),
        ("6", "1", 1433221332.999, "click", 0.2),
        ("6", "1", 1433221333.001, "purchase", 1.0),
    ]
    assert vars(summary.raw) == {"sequences": 3, "items": 3, "clicks": 5, "purchases": 2}
    assert vars(summary.kept) == {"sequences": 2, "items": 1, "clicks": 2, "purchases": 2}
    assert summary.raw_events == {"addtocart": 2, "transaction": 2, "view": 5}
    assert summary.dropped == {
        "events_not_used": 2,
        "events_of_short_sessions": 1,
        "events_of_rare_items": 2,
    }


def test_transaction(events: Path, tmp_path: Path) -> None:
    summary = retailrocket.convert(
        events,
        tmp_path / "rr",
        purchase_event="transaction",
        min_interactions=2,
        min_item_interactions=1,
    )
    assert [row[:2] + row[3:4] for row in rows(tmp_path / "rr")] == [
        ("5", "2", "click"),
        ("5", "1", "click"),
        ("5", "1", "purchase"),
        ("6", "1", "click"),
        ("6", "9", "click"),
        ("8", "1", "click"),
        ("8", "1", "purchase"),
    ]
    assert (vars(summary.kept)["purchases"], summary.dropped["events_not_used"]) == (2, 2)


def test_both_and_ties_in_file_order(events: Path, tmp_path: Path) -> None:
    summary = retailrocket.convert(
        events,
        tmp_path / "rr",
        purchase_event="both",
        min_interactions=1,
        min_item_interactions=1,
    )
    assert summary.raw == summary.kept
    assert (vars(summary.kept)["clicks"], vars(summary.kept)["purchases"]) == (5, 4)
    visitor = [row[1:] for row in rows(tmp_path / "rr") if row[0] == "6"]
    assert [(item, event) for item, _, event, _ in visitor] == [
        ("1", "click"),
        ("9", "click"),  # at the same millisecond as the next, and before it in the file
        ("1", "purchase"),
    ]


def test_visitor_pass_comes_before_item_pass(tmp_path: Path) -> None:
    """Item 1 has three events, but only two of them by visitors that stay."""
    path = tmp_path / "events.csv"
    lines = ["1,1,view,1,", "2,1,view,1,", "3,1,view,2,", "4,2,view,1,"]
    lines += ["5,1,view,2,", "6,1,view,2,"]
    path.write_text("\n".join([HEADER, *at_2015(lines)]))
    summary = retailrocket.convert(path, tmp_path / "rr")
    assert {row[1] for row in rows(tmp_path / "rr")} == {"2"}
    assert summary.dropped["events_of_short_sessions"] == 1
    assert summary.dropped["events_of_rare_items"] == 2


def test_three_are_enough_and_two_are_not(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    visitors = {"1": "aa", "2": "aaa", "3": "bbccc"}  # visitor: an item per event
    lines = [
        f"{1433221332117 + time},{visitor},view,{ord(item)},"
        for visitor, items in visitors.items()
        for time, item in enumerate(items)
    ]
    path.write_text("\n".join([HEADER, *lines]))
    retailrocket.convert(path, tmp_path / "rr")
    found = "".join(visitor + chr(int(item)) for visitor, item, *_ in rows(tmp_path / "rr"))
    assert found == "2a2a2a3c3c3c"


def test_sessions_of_one_event_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    lines = ["1,1,view,7,", "2,1,view,8,", "3,1,view,9,", "4,2,view,7,", "5,2,view,7,"]
    path.write_text("\n".join([HEADER, *at_2015([*lines, "6,2,view,7,"])]))
    summary = retailrocket.convert(path, tmp_path / "rr")
    assert (summary.single_event_sequences, summary.longest_sequence) == (1, 3)


def test_a_long_visitor_is_not_cut(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    times = range(1433221332117, 1433221332117 + 4961)
    path.write_text(HEADER + "\n" + "".join(f"{t},1,view,{t % 9},\n" for t in times))
    summary = retailrocket.convert(path, tmp_path / "rr")
    assert summary.longest_sequence == 4961
    assert len(rows(tmp_path / "rr")) == 4961


def test_columns_are_found_by_name_and_may_be_quoted(events: Path, tmp_path: Path) -> None:
    expected = retailrocket.convert(events, tmp_path / "a").kept
    swapped = [line.split(",") for line in EVENTS.splitlines()]
    quoted = "\n".join(f'"{e}",{i},{t},{v}' for t, v, e, i, _ in swapped)
    events.write_text("\ufeff" + quoted)
    assert retailrocket.convert(events, tmp_path / "b").kept == expected
    assert rows(tmp_path / "a") == rows(tmp_path / "b")


def test_unknown_event_and_wrong_header(events: Path, tmp_path: Path) -> None:
    events.write_text(EVENTS + "1433221335000,8,wishlist,1,\n")
    with pytest.raises(InputError, match=r"events.csv, line 11: the event is not view.*wishlist"):
        retailrocket.convert(events, tmp_path / "rr")
    skipped = retailrocket.convert(events, tmp_path / "rr", on_error="skip")
    assert skipped.bad_rows == {"the event is not view, addtocart or transaction": 1}
    events.write_text(EVENTS.replace("visitorid", "visitor"))
    with pytest.raises(InputError, match="no column 'visitorid'"):
        retailrocket.convert(events, tmp_path / "other")


@pytest.mark.parametrize("time", ["2015-06-02", "1433221332.5", "", "1433221332"])
def test_timestamps_are_whole_milliseconds(events: Path, tmp_path: Path, time: str) -> None:
    events.write_text(f"{EVENTS}{time},8,view,1,\n")
    with pytest.raises(InputError, match="line 11: the timestamp is not Unix milliseconds from 19"):
        retailrocket.convert(events, tmp_path / "rr")


def test_purchase_event_is_checked(events: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pass one of addtocart, transaction, both"):
        retailrocket.convert(events, tmp_path / "rr", purchase_event="view")  # type: ignore[arg-type]
