"""Simulated users of the service: the world of a log, over HTTP.

    python examples/service/users.py --world=dataset/shop-world --sessions=2000

A user is shown an item, ignores, clicks or buys it, and asks for the next one until they leave, as
in ``recbole-lpi rollout``. Their clock is simulated: the history and the log have its times.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import numpy as np
import torch
import typer

from recbole_lpi.simulation import load_world
from recbole_lpi.simulation.environment import WorldEnv
from recbole_lpi.simulation.rollout import SPACING, START
from recbole_lpi.simulation.saved_worlds import SavedWorld


class Service:
    """The service, over a connection of each thread's own."""

    def __init__(self, url: str) -> None:
        self.address, self._own = urlsplit(url).netloc, threading.local()

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Send a request, and return what is answered; RuntimeError for an error."""
        if not hasattr(self._own, "connection"):
            self._own.connection = HTTPConnection(self.address, timeout=30)
        connection: HTTPConnection = self._own.connection
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}: {content}")
        return content


def visit(service: Service, saved: SavedWorld, number: int, seed: int) -> Iterator[float]:
    """Let one user come, be shown items and leave; the reward of each item."""
    world, names = WorldEnv(saved.world), saved.tokens
    numbers = {name: place for place, name in enumerate(names, 1)}
    world.reset(seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
    session, clock, ends, past = f"user-{seed}-{number}", START + SPACING * number, False, 0.0
    history: list[dict[str, Any]] = []
    while not ends:
        asked = {"session_id": session, "history": history, "timestamp": clock}
        shown = service.post("/recommend", asked)[0]
        seen, reward, ends, _, _ = world.step(np.int64(numbers[shown["item_id"]]))
        event = saved.world.event_names[int(seen["kinds"][len(history)]) - 1]
        if event != "ignored":
            service.post("/events", {"impression": shown["impression"], "event": event})
        history.append({"item_id": shown["item_id"], "event": event, "timestamp": clock})
        now = float(seen["times"][len(history) - 1])
        clock, past = round(clock + now - past, 3), now
        yield reward


def main(
    world: Annotated[Path, typer.Option(help="Folder of a world whose log has all that is shown")],
    url: Annotated[str, typer.Option(help="Of the service")] = "http://127.0.0.1:8000",
    sessions: Annotated[int, typer.Option(min=1)] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of the users")] = 1,
    at_once: Annotated[int, typer.Option("--at_once", min=1, help="Users at a time")] = 4,
) -> None:
    """Let simulated users use the service."""
    torch.set_num_threads(1)
    saved, service = load_world(world), Service(url)
    if "ignored" not in saved.world.event_names:
        raise SystemExit(f"{world} logs what was taken alone: give a world of --exposures=all")
    with ThreadPoolExecutor(at_once) as pool:
        found = list(pool.map(lambda n: list(visit(service, saved, n, seed)), range(sessions)))
    rewards = [reward for session in found for reward in session]
    print(f"{sessions:,} sessions, {len(rewards):,} items shown, reward of a session "
          f"{sum(rewards) / sessions:.4f}, of an item {np.mean(rewards):.4f}")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
