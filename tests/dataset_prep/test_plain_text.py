"""Text that is not UTF-8 with an event a line: read as it is meant, or named."""

import gzip
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dataset_prep import movielens, netflix, plain_text, retailrocket, yoochoose
from dataset_prep.atomic import Summary
from dataset_prep.csv import Columns, Format, Rewards
from dataset_prep.ratings import Preparation
from dataset_prep.sources import InputError
from tests.support.shop import COLUMNS, HEADER, REWARDS, convert, events

TEXT = HEADER + "ann,Ä鯨,1600000000,view\nann,B,1600000005,buy\n"


def items(folder: Path) -> list[str]:
    return [item for _, item, *_ in events(folder)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, end: str) -> None:
    text = TEXT.replace("\n", end)
    convert(tmp_path, text.encode(encoding))
    assert items(tmp_path) == ["Ä鯨", "B"]
    convert(tmp_path, gzip.compress(text.encode(encoding)))
    assert items(tmp_path) == ["Ä鯨", "B"]
    with pytest.raises(InputError, match=r"log\.csv, line 4: the time is neither"):
        convert(tmp_path, (text + f"ann,C,soon,view{end}").encode(encoding))


def test_encodings_that_carry_no_mark(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"log\.csv is no text in UTF-8: if it is UTF-16"):
        convert(tmp_path, TEXT.encode("utf-16-le"))
    with pytest.raises(InputError, match=r"log\.csv, line 2 is not UTF-8: re-encode it"):
        convert(tmp_path, TEXT.replace("鯨", "").encode("latin-1"))
    with pytest.raises(InputError, match=r"log\.csv, line 1 is not UTF-8: re-encode it"):
        convert(tmp_path, TEXT.replace("鯨", "").replace("what", "wät").encode("latin-1"))


@pytest.mark.parametrize(("magic", "kind", "cure"), plain_text.KINDS)
def test_other_kinds_of_file_are_named(tmp_path: Path, magic: bytes, kind: str, cure: str) -> None:
    with pytest.raises(InputError, match=rf"log\.csv is {kind}: {cure}"):
        convert(tmp_path, magic + b" and so on\n" * 99)


