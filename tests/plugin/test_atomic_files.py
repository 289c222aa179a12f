"""Reading by pieces gives what reading at once gives."""

import bz2
import csv
import gzip
import lzma

import numpy as np
import pandas as pd
import pytest

from recbole_lpi.plugin import atomic_files as atomic
from recbole_lpi.plugin.atomic_files import read_atomic
from recbole_lpi.settings import SettingError

LINES = [f"s{n // 3}\t{'' if n % 7 == 0 else f'i{n * 5 % 11}'}\t{n / 4}\tx" for n in range(40)]
HEADER = "session:token\titem:token\ttime:float\tkind:token"


@pytest.fixture(params=[8, 64, 2**26])
def piece(request, monkeypatch):
    monkeypatch.setattr(atomic, "PIECE", request.param)
    return request.param


def test_pieces_are_put_together(tmp_path, piece):
    file = tmp_path / "log.inter"
    file.write_text("\n".join([HEADER, *LINES]) + "\n")
    frame = read_atomic(str(file), "\t").frame
    expected = pd.read_csv(
        file, sep="\t", dtype={"session:token": str, "item:token": str, "kind:token": str}
    )
    for name, read in zip(frame, expected, strict=True):
        values = frame[name].astype(object) if frame[name].dtype == "category" else frame[name]
        assert values.isna().tolist() == expected[read].isna().tolist(), name
        assert values.dropna().tolist() == expected[read].dropna().tolist(), name
    names = frame["item"].cat.categories.tolist()
    assert names == list(dict.fromkeys(expected["item:token"].dropna()))


def test_errors_name_the_line_of_the_file(tmp_path, piece):
    file = tmp_path / "log.inter"
    for line, text, said in (
        (31, "s\ti\tsoon\tx", "line 31: time is 'soon', not a number"),
        (2, "s\ti\tsoon\tx", "line 2: time is 'soon', not a number"),
        (30, "s\ti\t1", "line 30: 3 fields where the header has 4"),
        (29, "s\ti\t1\tx\ty", "line 29: 5 fields where the header has 4"),
    ):
        lines = [HEADER, *LINES]
        lines[line - 1] = text
        file.write_text("\n".join(lines) + "\n")
        with pytest.raises(SettingError, match=said):
            read_atomic(str(file), "\t")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            gzip.compress(HEADER.encode(), mtime=0),
            r"is a gzip file, not text in UTF-8: unpack it \(gunzip\)",
        ),
        (bz2.compress(HEADER.encode()), "is a bzip2 file, .*bunzip2"),
        (lzma.compress(HEADER.encode()), "is an xz file, .*unxz"),
        (b"PK\x03\x04" + b"\0" * 30, "is a zip file"),
        (b"log.csv".ljust(257, b"\0") + b"ustar  \0" + HEADER.encode(), "is a tar file"),
        (b"log\n".ljust(257, b"\0") + b"ustar  \0" + HEADER.encode(), "is a tar file"),
        (b"PAR1" + b"\0" * 30, "is a Parquet file, .*csv.py"),
        (HEADER.encode("utf-16"), "is text in UTF-16, .*iconv -f UTF-16"),
        (HEADER.encode("utf-16-be"), "is text in UTF-16, .*iconv -f UTF-16"),
        (HEADER.encode("utf-16-le"), "is text in UTF-16, .*iconv -f UTF-16"),
        (HEADER.encode("utf-32"), "is text in UTF-32"),
        ("größe:token\n".encode("latin-1"), "line 1: not text in UTF-8; .*iconv -f LATIN1"),
        (HEADER.replace("\t", ",").encode(), r"separated by '\\t', as field_separator says"),
        ("\r".join([HEADER, *LINES, ""]).encode(), "line ends of an old Macintosh"),
        ((HEADER + "\tkind:float\n").encode(), "line 1: the column 'kind' stands there twice"),
        ((HEADER + "\t:float\n").encode(), "line 1: ':float' is not NAME:token"),
        ((HEADER + "\tx:\n").encode(), "line 1: 'x:' is not NAME:token"),
    ],
)
def test_what_is_no_table_of_text_is_named_with_the_cure(tmp_path, content, said):
    file = tmp_path / "log.inter"
    file.write_bytes(content)
    with pytest.raises(SettingError, match=f"log.inter.*{said}"):
        read_atomic(str(file), "\t")


