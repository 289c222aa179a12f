"""From logs to logs, over HTTP on this machine: the commands of the page, with small numbers."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import ModuleType

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

pytestmark = pytest.mark.recbole
ROOT = Path(__file__).parents[2]
SMALLER = {
    "sessions": {"simulate": 500, "users.py": 90, "rollout": 200}, "n_items": 25, "epochs": 2,
}  # fmt: skip
MORE = ["--show_progress=False", "--MAX_ITEM_LIST_LENGTH=6", "--hidden_size=16", "--inner_size=16"]


def commands() -> list[list[str]]:
    """Those of the page, in its order, with smaller numbers."""
    page = (ROOT / "docs" / "from-logs-to-logs.md").read_text("utf-8").replace("\\\n", " ")
    found = []
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        found += [_smaller(shlex.split(line)) for line in block.splitlines()]
    return found


def _smaller(words: list[str]) -> list[str]:
    small = []
    for word in words:
        name, _, value = word.partition("=")
        wanted = SMALLER.get(name.removeprefix("--"))
        if isinstance(wanted, dict):
            wanted = next(n for which, n in wanted.items() if any(which in w for w in words))
        small.append(word if wanted is None or not value else f"{name}={wanted}")
    return small


def done(words: list[str]) -> str:
    """Run a command of the package here, without the seconds of another process."""
    from recbole_lpi.cli.app import app

    if words[1].endswith("run_recbole_lpi.py"):
        words = ["recbole-lpi", "run", *words[2:], *MORE]
    if words[1].endswith("csv.py"):
        words = ["recbole-lpi", "prepare", "csv", *words[2:]]
    if words[1] == "simulate":
        words = [*words, "--max_events=6"]
    assert words[0] == "recbole-lpi"
    result = CliRunner().invoke(app, words[1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def script(name: str) -> ModuleType:
    """Import a file of the example."""
    path = ROOT / "examples" / "service" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look there for what annotations name
    spec.loader.exec_module(module)
    return module


class Service:
    """The service in a process of its own, and what is asked of it."""

    def __init__(self, words: list[str], *more: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = self.url.rpartition(":")[2]
        self.process = subprocess.Popen(
            [sys.executable, ROOT / words[1], *words[2:], f"--port={port}", *more],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
        for _ in range(600):
            assert self.process.poll() is None, "the service did not start"
            try:
                self.get("/health")
                return
            except OSError:
                time.sleep(0.1)

    def get(self, path: str) -> dict[str, object]:
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return dict(json.load(answer))

    def post(self, path: str, **body: object) -> tuple[int, object]:
        data = json.dumps(body).encode()
        asked = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def rows_of(log: Path) -> list[dict[str, str]]:
    with log.open(newline="") as file:
        return list(csv.DictReader(file))


def expected_propensities(rows: list[dict[str, str]]) -> list[float]:
    """m(a | x) of each row, from the two policies and the rows of its session before it."""
    from recbole_lpi.serving import load_policy

    before: dict[str, list[tuple[str, str, float]]] = {}
    histories = []
    for row in rows:
        past = before.setdefault(row["session"], [])
        histories.append(list(past))
        past.append((row["item"], row["event"], float(row["time"])))
    items = [row["item"] for row in rows]
    live, new = (
        np.exp(load_policy(run).log_prob(histories, items)) for run in ("runs/live", "runs/new")
    )
    return list(0.7 * live + 0.3 * new)


def test_the_loop_of_the_page_closes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    simulate, live, new, _, app, users, _, convert, learn, estimate, rollout = commands()
    for words in (simulate, live, new):
        done(words)
    service = Service(app, "--drain=0")
    try:
        users_app = typer.Typer()
        users_app.command()(script("users.py").main)
        told = CliRunner().invoke(users_app, [*users[2:], f"--url={service.url}"]).output
    finally:
        service.stop()
    found = re.fullmatch(r"90 sessions, (\d+) items shown, reward .* of an item ([\d.]+)\n", told)
    assert found is not None, told
    rows = sorted(rows_of(Path("logs/shown.csv")), key=lambda row: float(row["time"]))
    assert len(rows) == int(found[1])  # also those of which nothing came
    assert len({row["impression"] for row in rows}) == len(rows)
    np.testing.assert_allclose(
        [float(row["propensity"]) for row in rows], expected_propensities(rows), rtol=1e-3
    )
    worth = {"ignored": 0.0, "click": 0.2, "purchase": 1.0}
    logged = [worth[row["event"]] for row in rows]
    assert np.mean(logged) == pytest.approx(float(found[2]), abs=1e-4)
    done(convert)
    done([*learn, "--split_ratio=[0.3, 0.1, 0.6]", "--logging_policy=none"])
    assert "are kept" in Path("runs/next/log.txt").read_text()
    said = done(estimate)
    events = pl.read_parquet("runs/next/events.parquet")
    log_worth = events["reward"].mean()
    value = re.search(r"SNIPS +([\d.]+) +([\d.]+)", said)
    weight = re.search(r"Weights: mean ([\d.]+) ± ([\d.]+)", said)
    assert value is not None and weight is not None and isinstance(log_worth, float)
    assert abs(float(weight[1]) - 1) < 4 * float(weight[2])
    assert float(value[1]) == pytest.approx(log_worth, abs=4 * float(value[2]))
    assert "runs/next" in done(rollout)


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    """The folder of a policy over six items that can open a session; nothing is trained."""
    from recbole_lpi.data.session_data import Reading, SessionData
    from recbole_lpi.data.tokens import PADDING, Tokens
    from recbole_lpi.policy import NetworkSettings, PolicyNetwork, PolicySettings
    from recbole_lpi.training import RunFolder, TrainingSettings, train_policy
    from tests.support.tiny import listed_sessions

    folder = tmp_path_factory.mktemp("run") / "policy"
    store, part = listed_sessions([[1, 2, 3], [4, 5, 6, 1]], [1e9, 1e9])
    data = SessionData(
        store, part, 7, Reading(5, evaluate_first_event=True),
        item_tokens=Tokens([PADDING, "a,b", 'c"d', "e", "f", "g\nh", "ü"]),
    )  # fmt: skip
    settings = PolicySettings(
        NetworkSettings(hidden_size=4, inputs=("item",)), max_length=5, evaluate_first_event=True
    )
    network = PolicyNetwork("LPI", settings, 6)
    train_policy(network, data, None, TrainingSettings(epochs=1), folder=RunFolder(folder))
    return folder


def test_a_service_answers_what_it_was_asked_before_it_stops(policy, tmp_path):
    """After SIGTERM it goes on for a while, and its log is whole; outcomes grow meanwhile."""
    log = tmp_path / "shown.csv"
    whole = "session,item,time,event,propensity,slot,impression\ns0,e,1,click,0.5,1,x\n"
    log.write_text(whole + "s0,e,2,cl")  # left by a process that was killed
    words = ["python", "examples/service/app.py", f"--policy={policy}", f"--log={log}"]
    service = Service(words, "--drain=1.5")
    code, answer = service.post("/recommend", session_id="s,1", k=6, timestamp=5)
    assert code == 200 and isinstance(answer, list)
    assert {shown["item_id"] for shown in answer} == {"a,b", 'c"d', "e", "f", "g\nh", "ü"}
    first, second, *_ = (shown["impression"] for shown in answer)
    assert service.post("/events", impression=first, event="click") == (200, {"event": "click"})
    assert service.post("/events", impression=first, event="ignored") == (200, {"event": "click"})
    assert service.post("/events", impression=second, event="purchase")[0] == 200
    assert service.post("/events", impression=second, event="click")[0] == 404  # written already
    assert service.post("/events", impression=first, event="bought")[0] == 422
    assert service.post("/recommend", session_id="s2", k=0)[0] == 422
    assert service.get("/health") == {"state": "ready", "open": 5, "written": 1}
    with pytest.raises(ValueError, match="another process writes to"):
        script("impressions.py").ImpressionLog(log)
    service.process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        service.get("/health")
    code, late = service.post("/recommend", session_id="s3")
    assert code == 200 and isinstance(late, list)
    service.process.wait(60)
    assert log.read_text().startswith(whole)
    rows = rows_of(log)[1:]
    assert [row["event"] for row in rows] == ["purchase", "click", *["ignored"] * 5]
    assert rows[-1]["impression"] == late[0]["impression"] and rows[-1]["session"] == "s3"
    assert {row["item"] for row in rows[:6]} == {shown["item_id"] for shown in answer}
