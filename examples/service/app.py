"""A recommendation service that logs what it showed, and with which probability.

    python examples/service/app.py --live=runs/live --policy=runs/new --share=0.3 --log=shown.csv

POST /recommend    items for a session, drawn from (1 - share) · live + share · policy
POST /events       what came of one of them: a click or a purchase
GET  /health       200 while it takes requests, 503 once it is asked to stop
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
import uvicorn
from anyio import to_thread
from fastapi import Depends, FastAPI, HTTPException, Response
from impressions import ImpressionLog, Kind
from pydantic import BaseModel, Field

from recbole_lpi.serving import Mixture, load_policy
from recbole_lpi.settings import SettingError

THREADS = 4  # requests that are worked at together; more would only wait for one another
Name = Annotated[str, Field(min_length=1, max_length=200)]


class Event(BaseModel):
    """An event of a session: everything that was shown, whether it was taken or not."""

    item_id: Name
    event: Name | None = None
    timestamp: float | None = None


class Session(BaseModel):
    """A session that asks for ``k`` items, with its events from the oldest; the time is now."""

    session_id: Name
    history: Annotated[list[Event], Field(max_length=1000)] = []
    k: Annotated[int, Field(ge=1, le=100)] = 1
    timestamp: Annotated[float | None, Field(gt=0)] = None


class Shown(BaseModel):
    """An item for a slot, and the name by which its outcome is told."""

    impression: str
    item_id: str
    propensity: float


class Outcome(BaseModel):
    """What came of an impression."""

    impression: Name
    event: Kind


class Stopping:
    """Whether the service was asked to stop."""

    def __init__(self) -> None:
        self.asked = False


def make_app(policy: Mixture, log: ImpressionLog, stopping: Stopping) -> FastAPI:
    """Make the service; ``log`` is closed with it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async def expire() -> None:
            while True:
                await asyncio.sleep(1)
                log.expire()

        to_thread.current_default_thread_limiter().total_tokens = THREADS
        task = asyncio.create_task(expire())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        log.close()

    def leave(response: Response) -> None:
        """Let clients connect anew, and so elsewhere, once the service is to stop."""
        if stopping.asked:
            response.headers["Connection"] = "close"

    app = FastAPI(title="recbole_lpi", lifespan=lifespan, dependencies=[Depends(leave)])

    # Plain functions run in threads, so that one request does not wait for another's.
    @app.post("/recommend")
    def recommend(session: Session) -> list[Shown]:
        history = [event.model_dump(exclude_none=True) for event in session.history]
        try:
            found = policy.recommend([history], session.k)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        items = [str(item) for item in found.items[0] if item is not None]
        propensities = [float(value) for value in found.propensities[0][: len(items)]]
        when = time.time() if session.timestamp is None else session.timestamp
        names = log.show(session.session_id, when, items, propensities)
        return [
            Shown(impression=name, item_id=item, propensity=propensity)
            for name, item, propensity in zip(names, items, propensities, strict=True)
        ]

    @app.post("/events")
    def happened(outcome: Outcome) -> dict[str, str]:
        try:
            return {"event": log.happened(outcome.impression, outcome.event)}
        except KeyError:
            raise HTTPException(
                404, "no impression of that name is open: it was bought, is too old, or was "
                "shown by another process"
            ) from None  # fmt: skip

    @app.get("/health")
    def health(response: Response) -> dict[str, Any]:
        response.status_code = 503 if stopping.asked else 200
        state = "stopping" if stopping.asked else "ready"
        return {"state": state, "open": len(log), "written": log.written}

    return app


class Server(uvicorn.Server):
    """A server that goes on for ``drain`` seconds after SIGTERM, and says so by /health.

    Whoever sends requests looks there and sends no more; what was sent meanwhile is answered. A
    second signal ends that time, and so does Ctrl-C at once. What is in work is always answered.
    """

    def __init__(self, config: uvicorn.Config, stopping: Stopping, drain: float) -> None:
        super().__init__(config)
        self.stopping, self.drain = stopping, drain

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Take a signal to stop."""
        stop = super().handle_exit
        if sig != signal.SIGTERM or self.stopping.asked:
            stop(sig, frame)
            return
        self.stopping.asked = True
        threading.Timer(self.drain, stop, (sig, frame)).start()


def main(
    policy: Annotated[Path, typer.Option(help="Run folder or checkpoint of the policy to try")],
    live: Annotated[
        Path | None, typer.Option(help="Of the policy that is live; none: --policy alone is shown")
    ] = None,
    share: Annotated[float, typer.Option(min=0, max=1, help="Of --policy in what is shown")] = 0.1,
    log: Annotated[Path, typer.Option(help="CSV file of what was shown")] = Path("shown.csv"),
    timeout: Annotated[float, typer.Option(min=0, help="Seconds until ignored")] = 1800.0,
    drain: Annotated[float, typer.Option(min=0, help="Seconds from SIGTERM to the end")] = 5.0,
    host: Annotated[str, typer.Option()] = "127.0.0.1",
    port: Annotated[int, typer.Option()] = 8000,
) -> None:
    """Serve recommendations until SIGTERM."""
    torch.set_num_threads(1)  # requests run beside one another; each is too small to be shared out
    try:
        new = load_policy(policy)
        mixture = Mixture(new, new, 1.0) if live is None else Mixture(load_policy(live), new, share)
        impressions = ImpressionLog(log, timeout)
    except (SettingError, ValueError) as error:
        raise SystemExit(str(error)) from None
    stopping = Stopping()
    app = make_app(mixture, impressions, stopping)
    config = uvicorn.Config(app, host=host, port=port, access_log=False, log_level="warning")
    Server(config, stopping, drain).run()


if __name__ == "__main__":
    typer.run(main)
