"""Fetching RecBole's published files, from a server of our own."""

from __future__ import annotations

import shutil
import socket
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
import pytest
from typer.testing import CliRunner

from recbole_lpi import locks
from recbole_lpi.cli.app import app
from recbole_lpi.plugin import download, transfers
from recbole_lpi.plugin.runner import run
from recbole_lpi.settings import SettingError
from tests.support.logs import SMALL, write_log


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder that is served, and its address."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def archives(folder: Path, address: str, dataset: str, session: str) -> dict[str, str]:
    """One archive for each kind of event, in the form that RecBole publishes."""
    log = pl.read_csv(write_log(folder / "made"), separator="\t")
    urls = {}
    for name, (event, _) in download.ARCHIVES[dataset].items():
        part = log.filter(pl.col("event:token") == event)
        part = part.rename({"session_id:token": session}).drop("event:token", "reward:float")
        part.write_csv(folder / f"{name}.inter", separator="\t")
        with zipfile.ZipFile(folder / f"{name}.zip", "w") as zipped:
            zipped.write(folder / f"{name}.inter", f"{name}/{name}.inter")
        urls[name] = f"{address}/{name}.zip"
    return urls


@pytest.mark.parametrize(
    ("dataset", "session"),
    [("retailrocket", "visitor_id:token"), ("yoochoose", "session_id:token")],
)
def test_archives_are_fetched_joined_and_trained_on(server, monkeypatch, dataset, session):
    folder, address = server
    urls = archives(folder, address, dataset, session)
    monkeypatch.setattr(download, "addresses", lambda: urls)
    given = {**SMALL, "download": True, "run_dir": "runs/a"}
    finished = run("LoggingPolicy", dataset, (), given)
    made = Path(f"dataset/{dataset}/{dataset}.inter")
    joined = pl.read_csv(made, separator="\t")
    log = pl.read_csv(server[0] / "made" / "shop" / "shop.inter", separator="\t")
    order = ["session_id:token", "timestamp:float"]
    assert joined.columns == log.columns
    assert joined.sort(order).equals(log.sort(order).cast(joined.schema))
    assert finished.results["test"]["purchase_ndcg@10"].count > 0
    assert [path.name for path in Path("dataset").iterdir()] == [dataset]


def test_what_a_server_says_does_not_reach_the_terminal_raw(server, monkeypatch):
    class Rude(_Quiet):
        def do_GET(self):
            self.send_response_only(404, "\x1b]0;owned\x07")
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Rude) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{httpd.server_port}/a.zip"
        urls = dict.fromkeys(download.ARCHIVES["yoochoose"], address)
        monkeypatch.setattr(download, "addresses", lambda: urls)
        given = ["run", "--model=LPIRL", "--dataset=yoochoose", "--download"]
        done = CliRunner().invoke(app, given)
        httpd.shutdown()
    assert done.exit_code == 2 and "\x1b" not in done.stderr
    assert "404: \\x1b]0;owned\\x07" in done.stderr


def test_recboles_list_has_every_archive():
    urls = download.addresses()
    for parts in download.ARCHIVES.values():
        for name in parts:
            assert urls[name].endswith(".zip")


def test_what_can_go_wrong_is_said(server):
    folder, address = server
    urls = archives(folder, address, "yoochoose", "session_id:token")
    first = next(iter(urls))
    target = Path("dataset/yoochoose")

    def fails(said: str, **changed: str) -> None:
        with pytest.raises(SettingError, match=said):
            download.download("yoochoose", target, {**urls, **changed})
        assert not target.exists() and not list(target.parent.iterdir())

    fails("could not fetch .*404", **{first: f"{address}/gone.zip"})
    (folder / "text.zip").write_text("an error page")
    fails("is no zip archive", **{first: f"{address}/text.zip"})
    with zipfile.ZipFile(folder / "empty.zip", "w") as zipped:
        zipped.writestr("README", "nothing")
    fails("holds 0 .inter files", **{first: f"{address}/empty.zip"})
    with zipfile.ZipFile(folder / "other.zip", "w") as zipped:
        zipped.writestr("a.inter", "item_id:token\ttimestamp:float\n1\t2\n")
    fails("has no column session_id:token", **{first: f"{address}/other.zip"})
    with pytest.raises(SettingError, match="--download knows retailrocket, yoochoose, not 'shop'"):
        download.download("shop", Path("dataset/shop"))


