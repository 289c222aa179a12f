"""Where the trials of a search are kept: a journal file, or a database that machines share."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recbole_lpi.settings import SettingError, refused

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

HEARTBEAT = 30  # seconds between signs of life of whoever is at a trial, in a database
GRACE = 300  # seconds without one after which another machine runs the trial again
RETRIES = 3  # times that a trial whose machine was lost is run again
DRIVERS = {  # of SQLAlchemy, by the first word of a URL
    "postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql",
}  # fmt: skip


def optuna() -> Any:
    """Import Optuna, quiet; SettingError says how to install it."""
    try:
        import optuna as imported
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise SettingError("Optuna is not installed: pip install 'recbole-lpi[tune]'") from None
    imported.logging.set_verbosity(imported.logging.WARNING)
    warnings.filterwarnings("ignore", category=imported.exceptions.ExperimentalWarning)
    warnings.filterwarnings("ignore", "Heartbeat of storage is supposed")  # ``beating`` does that
    return imported


def open_storage(where: str | Path) -> BaseStorage:
    """Open the storage of a database's URL or, where it is none, of a journal file.

    SettingError, without the URL's password, if there is none such.
    """
    found = optuna()
    if "://" not in str(where):
        backend = found.storages.journal.JournalFileBackend
        Path(where).parent.mkdir(parents=True, exist_ok=True)
        return found.storages.JournalStorage(backend(str(where)))  # type: ignore[no-any-return]
    import sqlalchemy

    scheme, _, rest = str(where).partition("://")
    try:
        made = sqlalchemy.make_url(f"{DRIVERS.get(scheme, scheme)}://{rest}")
    except (sqlalchemy.exc.ArgumentError, ValueError):
        raise SettingError(
            "--storage is no URL of a database, such as postgresql://user@host/name or "
            "sqlite:///trials.db, and no journal file either, such as trials.journal"
        ) from None
    url, shown = (made.render_as_string(hide_password=hide) for hide in (False, True))
    driver = shown.partition("://")[0]
    with refused(f"--storage={shown} cannot be opened"):
        try:
            return found.storages.RDBStorage(  # type: ignore[no-any-return]
                url,
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                heartbeat_stale_trial_callback=_run_again,
            )
        except ImportError:
            extra = "'recbole-lpi[postgresql]'" if "postgresql" in driver else "pymysql"
            raise SettingError(
                f"--storage={shown} needs a driver that is not installed: pip install {extra}"
            ) from None


def _run_again(study: Any, trial: Any) -> None:
    """Queue a trial whose machine was lost again; ``trial`` is a copy of it."""
    trial.user_attrs.pop("machine", None)  # of nobody's, until somebody takes it
    optuna().storages.RetryHeartbeatStaleTrialCallback(RETRIES)(study, trial)


@contextmanager
def beating(storage: BaseStorage, trial_id: int) -> Iterator[None]:
    """Tell a database that somebody is at the trial, once before the block and all along it."""
    from optuna.storages import RDBStorage

    if not isinstance(storage, RDBStorage):
        yield
        return
    over = threading.Event()

    def beat() -> None:
        while not over.wait(HEARTBEAT):
            try:
                storage.record_heartbeat(trial_id)
            except Exception as error:  # the database may be back at the next
                warnings.warn(f"no sign of life of a trial was kept: {error}", stacklevel=2)

    storage.record_heartbeat(trial_id)
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
