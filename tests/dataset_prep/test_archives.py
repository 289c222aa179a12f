"""Compressed files and archives, sound, odd, broken and lying."""

import bz2
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from dataset_prep import csv as any_log
from dataset_prep.sources import InputError
from tests.support.shop import COLUMNS, HEADER, REWARDS, convert, events

TEXT = (HEADER + "ann,A,1600000000,view\nann,B,1600000005,buy\n").encode()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return held.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return held.getvalue()


def sevenzipped(members: dict[str, bytes]) -> bytes:
    py7zr = pytest.importorskip("py7zr")
    held = io.BytesIO()
    with py7zr.SevenZipFile(held, "w") as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    return held.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(TEXT),
        bz2.compress(TEXT),
        lzma.compress(TEXT),
        tarred({"a/log.csv": TEXT}),
        tarred({"log.csv": TEXT}, "w:gz"),
        tarred({"log.csv": TEXT}, "w:bz2"),
        tarred({"log.csv": TEXT}, "w:xz"),
        zipped({"log.csv": TEXT, "__MACOSX/._log.csv": b"x"}),
        zipped({"log.csv.gz": gzip.compress(TEXT)}),
        zipped({"log.tar": tarred({"log.csv": TEXT})}),
    ],
    ids=["gz", "bz2", "xz", "tar", "tar.gz", "tar.bz2", "tar.xz", "zip", "gz in zip", "tar in zip"],
)
def test_what_is_packed_is_read(tmp_path: Path, packed: bytes) -> None:
    convert(tmp_path, packed)
    assert [item for _, item, *_ in events(tmp_path)] == ["A", "B"]


@pytest.mark.parametrize(
    "pack",
    [tarred, zipped, sevenzipped, lambda members: tarred(members, "w:gz")],
)
def test_several_files_are_listed(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    with pytest.raises(InputError, match=r"does not hold a single file but log.csv, more.csv"):
        convert(tmp_path, pack({"log.csv": TEXT, "more.csv": TEXT}))


def test_a_workbook_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"log\.csv is an Excel workbook: save its sheet"):
        convert(tmp_path, zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}))


PACKERS = [
    gzip.compress, bz2.compress, lzma.compress, lambda text: tarred({"log.csv": text}),
    lambda text: tarred({"log.csv": text}, "w:gz"), lambda text: zipped({"log.csv": text}),
    lambda text: sevenzipped({"log.csv": text}),
]  # fmt: skip


@pytest.mark.parametrize("pack", PACKERS)
def test_damaged_at_any_place_it_is_one_line_or_right(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    rows = b"".join(b"ann,%d,%d,view\n" % (n * n % 97, 1600000000 + n) for n in range(200))
    packed = pack(HEADER.encode() + rows)
    for place in range(0, len(packed), max(1, len(packed) // 12)):
        cut, flipped = packed[:place], bytearray(packed)
        flipped[place] ^= 0xFF
        for content in (cut, bytes(flipped)):
            try:
                convert(tmp_path, content)
            except InputError as error:
                assert str(tmp_path / "log.csv") in str(error)
            else:
                assert len(events(tmp_path)) == 200


def test_a_member_that_leads_out_of_its_archive(tmp_path: Path) -> None:
    """The file of this machine that a 7z member is named as is neither read nor written."""
    py7zr = pytest.importorskip("py7zr")
    secret = tmp_path / "secret.csv"
    secret.write_bytes(TEXT.replace(b"ann", b"eve"))
    work = tmp_path / "a" / "b"
    work.mkdir(parents=True)
    for name in (str(secret), "../../../../secret.csv", "C:\\secret.csv", "..\\secret.csv"):
        placeholder = "x" * len(name)
        with py7zr.SevenZipFile(work / "plain.7z", "w", filters=[{"id": py7zr.FILTER_COPY}]) as out:
            out.header_encryption = False
            out.set_encoded_header_mode(False)
            out.writestr(TEXT, placeholder)
        held = (work / "plain.7z").read_bytes()
        assert held.count(placeholder.encode("utf-16-le")) == 1
        lying = held.replace(placeholder.encode("utf-16-le"), name.encode("utf-16-le"))
        with pytest.raises(InputError, match=r"log\.csv holds .* leads out of it"):
            convert(work, _with_header_checksum(lying))
        assert not (work / "shop").exists()
    assert secret.read_bytes() == TEXT.replace(b"ann", b"eve")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "secret.csv"]


def _with_header_checksum(archive: bytes) -> bytes:
    """A 7z file whose header was changed, with the checksums that fit: else it is just damaged."""
    import struct
    import zlib

    offset, size = struct.unpack("<QQ", archive[12:28])
    start = archive[12:28] + struct.pack("<I", zlib.crc32(archive[32 + offset :][:size]))
    return archive[:8] + struct.pack("<I", zlib.crc32(start)) + start + archive[32:]


def test_links_lead_nowhere(tmp_path: Path) -> None:
    """A link in a tar or 7z to a file of this machine is no file of the archive."""
    (tmp_path / "secret.csv").write_bytes(TEXT)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, kind in (("log.csv", tarfile.SYMTYPE), ("hard.csv", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.csv")
            archive.addfile(info)
    with pytest.raises(InputError, match="does not hold a single file but nothing"):
        convert(tmp_path, held.getvalue())
    py7zr = pytest.importorskip("py7zr")
    os.symlink(tmp_path / "secret.csv", tmp_path / "link.csv")
    with py7zr.SevenZipFile(tmp_path / "links.7z", "w") as archive7:
        archive7.write(tmp_path / "link.csv", "log.csv")
    with pytest.raises(InputError, match=r"links\.7z"):
        any_log.convert(tmp_path / "links.7z", tmp_path / "shop", COLUMNS, REWARDS)


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    for path in (tmp_path / "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match=r"does not exist|cannot be read"):
            any_log.convert(path, tmp_path / "shop", COLUMNS, REWARDS)
        (tmp_path / "log.csv").write_bytes(TEXT)
        with pytest.raises(InputError, match=r"cannot be a folder|was not written"):
            any_log.convert(tmp_path / "log.csv", path, COLUMNS, REWARDS)


NAME = "[red]\x1b]0;owned\x07.csv"


@pytest.mark.parametrize("pack", [
    gzip.compress, lambda text: tarred({NAME: text}), lambda text: zipped({NAME: text}),
    lambda text: sevenzipped({NAME: text}),
])  # fmt: skip
def test_a_name_is_shown_on_a_terminal_as_it_is(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    pack: Callable[[bytes], bytes],
) -> None:
    """Neither as markup, which is swallowed, nor as a command to the terminal."""
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "100"}.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / NAME
    log.write_bytes(pack(TEXT))
    any_log.convert(log, tmp_path / "shop", COLUMNS, REWARDS)
    assert len(events(tmp_path)) == 2
    said = capsys.readouterr().err
    assert "reading [red]\\x1b]0;owned\\x07.csv" in said and "\x1b]0;" not in said