class Archive(BaseHTTPRequestHandler):
    """Serves one archive, at first only half of it; goes on by Range where it is asked to."""

    content, halves = b"", True
    asked: ClassVar[list[str | None]] = []
    headers_of: ClassVar[dict[str, str]] = {}

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        asked = self.headers.get("Range")
        type(self).asked.append(asked)
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if self.headers.get("If-Range") not in (None, *self.headers_of.values()):
            begin = 0
        if begin >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        for name, value in self.headers_of.items():
            self.send_header(name, value)
        if begin:
            end = len(self.content)
            self.send_header("Content-Range", f"bytes {begin}-{end - 1}/{end}")
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        stop = len(self.content) // 2 if self.halves and not begin else None
        self.wfile.write(self.content[begin:stop])


@contextmanager
def serving(handler):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/a.zip"
        httpd.shutdown()


@pytest.mark.parametrize(("first", "then", "resumed"), [
    ({"ETag": '"1"'}, {"ETag": '"1"'}, True),
    ({"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"},) * 2 + (True,),
    ({"ETag": '"1"'}, {"ETag": '"2"'}, False),  # another archive by now
    ({}, {}, False),  # nothing says that it is the same
    ({"ETag": 'W/"1"'}, {"ETag": 'W/"1"'}, False),
])  # fmt: skip
def test_a_transfer_that_broke_off_goes_on_where_it_was(server, first, then, resumed):
    folder, address = server
    urls = archives(folder, address, "yoochoose", "session_id:token")
    name = next(iter(urls))
    whole = (server[0] / f"{name}.zip").read_bytes()
    handler: Any = type("Served", (Archive,), {"content": whole, "asked": [], "headers_of": first})
    target = Path("dataset/yoochoose")
    with serving(handler) as address:
        with pytest.raises(SettingError, match="broke off at") as error:
            download.download("yoochoose", target, {**urls, name: address})
        part = target.with_name(".yoochoose.download") / f"{name}.part"
        kept = not first.get("ETag", "W/").startswith("W/") or "Last-Modified" in first
        assert part.exists() == kept == ("what arrived is kept in" in str(error.value))
        handler.headers_of, handler.halves = then, False
        made = download.download("yoochoose", target, {**urls, name: address})
    half = f"bytes={len(whole) // 2}-"
    assert handler.asked == [None, half if kept else None]
    assert (handler.asked[-1] == half and then == first) == resumed
    expected = download.download("yoochoose", Path("again/yoochoose"), urls)
    assert made.read_bytes() == expected.read_bytes()
    assert [path.name for path in Path("dataset").iterdir()] == ["yoochoose"]


def test_a_part_that_is_whole_already_or_more_is_fetched_anew(server):
    """Killed between the last block and its renaming, or a part of something else."""
    folder, address = server
    urls = archives(folder, address, "yoochoose", "session_id:token")
    name = next(iter(urls))
    whole = (server[0] / f"{name}.zip").read_bytes()
    tag = {"ETag": '"1"'}
    handler: Any = type("Served", (Archive,), {"content": whole, "asked": [], "headers_of": tag})
    handler.halves = False
    scratch = Path("dataset/.yoochoose.download")
    scratch.mkdir(parents=True)
    (scratch / f"{name}.part").write_bytes(whole + b"more")
    (scratch / f"{name}.json").write_text('{"tag": "\\"1\\""}')
    with serving(handler) as address:
        made = download.download("yoochoose", Path("dataset/yoochoose"), {**urls, name: address})
    assert made.is_file() and handler.asked == [f"bytes={len(whole) + 4}-", None]
    assert [path.name for path in Path("dataset").iterdir()] == ["yoochoose"]


@pytest.mark.parametrize("about", [
    "{}", "[", "[1]", '{"tag": 1}', '{"tag": "a\\nb"}', '{"tag": "\u2603"}', "[" * 10**5,
])  # fmt: skip
def test_a_part_of_which_nothing_says_what_it_is_is_fetched_anew(server, about):
    folder, address = server
    urls = archives(folder, address, "yoochoose", "session_id:token")
    name, scratch = next(iter(urls)), Path("dataset/.yoochoose.download")
    scratch.mkdir(parents=True)
    (scratch / f"{name}.part").write_text("something else")
    (scratch / f"{name}.json").write_text(about)
    assert download.download("yoochoose", Path("dataset/yoochoose"), urls).is_file()


@pytest.mark.parametrize("suffix", ["part", "inter", "json.part"])
def test_nothing_is_written_through_a_link_beside_the_data(server, suffix):
    """The folder of the data may be of others, with what looks like a transfer that broke off."""
    folder, address = server
    urls = archives(folder, address, "yoochoose", "session_id:token")
    name = next(iter(urls))
    scratch, notes = Path("dataset/.yoochoose.download"), Path("notes.txt")
    scratch.mkdir(parents=True)
    notes.write_text("mine")
    (scratch / f"{name}.json").write_text('{"tag": "1"}')
    (scratch / f"{name}.{suffix}").hardlink_to(notes)
    assert download.download("yoochoose", Path("dataset/yoochoose"), urls).is_file()
    assert notes.read_text() == "mine"


