"""The example service under load: 50 requests a second for 60 s, and SIGTERM in the middle.

    python benchmarks/service_load.py --policy=runs/lpi --live=runs/mu

Two services run on this machine, each with a log of its own. Requests go to the first, at their
times whether or not earlier ones were answered, each for a session with up to ten events; one in
five items is clicked a moment later. Halfway the first gets SIGTERM. As a load balancer does, the
client asks /health, and sends to the second once the first says that it stops. A request is lost if
it was sent and not answered by 200. The logs must have every impression that was answered, once.
"""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from recbole_lpi.serving import load_policy

ROOT = Path(__file__).parents[1]
EVERY = 0.1  # seconds between two looks at /health
CLICKED = 0.2  # of what is shown


@dataclass
class Backend:
    """A service in a process of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path
    ready: bool = True

    @classmethod
    def started(cls, log: Path, given: list[str]) -> Backend:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, ROOT / "examples" / "service" / "app.py", *given, f"--log={log}",
             f"--port={port}"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        return cls(process, f"http://127.0.0.1:{port}", log)


@dataclass
class Seen:
    """What came of the requests.

    Attributes:
        seconds: of each recommendation, from when it was due to its answer.
        shown: impressions that were answered, and whether they were clicked.
        lost: requests without an answer of 200, and why.
    """

    seconds: list[float] = field(default_factory=list)
    shown: dict[str, bool] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)


async def watch(client: httpx.AsyncClient, backends: list[Backend]) -> None:
    """Keep in mind which services take requests."""
    while True:
        for backend in backends:
            try:
                answer = await client.get(backend.url + "/health")
                backend.ready = answer.status_code == 200
            except httpx.HTTPError:
                backend.ready = False
        await asyncio.sleep(EVERY)


async def visit(
    client: httpx.AsyncClient, backend: Backend, due: float, body: dict[str, Any], clicks: bool,
    seen: Seen,
) -> None:  # fmt: skip
    """Ask for one item, and click it or not."""
    try:
        answer = await client.post(backend.url + "/recommend", json=body)
        seen.seconds.append(time.perf_counter() - due)
        answer.raise_for_status()
        name = answer.json()[0]["impression"]
        seen.shown[name] = False
        if clicks:
            told = {"impression": name, "event": "click"}
            (await client.post(backend.url + "/events", json=told)).raise_for_status()
            seen.shown[name] = True
    except httpx.HTTPError as error:
        seen.lost.append(f"{type(error).__name__}: {error}")


def bodies(policy: Path, number: int, seed: int) -> list[dict[str, Any]]:
    """Sessions with up to ten events of random items."""
    draws, vocabulary = np.random.default_rng(seed), load_policy(policy).vocabulary
    names, kinds = vocabulary.items.tolist()[1:], vocabulary.event_names or ("click",)
    found = []
    for session in range(number):
        times = 1.7e9 + np.cumsum(draws.exponential(30, int(draws.integers(1, 11))))
        history = [
            {"item_id": names[draws.integers(len(names))], "timestamp": float(when),
             "event": kinds[draws.integers(len(kinds))]}
            for when in times
        ]  # fmt: skip
        found.append({"session_id": f"s{session}", "history": history})
    return found


async def load(backends: list[Backend], asked: list[dict[str, Any]], rate: float) -> Seen:
    """Send all requests at their times, and SIGTERM to the first service halfway."""
    seen, tasks, clicks = Seen(), set(), np.random.default_rng(0).random(len(asked)) < CLICKED
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=None)) as client:
        watching = asyncio.create_task(watch(client, backends))
        began = time.perf_counter()
        for number, body in enumerate(asked):
            due = began + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if number == len(asked) // 2:
                backends[0].process.send_signal(signal.SIGTERM)
            backend = next((b for b in backends if b.ready), backends[-1])
            task = asyncio.create_task(
                visit(client, backend, due, body, bool(clicks[number]), seen)
            )
            tasks.add(task)
        await asyncio.gather(*tasks)
        watching.cancel()
    return seen


async def wait_for(backends: list[Backend]) -> None:
    """Wait until all services answer."""
    async with httpx.AsyncClient() as client:
        for backend in backends:
            while True:
                try:
                    await client.get(backend.url + "/health")
                    break
                except httpx.HTTPError:
                    if backend.process.poll() is not None:
                        raise SystemExit("a service did not start") from None
                    await asyncio.sleep(0.2)


def report(seen: Seen, backends: list[Backend], rate: float) -> bool:
    """Print what was found; whether all is well."""
    rows = []
    for backend in backends:
        with backend.log.open(newline="") as file:
            rows.append(list(csv.DictReader(file)))
    logged = {row["impression"]: row["event"] == "click" for part in rows for row in part}
    twice = sum(map(len, rows)) - len(logged)
    wrong = sum(logged.get(name) != clicked for name, clicked in seen.shown.items())
    more = len(logged.keys() - seen.shown.keys())
    p50, p99 = np.quantile(seen.seconds, [0.5, 0.99]) * 1000
    print(f"{len(seen.seconds):,} recommendations at {rate:g} a second, "
          f"{sum(seen.shown.values()):,} clicks: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
          f"longest {max(seen.seconds) * 1000:.0f} ms")  # fmt: skip
    print(f"lost over SIGTERM: {len(seen.lost)} {sorted(set(seen.lost))[:3] or ''}")
    print(f"logs: {len(rows[0]):,} and {len(rows[1]):,} rows; of {len(seen.shown):,} impressions "
          f"answered {wrong} missing or wrong; {twice} twice, {more} never answered")  # fmt: skip
    return not seen.lost and not wrong and not twice and not more and p99 <= 100


def main(
    policy: Annotated[Path, typer.Option(help="Run folder of the policy to try")],
    live: Annotated[Path, typer.Option(help="Run folder of the policy that is live")],
    rate: Annotated[float, typer.Option(help="Requests a second")] = 50.0,
    seconds: Annotated[float, typer.Option(max=120)] = 60.0,
) -> None:
    """Put the service under load, and report."""
    given = [f"--policy={policy.resolve()}", f"--live={live.resolve()}", "--share=0.3",
             "--drain=3"]  # fmt: skip
    asked = bodies(policy, int(rate * seconds), seed=1)
    with tempfile.TemporaryDirectory() as folder:
        backends = [Backend.started(Path(folder, f"{n}.csv"), given) for n in (1, 2)]
        try:
            asyncio.run(wait_for(backends))
            seen = asyncio.run(load(backends, asked, rate))
            backends[1].process.send_signal(signal.SIGTERM)
        finally:
            for backend in backends:
                try:
                    backend.process.wait(60)
                except subprocess.TimeoutExpired:
                    backend.process.kill()
        well = report(seen, backends, rate)
    raise SystemExit(0 if well else 1)


if __name__ == "__main__":
    typer.run(main)
