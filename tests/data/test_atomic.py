"""Reading by pieces gives what reading at once gives."""

import gzip

import numpy as np
import pandas as pd
import pytest

from recbole_lpi.data import atomic
from recbole_lpi.data.atomic import read_atomic
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


def test_what_is_no_table_of_text_is_refused_with_the_reason(tmp_path):
    file = tmp_path / "log.inter"
    file.write_bytes(gzip.compress(HEADER.encode()))
    with pytest.raises(SettingError, match="not text in UTF-8; if it is compressed, unpack it"):
        read_atomic(str(file), "\t")
    file.write_text(HEADER.replace("\t", ",") + "\n")
    with pytest.raises(SettingError, match=r"separated by '\\t', as field_separator says"):
        read_atomic(str(file), "\t")


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
