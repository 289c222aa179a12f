"""Whatever a log holds, its .inter file has every token, order, reward and count, or says what not.

The expectation is written in plain Python from the rows that were made up; the result is read by
pandas as RecBole reads it.
"""

import csv
import io
import tempfile
import unicodedata
from collections import Counter
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dataset_prep import tokens
from dataset_prep.csv import Columns, Format, Rewards
from dataset_prep.sources import InputError
from tests.support.shop import convert, events

Row = tuple[str, str, int, str, float]
SPACES = " \t\r\v\f\x85\xa0\u2003\u2028\u3000"
ODD = ["", "NA", "nan", "None", "[PAD]", "2e+17", "12.0", "0010", "-1", "1e5", '"', '""', "~", "#"]
NAMES = st.one_of(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(ODD),
    st.text(st.sampled_from("ab\"',;~ \t\n\r\0\x1b0é鯨🐋\u2028"), max_size=6),
    st.text(st.characters(codec="utf-8"), max_size=4),
)
REWARDS = st.floats(-3e38, 3e38)
ROWS = st.lists(
    st.tuples(NAMES, NAMES, st.integers(0, 5), st.sampled_from(["view", "buy", " buy"]), REWARDS),
    min_size=1,
    max_size=12,
)
TIMES = [lambda t: str(t), lambda t: f"{t}000", lambda t: f"{t}.0", lambda t: f"{t}000000"]


def is_name(text: str) -> bool:
    """By Unicode's own tables; pandas' missing values are the one list that is shared."""
    name = text.strip(SPACES)
    control = any(unicodedata.category(letter) == "Cc" for letter in name) or "\n" in text
    return not control and name not in [*tokens.MISSING, "[PAD]", "2e+17"]


def expected(rows: list[Row]) -> list[Row]:
    """Sound rows with their names stripped, sessions by their first row, each in order of time."""
    sound = [row for row in rows if is_name(row[0]) and is_name(row[1])]
    named = [(s.strip(SPACES), i.strip(SPACES), t, e.strip(), r) for s, i, t, e, r in sound]
    steps = Counter[bool]()
    last: dict[str, int] = {}
    for session, _, time, *_ in named:
        if time != last.get(session, time):
            steps[time < last[session]] += 1
        last[session] = time
    ties = len({(session, time) for session, _, time, *_ in named}) < len(named)
    if ties and steps[True] > 9 * steps[False]:  # newest first
        named.reverse()
    first: dict[str, int] = {}
    for place, (session, *_) in enumerate(named):
        first.setdefault(session, place)
    return sorted(named, key=lambda row: (first[row[0]], row[2]))


@settings(max_examples=100, derandomize=True, deadline=None, database=None)
@given(
    rows=ROWS,
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    clock=st.sampled_from(TIMES),
    header=st.booleans(),
)
def test_an_inter_file_holds_what_the_log_did_or_says_what_not(
    rows, separator, end, quoting, encoding, clock, header
) -> None:
    names = ["user", "product", "when", "what", "worth"]
    held = io.StringIO()
    writer = csv.writer(held, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerows([names] if header else [])
    writer.writerows((s, i, clock(1600000000 + t), e, repr(r)) for s, i, t, e, r in rows)
    wanted = expected(rows)
    form = Format(separator, () if header else names)
    with tempfile.TemporaryDirectory() as folder:
        given = held.getvalue().encode(encoding), Columns(*names), Rewards({}), form
        try:
            summary = convert(Path(folder), *given, on_error="skip", clicks=["view"])
        except InputError as error:
            if "is no text in UTF-8" in str(error):  # zero bytes in the first line are UTF-16's
                assert not header and "\0" in "".join(map(str, rows[0]))
                return
            if "holds a control character" in str(error):  # which stands for no separator there is
                assert any("\x01" in name for row in rows for name in row[:2])
                return
            assert "no event is left" in str(error) or "no event is named 'view'" in str(error)
            assert not wanted or "view" not in {event for *_, event, _ in wanted}
            return
        found = [(s, i, t - 1600000000, e, r) for s, i, t, e, r in events(Path(folder))]
    assert found == wanted
    assert sum(summary.bad_rows.values()) == len(rows) - len(wanted)
    assert summary.kept.sequences == len({session for session, *_ in wanted})
    assert summary.kept.items == len({item for _, item, *_ in wanted})
    seen = Counter((session, time) for session, _, time, *_ in wanted)
    assert summary.tied_events == sum(count for count in seen.values() if count > 1)
    assert summary.repeated_rows == len(wanted) - len({row[:4] for row in wanted})