NOTED = Columns("user", "product", "when", "what")
NOTES = """\
note,user,product,when,what
"two
""lines"" and ,

a comma",u1,A,1600000000,view
ok,u1,B,1600000005,buy
"one line",u1,C,1600000006,buy
"and
two",u1,"D",1600000007,buy
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_within_quotes(tmp_path: Path, end: str) -> None:
    convert(tmp_path, NOTES.replace("\n", end), NOTED)
    assert items(tmp_path) == ["A", "B", "C", "D"]
    with pytest.raises(InputError, match="line 10: the time is neither"):
        convert(tmp_path, (NOTES + "x,u1,E,soon,buy\n").replace("\n", end), NOTED)


def test_a_line_end_within_a_name_is_refused(tmp_path: Path) -> None:
    text = HEADER + 'ann,"A\nB",1600000000,view\nann,C,1600000001,view\n'
    with pytest.raises(InputError, match=r"line 2: a tab, line end or other control character"):
        convert(tmp_path, text)
    summary = convert(tmp_path, text, on_error="skip")
    assert (items(tmp_path), list(summary.bad_rows.values())) == (["C"], [1])


def test_a_quote_that_does_not_close_joins_nothing(tmp_path: Path) -> None:
    """Each such line is a bad row by itself; the good ones between and after them stay."""
    bad = 'ann,"A,1600000000,view\n', 'ann,7" nail,1600000000,view\n'
    text = HEADER + bad[0] + "ann,B,1600000001,view\n" + bad[1] + "ann,C,1600000002,buy\n" + bad[0]
    with pytest.raises(InputError, match="line 2: a quote that neither opens nor closes"):
        convert(tmp_path, text)
    summary = convert(tmp_path, text, on_error="skip")
    assert (items(tmp_path), list(summary.bad_rows.values())) == (["B", "C"], [3])
    convert(tmp_path, text, COLUMNS, REWARDS, Format(quotes=False))
    assert items(tmp_path) == ['"A', '7" nail', '"A', "B", "C"]


def test_fields_of_many_lines_are_no_fields(tmp_path: Path) -> None:
    lines = "x\n" * plain_text.MOST_LINES
    text = f'note,user,product,when\n"{lines}",u,A,1600000000\n,u,B,1600000001\n'
    columns = Columns("user", "product", "when")
    convert(tmp_path, text, columns, Rewards({}), on_error="skip")
    assert items(tmp_path) == ["B"]


def test_line_ends_within_the_first_row_or_the_names(tmp_path: Path) -> None:
    rows = '"A\nB",u,C,1600000000\n"D\nE",u,F,1600000001\n'
    given = Columns("user", "product", "when"), Rewards({})
    convert(tmp_path, rows, *given, Format(names=["note", "user", "product", "when"]))
    assert items(tmp_path) == ["C", "F"]
    convert(tmp_path, '"the\nnote",user,product,when\n' + rows, *given)
    assert items(tmp_path) == ["C", "F"]


def test_a_quote_within_the_first_name_joins_nothing(tmp_path: Path) -> None:
    text = '7" nail,user,product,when\nx,u,A,1600000000\n7" nail,u,B,1600000001\n'
    columns = Columns("user", "product", "when")
    convert(tmp_path, text, columns, Rewards({}), on_error="skip")
    assert items(tmp_path) == ["A"]


EVENT = "1433221332117,5,view,1"
YOOCHOOSE = "2,2014-04-07T13:56:37.614Z,1"
PUBLISHED = {  # how a file begins, its record with a field of three lines, one that is sound
    "retailrocket": (
        "timestamp,visitorid,event,itemid,note\n", f'{EVENT},"a\n{EVENT},b\nc"', f"{EVENT},d"
    ),
    "yoochoose": ("", f'{YOOCHOOSE},"a\n{YOOCHOOSE},b\nc"', f"{YOOCHOOSE},d"),
    "movielens": (
        "userId,movieId,rating,timestamp,note\n",
        '5,1,4,1433221332,"a\n5,1,4,1433221332,b\nc"', "5,1,4,1433221332,d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLISHED)
def test_line_ends_within_quotes_in_published_logs(tmp_path: Path, name: str) -> None:
    """The line between looks like an event, and is none; a quote left open is named by its line."""
    first, spread, sound = PUBLISHED[name]
    log, buys = tmp_path / "log.csv", tmp_path / "buys.dat"
    buys.write_text(YOOCHOOSE + ',9,"1"\n')
    run: dict[str, Callable[..., Summary]] = {
        "retailrocket": partial(
            retailrocket.convert, log, min_interactions=0, min_item_interactions=0
        ),
        "yoochoose": partial(yoochoose.convert, log, buys, min_clicks=0),
        "movielens": partial(movielens.convert, log, preparation=Preparation(min_ratings=0)),
    }
    log.write_text(f"{first}{spread}\n{sound}\n")
    summary = run[name](output=tmp_path / "out")
    assert sum(summary.raw_events.values()) == 2 + (name == "yoochoose")
    assert not sum(summary.bad_rows.values())
    line = 4 + bool(first)
    log.write_text(f'{first}{spread}\n{sound[:-1]}"x\n{sound}\n')
    with pytest.raises(InputError, match=f"log.csv, line {line}: a quote that neither .*on_error"):
        run[name](output=tmp_path / "other")


def test_line_ends_within_quotes_in_netflix(tmp_path: Path) -> None:
    """No field is free text there: such a record is one bad row, and no other line's events are."""
    log = tmp_path / "combined_data_1.txt"
    log.write_text('1:\n7,"3\n8,5,2005-05-13\n",2005-09-06\n9,2,2005-12-31\n"10\n",4,2005-12-31\n')
    run = partial(netflix.convert, [log], preparation=Preparation(min_ratings=0))
    with pytest.raises(InputError, match=r"line 2: the rating is not .*'7,\"3\\n8,5,2005-05-13"):
        run(output=tmp_path / "out")
    summary = run(output=tmp_path / "out", on_error="skip")
    assert summary.raw_events == {"2": 1} and list(summary.bad_rows.values()) == [1, 1]
