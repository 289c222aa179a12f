"""Archives, damaged files, and folders that are there already or must not be."""

import gzip
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from dataset_prep import atomic, retailrocket, yoochoose
from dataset_prep.sources import InputError

CLICKS = "".join(f"1,2014-04-07T10:51:0{n}.000Z,{n},0\n" for n in range(5))
BUYS = "1,2014-04-07T10:52:00.000Z,4,10,1\n"
EVENTS = "timestamp,visitorid,event,itemid,transactionid\n" + "1433221332117,1,view,1,\n" * 5


def zipped(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def sevenzipped(path: Path, members: dict[str, str]) -> Path:
    py7zr = pytest.importorskip("py7zr")
    with py7zr.SevenZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(text, name)
    return path


@pytest.mark.parametrize("pack", [zipped, sevenzipped])
def test_both_files_from_one_archive(
    tmp_path: Path, pack: Callable[[Path, dict[str, str]], Path]
) -> None:
    members = {"data/yoochoose-clicks.dat": CLICKS, "data/yoochoose-buys.dat": BUYS, "README": "x"}
    (tmp_path / "raw").mkdir()
    archive = pack(tmp_path / "raw" / "archive", members)
    summary = yoochoose.convert(archive, archive, tmp_path / "yc")
    assert (vars(summary.kept)["clicks"], vars(summary.kept)["purchases"]) == (5, 1)
    assert [source.name for source in summary.inputs] == ["archive", "archive"]
    assert only(tmp_path, "raw", "yc")
    with pytest.raises(
        InputError, match=r"does not hold exactly one events.csv but data/yoochoose-clicks"
    ):
        retailrocket.convert(archive, tmp_path / "rr")


def only(folder: Path, *names: str) -> bool:
    return sorted(path.name for path in folder.iterdir()) == sorted(names)


def test_gzip_of_the_same_name_in_two_folders(tmp_path: Path) -> None:
    for kind, text in (("clicks", CLICKS), ("buys", BUYS)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "log.gz").write_bytes(gzip.compress(text.encode()))
    logs = tmp_path / "clicks" / "log.gz", tmp_path / "buys" / "log.gz"
    summary = yoochoose.convert(*logs, tmp_path / "yc")
    assert (vars(summary.kept)["clicks"], vars(summary.kept)["purchases"]) == (5, 1)


def test_missing_py7zr_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py7zr", None)
    (tmp_path / "a.7z").write_bytes(b"7z\xbc\xaf\x27\x1c and so on")
    with pytest.raises(InputError, match="a 7z archive: pip install py7zr"):
        retailrocket.convert(tmp_path / "a.7z", tmp_path / "rr")


@pytest.mark.parametrize("kind", ["gz", "zip", "7z"])
@pytest.mark.parametrize("cut", [0.9, 0.5])
def test_cut_off_archives(tmp_path: Path, kind: str, cut: float) -> None:
    text = EVENTS + "".join(f"{n * 7919},{n % 97},view,{n * n % 1009},\n" for n in range(2000))
    path = tmp_path / f"events.csv.{kind}"
    if kind == "gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        (zipped if kind == "zip" else sevenzipped)(path, {"events.csv": text})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(cut * len(whole))])
    with pytest.raises(InputError, match=r"cut off or damaged.*download it again") as caught:
        retailrocket.convert(path, tmp_path / "rr")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert only(tmp_path, path.name)


def test_a_locked_archive_is_not_called_damaged(tmp_path: Path) -> None:
    py7zr = pytest.importorskip("py7zr")
    with py7zr.SevenZipFile(tmp_path / "a.7z", "w", password="secret") as archive:
        archive.writestr(EVENTS, "events.csv")
    whole = zipped(tmp_path / "a.zip", {"events.csv": EVENTS}).read_bytes()
    locked = bytearray(whole)
    locked[6] |= 1  # the encryption flag of the member, and in the central directory
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(locked)
    for name, reason in (("a.7z", "PasswordRequired"), ("a.zip", "is encrypted")):
        with pytest.raises(InputError, match=rf"{name}: .*{reason}.*: unpack it, name"):
            retailrocket.convert(tmp_path / name, tmp_path / "rr")


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, content in (("empty.csv", b""), ("empty.gz", gzip.compress(b""))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} is empty"):
            retailrocket.convert(tmp_path / name, tmp_path / "rr")
    with pytest.raises(InputError, match="does not exist"):
        retailrocket.convert(tmp_path / "none.csv", tmp_path / "rr")
    with pytest.raises(InputError, match="is a folder"):
        retailrocket.convert(tmp_path, tmp_path / "rr")


@pytest.mark.parametrize(
    ("line", "message"),
    [(b"\xff\xfe,1,view,1,", "is not UTF-8"), (b"1,1,view,\x01,", "control character")],
)
def test_bytes_that_are_no_text(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "events.csv"
    path.write_bytes(EVENTS.encode() + line + b"\n")
    with pytest.raises(InputError, match=f"line 7 .*{message}|line 7 {message}"):
        retailrocket.convert(path, tmp_path / "rr")


def test_an_existing_folder_is_kept(tmp_path: Path) -> None:
    events, output = tmp_path / "events.csv", tmp_path / "rr"
    events.write_text(EVENTS)
    retailrocket.convert(events, output)
    before = (output / "summary.json").read_text()
    events.write_text(EVENTS + "1433221332117,1,view,1,\n")
    with pytest.raises(InputError, match="exists: pass --overwrite"):
        retailrocket.convert(events, output)
    assert (output / "summary.json").read_text() == before

    retailrocket.convert(events, output, overwrite=True)
    assert json.loads((output / "summary.json").read_text())["kept"]["clicks"] == 6
    assert only(tmp_path, "events.csv", "rr")


def test_overwrite_replaces_nothing_but_data_sets(tmp_path: Path) -> None:
    events, output = tmp_path / "events.csv", tmp_path / "rr"
    events.write_text(EVENTS)
    retailrocket.convert(events, output)
    (output / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"holds thesis.tex too"):
        retailrocket.convert(events, output, overwrite=True)
    assert (output / "thesis.tex").exists()
    with pytest.raises(InputError, match="is a file"):
        retailrocket.convert(events, events, overwrite=True)


@pytest.mark.parametrize("kind", [OSError, pl.exceptions.ComputeError])
def test_a_failure_leaves_the_old_data_set_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    events, output = tmp_path / "events.csv", tmp_path / "rr"
    events.write_text(EVENTS)
    retailrocket.convert(events, output)

    def fail(summary: atomic.Summary, columns: object) -> str:
        raise kind("no space\nleft on device")

    monkeypatch.setattr(atomic, "properties", fail)  # called when the .inter file is written
    for folder in (output, tmp_path / "new"):
        with pytest.raises(InputError, match=f"{folder} was not written: no space left"):
            retailrocket.convert(events, folder, overwrite=True)
    assert only(tmp_path, "events.csv", "rr")
    assert only(output, "rr.inter", "rr.yaml", "summary.json")


def test_the_old_data_set_comes_back_when_the_new_one_cannot_move(tmp_path: Path) -> None:
    output = tmp_path / "rr"
    output.mkdir()
    (output / "rr.inter").write_text("old")
    with pytest.raises(FileNotFoundError):
        atomic.move(output, tmp_path / "vanished", tmp_path / "old")
    assert (output / "rr.inter").read_text() == "old"
