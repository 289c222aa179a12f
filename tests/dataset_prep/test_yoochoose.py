"""YooChoose: values worked by hand on a log of five sessions."""

import json
import random
from pathlib import Path

import pytest

from dataset_prep import yoochoose
from dataset_prep.sources import InputError
from tests.support.converters import ConverterSuite

# Session 7 appears first; session 2's buy is at the time of its third click; 3 has two clicks;
# 9 has buys only; 4's clicks are out of order in the file.
CLICKS = """\
7,2014-04-07T10:51:09.277Z,214536502,0
7,2014-04-07T10:54:09.868Z,214536500,0
2,2014-04-07T13:56:37.614Z,214662742,S
2,2014-04-07T13:57:19.373Z,214662742,1
2,2014-04-07T13:58:37.446Z,214825110,2089010203
7,2014-04-07T10:54:46.998Z,214536506,0
3,2014-04-02T13:17:46.940Z,214716935,0
3,2014-04-02T13:26:02.515Z,214774687,0
4,2014-04-07T12:23:10.001Z,31,0
4,2014-04-07T12:09:10.000Z,30,0
4,2014-04-07T12:23:10.001Z,32,0
"""
BUYS = """\
2,2014-04-07T13:58:37.446Z,214662742,1046,1
3,2014-04-02T13:30:12.318Z,214716935,12462,1
9,2014-04-06T18:44:58.314Z,214716935,12462,2
2,2014-04-07T13:58:37.446Z,214825110,0,0
"""


class TestYooChoose(ConverterSuite):
    files = {"yoochoose-clicks.dat": CLICKS, "yoochoose-buys.dat": BUYS}
    rows = [
        ("7", "214536502", 1396867869.277, "click", 0.2),
        ("7", "214536500", 1396868049.868, "click", 0.2),
        ("7", "214536506", 1396868086.998, "click", 0.2),
        ("2", "214662742", 1396878997.614, "click", 0.2),
        ("2", "214662742", 1396879039.373, "click", 0.2),
        ("2", "214825110", 1396879117.446, "click", 0.2),  # the click before both buys
        ("2", "214662742", 1396879117.446, "purchase", 1.0),
        ("2", "214825110", 1396879117.446, "purchase", 1.0),
        ("3", "214716935", 1396444666.94, "click", 0.2),
        ("3", "214774687", 1396445162.515, "click", 0.2),
        ("3", "214716935", 1396445412.318, "purchase", 1.0),
        ("4", "30", 1396872550.0, "click", 0.2),
        ("4", "31", 1396873390.001, "click", 0.2),  # a tie, in file order
        ("4", "32", 1396873390.001, "click", 0.2),
        ("9", "214716935", 1396809898.314, "purchase", 1.0),
    ]
    bad = ("yoochoose-clicks.dat", "7,soon,214536502,0", "the time")

    def convert(self, paths, output, **options):
        clicks, buys = paths
        return yoochoose.convert(clicks, buys, output, min_clicks=0, **options)


@pytest.fixture
def raw(tmp_path: Path) -> tuple[Path, Path]:
    clicks, buys = tmp_path / "yoochoose-clicks.dat", tmp_path / "yoochoose-buys.dat"
    clicks.write_text(CLICKS)
    buys.write_text(BUYS)
    return clicks, buys


def read(folder: Path) -> list[list[str]]:
    lines = (folder / f"{folder.name}.inter").read_text().splitlines()
    return [line.split("\t") for line in lines]


def test_rows_worked_by_hand(raw: tuple[Path, Path], tmp_path: Path) -> None:
    yoochoose.convert(*raw, tmp_path / "yc")
    header, *rows = read(tmp_path / "yc")
    assert header == [
        "session_id:token",
        "item_id:token",
        "timestamp:float",
        "event:token",
        "reward:float",
    ]
    assert [(s, i, float(t), e, float(r)) for s, i, t, e, r in rows] == [
        ("7", "214536502", 1396867869.277, "click", 0.2),
        ("7", "214536500", 1396868049.868, "click", 0.2),
        ("7", "214536506", 1396868086.998, "click", 0.2),
        ("2", "214662742", 1396878997.614, "click", 0.2),
        ("2", "214662742", 1396879039.373, "click", 0.2),
        ("2", "214825110", 1396879117.446, "click", 0.2),  # the click before both buys
        ("2", "214662742", 1396879117.446, "purchase", 1.0),
        ("2", "214825110", 1396879117.446, "purchase", 1.0),
        ("4", "30", 1396872550.0, "click", 0.2),
        ("4", "31", 1396873390.001, "click", 0.2),  # a tie, in file order
        ("4", "32", 1396873390.001, "click", 0.2),
    ]


def test_counts_and_summary_file(raw: tuple[Path, Path], tmp_path: Path) -> None:
    summary = yoochoose.convert(*raw, tmp_path / "yc")
    # Items kept: 3 in session 7, 2 in session 2, 3 in session 4.
    assert vars(summary.raw) == {"sequences": 5, "items": 10, "clicks": 11, "purchases": 4}
    assert vars(summary.kept) == {"sequences": 3, "items": 8, "clicks": 9, "purchases": 2}
    assert summary.dropped == {"clicks_of_short_sessions": 2, "purchases_of_short_sessions": 2}
    assert (summary.single_event_sequences, summary.longest_sequence) == (0, 5)
    written = json.loads((tmp_path / "yc" / "summary.json").read_text())
    assert written["schema"] == 1
    assert written["kept"]["purchases"] == 2
    assert written["settings"]["min_clicks"] == 3
    assert written["inputs"][1] == {"name": "yoochoose-buys.dat", "bytes": len(BUYS)}
    assert str(tmp_path) not in (tmp_path / "yc" / "summary.json").read_text()