@pytest.mark.parametrize("separator", ["", "\t\t", '"', "\n", "·", None])
def test_a_separator_that_separates_nothing_is_refused(tmp_path, separator):
    (tmp_path / "log.inter").write_text(HEADER + "\n")
    with pytest.raises(SettingError, match="field_separator must be one character"):
        read_atomic(str(tmp_path / "log.inter"), separator)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path, piece):
    file = tmp_path / "log.inter"
    file.write_text("\n".join([HEADER, *LINES]) + "\n")
    expected = read_atomic(str(file), "\t")
    file.write_text("\n".join([HEADER, *LINES]) + "\n", encoding="utf-8-sig")
    found = read_atomic(str(file), "\t")
    assert found.kinds == found.every == expected.kinds
    pd.testing.assert_frame_equal(found.frame, expected.frame)


NAMES = [
    '5" pipe',
    '"',
    '""',
    'a"b',
    '"quoted"',
    "plain",
    " spaced ",
    "ä",
    "12.0",
    "007",
    "nan",
    "NA",
]


def test_names_are_those_that_pandas_wrote(tmp_path, piece):
    """By default it puts those with a quote into quotes; by choice all, the header's too."""
    frame = pd.DataFrame({"item:token": NAMES * 3, "reward:float": np.arange(36.0)})
    file = tmp_path / "log.inter"
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        frame.to_csv(file, sep="\t", index=False, quoting=quoting)
        found = read_atomic(str(file), "\t").frame
        assert found["item"].tolist() == frame["item:token"].tolist()
        assert found["reward"].tolist() == frame["reward:float"].tolist()
        names = {"item:token": str}
        recboles = pd.read_csv(file, sep="\t", dtype=names, engine="python", keep_default_na=False)
        assert found["item"].tolist() == recboles["item:token"].tolist()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('s\t"half\t1\tx', "line 30: item is '\"half', which opens a quote and does not close it"),
        ('s\t"a"b\t1\tx', "line 30: item is '\"a\"b', which opens a quote"),
        ('s\t"a\tb"\t1\tx', "line 30: 5 fields where .*; a field in quotes may hold neither"),
        ("s\t[PAD]\t1\tx", r"line 30: item is '\[PAD\]', what stands for none"),
        ('"[PAD]"\ti\t1\tx', r"line 30: session is '\[PAD\]', what stands for none"),
        ("s\ti5\0\t1\tx", r"line 30: item is 'i5\\x00', with a zero byte in it"),
        ("s\ti5\r\t1\tx", "line 30: a CR within the line"),
        ("s\ti5\t1\tx\r\r", "line 30: a CR within the line"),
        ("s\ti5\t1\t\udcff", "line 30: not text in UTF-8"),
        ("", "line 30: 1 fields where the header has 4: ''"),
    ],
)
def test_a_name_that_would_be_another_is_refused(tmp_path, piece, line, said):
    file, lines = tmp_path / "log.inter", [HEADER, *LINES]
    lines[29] = line
    file.write_bytes(("\n".join(lines) + "\n").encode(errors="surrogateescape"))
    with pytest.raises(SettingError, match=said):
        read_atomic(str(file), "\t")


def test_names_that_differ_by_spaces_are_kept_apart_and_told(tmp_path, caplog):
    file = tmp_path / "log.inter"
    file.write_text("item:token\treward:float\ni1\t1\n i1\t1\ni1 \t1\n i2\t1\n")
    names = read_atomic(str(file), "\t").frame["item"].tolist()
    assert names == ["i1", " i1", "i1 ", " i2"]
    assert "2 of 4 names in item differ from another by spaces around them alone" in caplog.text


def test_a_blank_line_at_the_end_is_none_and_no_event_is_refused(tmp_path, piece):
    file = tmp_path / "log.inter"
    file.write_text("\n".join([HEADER, *LINES]) + "\n\n")
    assert len(read_atomic(str(file), "\t").frame) == len(LINES)
    for nothing in ("", "\n"):
        file.write_text(HEADER + nothing)
        with pytest.raises(SettingError, match="holds no event"):
            read_atomic(str(file), "\t")


def test_numbers_are_read_as_python_reads_them(tmp_path, piece):
    file, text = tmp_path / "log.inter", ["1e3", " 2.5", "1398589723.214", "inf", "", "-0.1"]
    file.write_text("a:float\tb:token\n" + "".join(f"{number}\tx\n" for number in text))
    found = read_atomic(str(file), "\t").frame["a"].to_numpy()
    expected = [float(number or "nan") for number in text]
    np.testing.assert_array_equal(found, expected)
