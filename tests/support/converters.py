"""What holds of every converter. A new one joins by a class of its own in a test module:

class TestMine(ConverterSuite):
    files = {"mine.txt": "ann;A;2020-09-13\\n"}
    rows = [("ann", "A", 1599955200.0, "click", 0.2)]
    bad = ("mine.txt", "ann;A;soon", "the time is none")

    def convert(self, paths, output, **options):
        return mine.convert(paths[0], output, **options)  # with whatever keeps every event
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dataset_prep.atomic import Summary
from dataset_prep.sources import InputError

Row = tuple[str | float, ...]
Pack = Callable[[bytes], bytes]


def rows_of(data: Path) -> list[Row]:
    """The rows of a data set's .inter file, numbers as such: its header says which they are."""
    header, *lines = (data / f"{data.name}.inter").read_text(encoding="utf-8").splitlines()
    kinds = [cell.rpartition(":")[2] for cell in header.split("\t")]
    return [
        tuple(
            float(cell) if kind == "float" else cell
            for kind, cell in zip(kinds, line.split("\t"), strict=True)
        )
        for line in lines
    ]


class ConverterSuite:
    """Checks of a converter by a small log of which it keeps every event."""

    files: ClassVar[dict[str, str]]  # the log as published, by file name
    rows: ClassVar[Sequence[Row]]  # what is written of it, in order, worked by hand
    bad: ClassVar[tuple[str, str, str]]  # a file, a line that it must not have, and the reason

    def convert(self, paths: list[Path], output: Path, **options: Any) -> Summary:
        """Convert the log in ``paths``, keeping every event."""
        raise NotImplementedError

    @pytest.fixture
    def given(self, tmp_path: Path) -> Path:
        """An empty folder for the log; beside it, ``data`` is written."""
        (tmp_path / "log").mkdir()
        return tmp_path / "log"

    def write(self, given: Path, pack: Pack = bytes, end: str = "") -> list[Path]:
        """The log's files, packed, with ``end`` after their names."""
        paths = []
        for name, text in self.files.items():
            paths.append(given / f"{name}{end}")
            paths[-1].write_bytes(pack(text.encode()))
        return paths

    def write_bad(self, given: Path) -> tuple[list[Path], str]:
        """The log with a bad last line in one file, and what an error must say."""
        name, line, reason = self.bad
        paths = self.write(given)
        with (given / name).open("a") as file:
            file.write(line + "\n")
        number = self.files[name].count("\n") + 1
        return paths, f"{given / name}, line {number}: {reason}"

    def refused(self, paths: list[Path], output: Path) -> str:
        """What is said of a log that cannot be converted: a line, and nothing is left behind."""
        before = sorted(output.parent.rglob("*"))
        with pytest.raises(InputError) as caught:
            self.convert(paths, output)
        assert "\n" not in str(caught.value)
        assert sorted(output.parent.rglob("*")) == before
        return str(caught.value)

    def test_rows_worked_by_hand(self, given: Path) -> None:
        self.convert(self.write(given), given.parent / "data")
        assert rows_of(given.parent / "data") == self.rows

    def test_counts_are_those_of_the_rows(self, given: Path) -> None:
        summary = self.convert(self.write(given), given.parent / "data")
        lengths = Counter(row[0] for row in self.rows)
        assert summary.raw == summary.kept and not any(summary.dropped.values())
        assert summary.kept.sequences == len(lengths)
        assert summary.kept.items == len({row[1] for row in self.rows})
        assert sum(summary.raw_events.values()) == len(self.rows) and not summary.bad_rows
        assert summary.longest_sequence == max(lengths.values())
        assert summary.single_event_sequences == list(lengths.values()).count(1)
        written = json.loads((given.parent / "data" / "summary.json").read_text())
        assert written["kept"] == vars(summary.kept) and written["schema"] == 1
        names = [Path(entry["name"]).name for entry in written["inputs"]]
        assert names == list(self.files)
        assert str(given) not in json.dumps(written)  # nobody else's folders

    def test_recbole_finds_its_columns(self, given: Path) -> None:
        """As it reads them: ``field:type`` per cell, by pandas, and nothing is missing."""
        pandas = pytest.importorskip("pandas")
        self.convert(self.write(given), given.parent / "data")
        frame = pandas.read_csv(given.parent / "data" / "data.inter", delimiter="\t")
        names = [column.partition(":")[0] for column in frame]
        assert names[:3] == ["session_id", "item_id", "timestamp"]
        assert names[-2:] == ["event", "reward"]
        assert len(frame) == len(self.rows) and not frame.isna().any(axis=None)

    @pytest.mark.parametrize(
        ("pack", "end"),
        [
            (gzip.compress, ".gz"),
            (lambda text: text.replace(b"\n", b"\r\n"), ""),
            (lambda text: b"\xef\xbb\xbf" + text, ""),
            (lambda text: gzip.compress(b"\xef\xbb\xbf" + text.rstrip(b"\n")), ".gz"),
        ],
        ids=["gz", "CRLF", "byte order mark", "mark in gz, no last line end"],
    )
    def test_the_same_rows_however_it_is_kept(self, given: Path, pack: Pack, end: str) -> None:
        self.convert(self.write(given, pack, end), given.parent / "data")
        assert rows_of(given.parent / "data") == self.rows

    def test_a_bad_line_is_refused_by_its_place_and_reason(self, given: Path) -> None:
        paths, said = self.write_bad(given)
        assert self.refused(paths, given.parent / "data").startswith(said)

    def test_a_bad_line_can_be_skipped(self, given: Path) -> None:
        paths, _ = self.write_bad(given)
        summary = self.convert(paths, given.parent / "data", on_error="skip")
        ((reason, rows),) = summary.bad_rows.items()
        assert rows == 1 and self.bad[2] in reason
        assert rows_of(given.parent / "data") == self.rows

    @pytest.mark.parametrize(
        ("pack", "end", "said"),
        [
            (lambda text: b"", "", "is empty"),
            (lambda text: gzip.compress(b""), ".gz", "is empty"),
            (lambda text: gzip.compress(text)[:-9], ".gz", "cut off or damaged"),
            (lambda text: text[:-1] + b"\xff\n", "", "is not UTF-8"),
        ],
        ids=["empty", "empty gz", "cut off", "no text"],
    )
    def test_what_is_no_log_is_refused(self, given: Path, pack: Pack, end: str, said: str) -> None:
        paths = self.write(given, pack, end)
        found = self.refused(paths, given.parent / "data")
        assert said in found and str(given) in found

    def test_a_missing_file_is_refused(self, given: Path) -> None:
        paths = self.write(given)
        paths[-1].unlink()
        found = self.refused(paths, given.parent / "data")
        assert str(paths[-1]) in found and "does not exist" in found

    def test_a_data_set_is_kept_unless_it_may_be_replaced(self, given: Path) -> None:
        paths, data = self.write(given), given.parent / "data"
        self.convert(paths, data)
        (data / "summary.json").write_text("before")
        assert "exists: pass --overwrite" in self.refused(paths, data)
        assert (data / "summary.json").read_text() == "before"
        self.convert(paths, data, overwrite=True)
        assert rows_of(data) == self.rows and (data / "summary.json").read_text() != "before"