def test_a_transfer_is_kept_in_no_other_folder(server):
    mine, scratch = Path("mine"), Path("dataset/.yoochoose.download")
    mine.mkdir()
    scratch.parent.mkdir()
    scratch.symlink_to(mine.resolve())
    with pytest.raises(SettingError, match=r"yoochoose\.download is a link: remove it"):
        download.download("yoochoose", Path("dataset/yoochoose"))
    assert not list(mine.iterdir())


def test_what_a_transfer_left_is_removed_once_the_data_are_there(tmp_path, monkeypatch):
    """Converted instead, or killed between their renaming and its end; not while one is at it."""
    monkeypatch.chdir(tmp_path)
    log = write_log(tmp_path / "dataset")
    log.rename(log.with_name("yoochoose.inter"))
    log.parent.rename("dataset/yoochoose")
    scratch = Path("dataset/.yoochoose.download")
    scratch.mkdir()
    (scratch / "yoochoose-clicks-not-merged.part").write_bytes(b"much")
    data = Path("dataset/yoochoose")
    with locks.exclusive_beside(data, None), ThreadPoolExecutor(1) as other:
        other.submit(download.forget, "yoochoose", data).result()
    assert scratch.is_dir()
    mine = Path("dataset/.shop.download")  # of no data set that is downloaded
    mine.mkdir()
    download.forget("shop", Path("dataset/shop"))
    run("Popularity", "yoochoose", (), {**SMALL, "logging_policy": "none"})
    assert sorted(path.name for path in Path("dataset").iterdir()) == [mine.name, "yoochoose"]


def drip(connection, begin=b"", piece=b"x", pause=0.05):
    with connection, suppress(OSError):
        connection.recv(2**16)
        connection.sendall(begin)
        while True:
            connection.sendall(piece)
            time.sleep(pause)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("how", "said"), [
    ({"begin": HEAD}, "in 0.5 seconds fewer than 65536 bytes arrived"),
    ({"begin": b"HTTP/1.1 200 OK\r\nX: "}, "in 0.5 seconds"),  # headers without end
    ({"begin": CHUNKED, "piece": b"0"}, "in 0.5 seconds"),  # the size of a chunk without end
    ({"begin": HEAD, "piece": b"x" * 2**17}, "not there after 1 seconds"),
])  # fmt: skip
def test_a_server_that_drips_is_given_up(tmp_path, monkeypatch, how, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transfers, "PATIENCE", 0.5)
    monkeypatch.setattr(transfers, "LIMIT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            drip(connection, **how)

        threading.Thread(target=serve, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/a.zip"
        began = time.monotonic()
        with pytest.raises(SettingError, match=said):
            urls = dict.fromkeys(download.ARCHIVES["yoochoose"], address)
            download.download("yoochoose", Path("dataset/yoochoose"), urls)
        assert time.monotonic() - began < 30
    assert not list(Path("dataset").iterdir())


def spoiled(content: bytes) -> dict[str, bytes]:
    """A zip archive of one file, in forms that are none."""
    directory = content.index(b"PK\x01\x02")

    def at(place, value):
        return content[:place] + value + content[place + len(value) :]

    return {
        "broken off": content[: len(content) // 2],
        "of bytes that are others": at(60, bytes(20)),
        "encrypted": at(directory + 8, b"\x01\x00"),
        "packed in a way of its own": at(directory + 10, b"\x63\x00"),
        "larger than any disk": at(directory + 24, b"\xfe\xff\xff\xff"),
        "of a file that is elsewhere": at(directory + 42, b"\xff\xff\xff\x7f"),
        "empty": b"",
    }


FORMS = ("broken off", "of bytes that are others", "encrypted", "packed in a way of its own",
         "larger than any disk", "of a file that is elsewhere", "empty")  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_that_is_none_is_refused_in_a_line_and_not_kept(server, monkeypatch, form):
    folder, _ = server
    folder, address = server
    urls = archives(folder, address, "yoochoose", "session_id:token")
    name = next(iter(urls))
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.write(folder / f"{name}.inter", f"{name}.inter")
    whole = path.read_bytes()
    path.write_bytes(spoiled(whole)[form])
    free = shutil.disk_usage(".")._replace(free=2**31)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    target = Path("dataset/yoochoose")
    with pytest.raises(SettingError, match=f"{name}.zip") as error:
        download.download("yoochoose", target, urls)
    assert "\n" not in str(error.value) and not list(target.parent.iterdir())
    path.write_bytes(whole)
    assert download.download("yoochoose", target, urls).is_file()
