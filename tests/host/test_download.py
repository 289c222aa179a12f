"""Fetching RecBole's published files, from a server of our own."""

from __future__ import annotations

import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from recbole_lpi.cli import app
from recbole_lpi.host import download
from recbole_lpi.host.runner import run
from recbole_lpi.settings import SettingError

from .conftest import SMALL, write_log


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
    urls = archives(*server, dataset, session)
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