def test_recbole_can_read_the_header(raw: tuple[Path, Path], tmp_path: Path) -> None:
    """As RecBole does it: ``field:type`` per cell, types of its own, then pandas by these types."""
    pandas = pytest.importorskip("pandas")
    yoochoose.convert(*raw, tmp_path / "yc")
    path = tmp_path / "yc" / "yc.inter"
    with path.open() as file:
        cells = [cell.split(":") for cell in file.readline().rstrip("\n").split("\t")]
    types = {"token": str, "float": float}
    assert [name for name, _ in cells] == ["session_id", "item_id", "timestamp", "event", "reward"]
    dtype = {f"{name}:{kind}": types[kind] for name, kind in cells}
    frame = pandas.read_csv(path, delimiter="\t", dtype=dtype, engine="python")
    assert frame.shape == (11, 5)
    assert not frame.isna().any(axis=None)
    assert frame["reward:float"].sum() == pytest.approx(9 * 0.2 + 2)


def test_threshold_counts_clicks_not_events(raw: tuple[Path, Path], tmp_path: Path) -> None:
    two = yoochoose.convert(*raw, tmp_path / "two", min_clicks=2)
    assert (two.kept.sequences, vars(two.kept)["purchases"]) == (4, 3)
    everything = yoochoose.convert(*raw, tmp_path / "everything", min_clicks=0)
    assert everything.kept == everything.raw
    # Session 3 has two clicks and a buy: three events, but not three clicks.
    assert "3" not in {row[0] for row in read_kept(raw, tmp_path / "three")}


def read_kept(raw: tuple[Path, Path], folder: Path) -> list[list[str]]:
    yoochoose.convert(*raw, folder)
    return read(folder)[1:]


def test_agrees_with_plain_loops(tmp_path: Path) -> None:
    """A larger log with many ties against an independent few lines of Python."""
    draw = random.Random(3)
    lines: dict[str, list[tuple[str, str, str]]] = {"click": [], "purchase": []}
    for _ in range(3000):
        event = draw.choices(["click", "purchase"], [9, 1])[0]
        session, item, second = draw.randrange(900), draw.randrange(50), draw.randrange(60)
        lines[event].append((str(session), f"2014-05-01T00:00:{second:02d}.500Z", str(item)))
    clicks, buys = tmp_path / "c.dat", tmp_path / "b.dat"
    clicks.write_text("".join(",".join(line) + ",0\n" for line in lines["click"]))
    buys.write_text("".join(",".join(line) + ",1,1\n" for line in lines["purchase"]))

    sessions: dict[str, list[tuple[str, str, str]]] = {}
    for event in ("click", "purchase"):
        for visitor, time, thing in lines[event]:
            sessions.setdefault(visitor, []).append((time, thing, event))
    expected = [
        (session, item, 1398902400.5 + int(time[17:19]), event)
        for session, rows in sessions.items()
        if sum(event == "click" for _, _, event in rows) >= 3
        for time, item, event in sorted(rows, key=lambda row: row[0])
    ]
    found = read_kept((clicks, buys), tmp_path / "yc")
    assert [(s, i, float(t), e) for s, i, t, e, _ in found] == expected


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("7,2014-04-07T10:51:09.277Z,214536502", "not 4 fields"),
        ("7,2014-04-07T10:51:09.277Z,214536502,0,1", "not 4 fields"),
        ("seven,2014-04-07T10:51:09.277Z,214536502,0", "the session is not a whole number"),
        (",2014-04-07T10:51:09.277Z,214536502,0", "the session is not a whole number"),
        ("7,yesterday,214536502,0", "the time is not like"),
        ("7,2014-13-07T10:51:09.277Z,214536502,0", "the time is not like"),
        ("7,2014-04-07T10:51:09.277Z,,0", "the item is not a whole number"),
        ('"7,8",2014-04-07T10:51:09.277Z,1,0', "the session is not a whole number"),
        ('7,2014-04-07T10:51:09.277Z,"1,0', "a quote that neither opens nor closes its field"),
    ],
)
def test_bad_row_stops_or_is_counted(
    raw: tuple[Path, Path], tmp_path: Path, bad: str, reason: str
) -> None:
    clicks, buys = raw
    lines = CLICKS.splitlines()
    clicks.write_text("\n".join([*lines[:4], bad, *lines[4:], "7,also bad"]))
    with pytest.raises(InputError) as caught:
        yoochoose.convert(clicks, buys, tmp_path / "yc")
    message = str(caught.value)
    assert "\n" not in message
    assert f"{clicks}, line 5: {reason}" in message
    assert bad in message
    assert "--on_error=skip" in message
    assert sorted(path.name for path in tmp_path.iterdir()) == [buys.name, clicks.name]

    summary = yoochoose.convert(clicks, buys, tmp_path / "yc", on_error="skip")
    assert sum(summary.bad_rows.values()) == 2
    assert any(reason in name for name in summary.bad_rows)
    assert vars(summary.kept)["clicks"] == 9


def test_line_numbers_count_blank_lines_and_buys_on_their_own(
    raw: tuple[Path, Path], tmp_path: Path
) -> None:
    clicks, buys = raw
    buys.write_text(BUYS.replace("\n", "\r\n") + "\r\n\r\n1,2,3,4,5\r\n")
    with pytest.raises(InputError, match=r"yoochoose-buys.dat, line 7: .*'1,2,3,4,5'"):
        yoochoose.convert(clicks, buys, tmp_path / "yc")


def test_nothing_left(raw: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no event is left for yc: 0 bad rows .* and 15 rows"):
        yoochoose.convert(*raw, tmp_path / "yc", min_clicks=100)
    assert not (tmp_path / "yc").exists()
