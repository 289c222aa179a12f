"""A PostgreSQL server of the tests' own, where its binaries are installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

INSTALLED = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # Debian's, not on the path


def _binaries() -> Path:
    found = shutil.which("initdb")
    places = [*([Path(found).resolve().parent] if found else []), *reversed(INSTALLED)]
    for place in places:
        if (place / "pg_ctl").is_file() and (place / "initdb").is_file():
            return place
    pytest.skip("no PostgreSQL server is installed: apt-get install postgresql")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a data base of an empty server, which listens on a socket of its own."""
    place = _binaries()
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))  # where another user can reach it
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        if shutil.which("runuser") is None:
            pytest.skip("root cannot start PostgreSQL without runuser")
        try:
            shutil.chown(folder, "postgres")
        except LookupError:
            pytest.skip("root cannot start PostgreSQL: there is no user postgres")
        as_user = ["runuser", "-u", "postgres", "--"]

    def call(*words: str) -> None:
        subprocess.run([*as_user, *words], check=True, cwd=folder, capture_output=True)

    data = str(folder / "data")
    how = f"-k {folder} -c listen_addresses= -c fsync=off"
    try:
        call(str(place / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N")
        call(str(place / "pg_ctl"), "-D", data, "-o", how, "-l", f"{folder}/log", "-w", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={folder}"
        finally:
            call(str(place / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)
